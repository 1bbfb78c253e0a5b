"""Deciding on a family's versions: what is asked for becomes a decision, and the registry follows it.

One at a time for each family. The alias is moved first, because it alone decides what serves; the tags that tell of it
follow, and Dagster's history last. Whatever is interrupted in between is found by its intent (see `standing`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg
from filelock import FileLock, Timeout

from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.registry.approval import (
    APPROVED_AT,
    Nothing,
    RefusedError,
    choose_former,
    choose_refused,
    choose_version,
)
from recsys_assets.registry.decision import Decision, Signature, put_in_use, reject, withdraw
from recsys_assets.registry.standing import INTENT_TAG, Standing, read_standing
from recsys_assets.validation.verdicts import objections, stored_verdicts
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

Ask = Literal["approve", "reject", "rollback", "record"]
PATIENCE_SECONDS = 60.0
"""A decision takes a second or two; who waits longer is told."""


class DecidingError(RegistryError):
    """Somebody else decides on the family."""


@dataclass(frozen=True)
class Wish:
    """What somebody asks for.

    Attributes:
        ask: What to do; `record` only completes and records what was left undone.
        version: Which version; 0 stands for the one that the rules choose.
        slot_key: The slot whose own run asks.
    """

    ask: Ask
    version: int = 0
    slot_key: str | None = None


class Judge:
    """Looks up what stands against a version, in the stored verdicts."""

    def __init__(self, lake: DeltaLake) -> None:
        self._lake = lake

    def against_approving(self, version: ModelVersion) -> list[str]:
        """Failed verdicts, and missing ones."""
        return objections(version.family, stored_verdicts(self._lake, version))

    def against_going_back(self, version: ModelVersion) -> list[str]:
        """Failed verdicts. A check that was invented after the version had served does not keep anybody from it."""
        verdicts = stored_verdicts(self._lake, version)
        if not verdicts:
            return ["there is no stored verdict"]
        return objections(version.family, verdicts, {one.check for one in verdicts})


def plan(wish: Wish, signed: Signature, registry: ModelRegistry, family: str, judge: Judge) -> Decision | Nothing:
    """What follows from a wish, as things stand now; nothing is changed.

    Raises:
        RefusedError: It cannot be; the message says why, and what can.
    """
    versions, in_use = registry.versions(family), registry.approved(family)
    if wish.ask == "record":
        return Nothing("alias, status and history agree", is_done=True)
    if not signed.reason.strip():
        raise RefusedError("say why: the reason is empty")
    if wish.ask == "reject":
        refused = choose_refused(versions, in_use, wish.version)
        return refused if isinstance(refused, Nothing) else reject(refused, in_use, signed)
    if wish.ask == "rollback":
        former = choose_former(versions, in_use, judge.against_going_back, asked=wish.version or None)
        return _back_to(former, in_use, family, signed)
    asked = wish.version or None
    chosen = choose_version(versions, in_use, judge.against_approving, asked=asked, slot_key=wish.slot_key)
    if isinstance(chosen, Nothing):
        return chosen
    if in_use is not None and in_use.version == chosen.version:
        return Nothing(f"version {chosen.version} is in use already", is_done=True)
    return put_in_use(chosen, in_use, signed)


def _back_to(former: ModelVersion | None, in_use: ModelVersion | None, family: str, signed: Signature) -> Decision:
    if former is not None:
        return put_in_use(former, in_use, signed)
    if in_use is None or family == FALLBACK_FAMILY:
        raise RefusedError(
            "there is no approved version before the one in use, and without the fallback nothing could be "
            "recommended; approve another version, or train a slot"
        )
    return withdraw(in_use, signed)


def carry_out(registry: ModelRegistry, family: str, decision: Decision, versions: Mapping[int, ModelVersion]) -> None:
    """Let alias and tags follow a decision; done again, nothing changes. Its intent is written down first."""
    registry.tag_family(family, INTENT_TAG, decision.as_json())
    if decision.kind in ("promotion", "rollback"):
        _move_alias(registry, family, versions.get(decision.version))
    if decision.kind != "rejection" and decision.version:
        tags = {"approval_status": "Approved", "status_reason": decision.reason}
        signed = {"approved_by": decision.by, APPROVED_AT: decision.at}
        registry.set_tags(versions[decision.version], {**tags, **signed})
    if decision.refused:
        registry.set_status(versions[decision.refused], "Rejected", _reason_of_refusal(decision))


def forget_intent(registry: ModelRegistry, family: str) -> None:
    """The decision is recorded, or came to nothing."""
    registry.tag_family(family, INTENT_TAG, None)


@contextmanager
def deciding(registry: ModelRegistry, family: str, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Be the only one who decides on a family; a lock of the operating system, so that no killed process keeps it.

    Raises:
        DecidingError: Somebody else has been at it for too long.
    """
    if not registry.lock_folder:
        yield
        return
    Path(registry.lock_folder).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(registry.lock_folder) / f"approved-{family}.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise DecidingError(f"somebody else decides on {family} at the moment; try again") from error
    try:
        yield
    finally:
        lock.release()


def standing_at_rest(
    instance: dg.DagsterInstance, registry: ModelRegistry, family: str, patience: float = PATIENCE_SECONDS
) -> Standing:
    """Where a family stands while nobody decides on it, so that what looks undone is undone.

    Raises:
        DecidingError: Somebody has been deciding for too long.
    """
    with deciding(registry, family, patience):
        return read_standing(instance, registry, family)


def _move_alias(registry: ModelRegistry, family: str, version: ModelVersion | None) -> None:
    if version is None:
        registry.remove_approved(family)
    else:
        registry.point_approved_at(version)


def _reason_of_refusal(decision: Decision) -> str:
    if decision.kind == "rejection":
        return decision.reason
    target = f"version {decision.version}" if decision.version else "no version"
    return f"rolled back to {target}: {decision.reason}"
