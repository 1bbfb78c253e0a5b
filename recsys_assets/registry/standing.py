"""Where a family stands: what serves, what is being decided, what history knows, and what was left undone."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from recsys_assets.registry.approval import Objections
from recsys_assets.registry.decision import Decision, notice
from recsys_assets.registry.promotions import Decided, read_approval, read_newest_decision
from resources.model_registry import ModelRegistry, ModelVersion

INTENT_TAG = "recsys.decision"
"""Tag of a family: the decision that is being carried out. It is there from before its first effect until it is
recorded in Dagster's history."""


@dataclass(frozen=True)
class Standing:
    """What the registry and Dagster's history say of a family.

    Attributes:
        in_use: The version that the alias points at.
        intent: The decision that is being carried out, or that a killed run has left.
        newest: The newest decision in Dagster's history.
        promoted: The newest one that put a version in use; None where none serves.
    """

    in_use: ModelVersion | None
    intent: Decision | None
    newest: Decided | None
    promoted: Decided | None

    @property
    def recorded(self) -> int:
        """The version that Dagster's history believes is in use; 0 for none."""
        return 0 if self.promoted is None else self.promoted.version

    @property
    def is_in_agreement(self) -> bool:
        """Whether alias, status and history say the same."""
        if self.in_use is None:
            return self.recorded == 0
        return self.in_use.version == self.recorded and self.in_use.status == "Approved"

    @property
    def is_settled(self) -> bool:
        """Whether nothing was left undone, and nobody has moved the alias by hand."""
        return self.intent is None and self.is_in_agreement

    @property
    def summary(self) -> str:
        """A key that changes with whatever there is to settle."""
        in_use = "none" if self.in_use is None else f"{self.in_use.version}-{self.in_use.status}"
        seen = 0 if self.newest is None else self.newest.event_id
        return f"{in_use}:{seen}:{'' if self.intent is None else self.intent.at}"


def read_standing(instance: dg.DagsterInstance, registry: ModelRegistry, family: str) -> Standing:
    """Read where a family stands."""
    intent = registry.family_tag(family, INTENT_TAG)
    return Standing(
        in_use=registry.approved(family),
        intent=None if intent is None else Decision.from_json(intent),
        newest=read_newest_decision(instance, family),
        promoted=read_approval(instance, family),
    )


def left_undone(
    standing: Standing, versions: Mapping[int, ModelVersion], objections: Objections, at: str
) -> Decision | None:
    """The decision that has to be completed and recorded before anything else is decided.

    A decision that a killed run has left is completed once it has had an effect. One without any effect is forgotten:
    the alias is moved first, so nothing has changed. Whoever asked asks again.

    Args:
        standing: Where the family stands.
        versions: Number to version.
        objections: Looks up what stands against a version.
        at: The moment, for what somebody did in MLflow itself.
    """
    intent = standing.intent
    if intent is not None and not _is_recorded(intent, standing) and _has_effect(intent, standing, versions):
        return intent
    if standing.is_in_agreement:
        return None
    return notice(standing.in_use, standing.recorded, versions, objections, at)


def _is_recorded(intent: Decision, standing: Standing) -> bool:
    return standing.newest is not None and standing.newest.at == intent.at


def _has_effect(intent: Decision, standing: Standing, versions: Mapping[int, ModelVersion]) -> bool:
    """A rejection moves no alias: it is completed, unless the version was put in use by hand meanwhile, or is gone."""
    in_use = 0 if standing.in_use is None else standing.in_use.version
    if intent.kind == "rejection":
        return intent.version in versions and intent.version != in_use
    return intent.version == in_use
