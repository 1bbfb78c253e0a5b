"""A decision on a family's versions, as a value that is written down before it is carried out. Pure.

Which decision may be made is the business of `approval`; carrying it out that of `deciding`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from recsys_assets.registry.approval import Objections, age
from resources.model_registry import ModelVersion

Kind = Literal["promotion", "rollback", "rejection", "noticed"]
GUARDRAIL = "the guardrail"
"""Who signs a rollback that nobody asked for."""
NOBODY_KNOWN = "somebody in MLflow"
"""MLflow does not keep who moved an alias."""


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Attributes:
        kind: `noticed` is a decision that somebody made in MLflow itself, by moving the alias.
        version: The version that is put in use, or rejected; 0 where none serves any more.
        previous: The version in use until then; 0 for none.
        refused: The version that becomes Rejected by it; 0 for none.
        reason: Why.
        by: Who.
        at: When (UTC, ISO 8601); no two decisions on a family have the same.
        as_of: The newest day of the shop that was known, as `YYYY-MM-DD`; empty where it played no part.
    """

    kind: Kind
    version: int
    previous: int
    refused: int
    reason: str
    by: str
    at: str
    as_of: str = ""

    @property
    def in_use(self) -> int:
        """The version that serves after it; 0 for none."""
        return self.previous if self.kind == "rejection" else self.version

    def as_json(self) -> str:
        """The decision as a tag."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """The decision that was written as a tag."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Signature:
    """Who decides, when, why, and knowing which days; as in `Decision`."""

    by: str
    at: str
    reason: str
    as_of: str = ""


def now() -> str:
    """The moment of a decision."""
    return datetime.now(tz=UTC).isoformat(timespec="microseconds")


def put_in_use(chosen: ModelVersion, before: ModelVersion | None, signed: Signature) -> Decision:
    """A version goes into use. Going back to an older one is a rollback, and refuses the one that it leaves."""
    is_back = before is not None and age(before) > age(chosen)
    previous = 0 if before is None else before.version
    refused = previous if is_back else 0
    kind: Kind = "rollback" if is_back else "promotion"
    return Decision(kind, chosen.version, previous, refused, signed.reason, signed.by, signed.at, signed.as_of)


def withdraw(before: ModelVersion, signed: Signature) -> Decision:
    """The version in use is taken out, and there is no other: the fallback serves."""
    return Decision("rollback", 0, before.version, before.version, signed.reason, signed.by, signed.at, signed.as_of)


def reject(version: ModelVersion, in_use: ModelVersion | None, signed: Signature) -> Decision:
    """A version that is not in use is refused."""
    previous = 0 if in_use is None else in_use.version
    refused = version.version
    return Decision("rejection", refused, previous, refused, signed.reason, signed.by, signed.at, signed.as_of)


def notice(
    in_use: ModelVersion | None, recorded: int, versions: Mapping[int, ModelVersion], objections: Objections, at: str
) -> Decision:
    """What somebody did in MLflow itself, as a decision.

    Args:
        in_use: The version that the alias points at.
        recorded: The version that Dagster's history believes is in use; 0 for none.
        versions: Number to version.
        objections: Looks up what stands against a version.
        at: The moment.
    """
    left = versions.get(recorded)
    is_back = left is not None and left.status != "Rejected" and (in_use is None or age(in_use) < age(left))
    number = 0 if in_use is None else in_use.version
    reason = _what_happened(in_use, recorded)
    against = [] if in_use is None else objections(in_use)
    if against:
        reason += f", although it would have been refused: {'; '.join(against)}"
    return Decision("noticed", number, recorded, recorded if is_back else 0, reason, NOBODY_KNOWN, at)


def _what_happened(in_use: ModelVersion | None, recorded: int) -> str:
    if in_use is None:
        return "the alias was removed in MLflow by hand"
    if in_use.version != recorded:
        return "the alias was moved in MLflow by hand" if recorded else "the alias was set in MLflow by hand"
    return f"the status was set to {in_use.status} in MLflow by hand; what is in use is Approved"
