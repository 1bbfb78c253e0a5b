"""Which version may be approved, gone back to or refused: pure, on versions and what stands against them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from resources.model_registry import ModelVersion

APPROVED_AT = "approved_at"
"""Tag of a version that was ever put in use: when."""
Objections = Callable[[ModelVersion], list[str]]
"""Why a version may not be approved; empty when nothing stands against it."""


class RefusedError(Exception):
    """A version may not be approved; the message says why and what to do."""


@dataclass(frozen=True)
class Nothing:
    """There is nothing to do.

    Attributes:
        reason: Why not.
        is_done: Whether that is because things are as they were asked to be.
    """

    reason: str
    is_done: bool = False


def choose_version(
    versions: Sequence[ModelVersion],
    approved: ModelVersion | None,
    objections: Objections,
    *,
    asked: int | None = None,
    slot_key: str | None = None,
) -> ModelVersion | Nothing:
    """Choose what to approve.

    A version that was rejected (by the gate, by a rollback or by a person), or that was in production and was left, is
    never chosen by itself again. Whoever names it overrules that, but not the verdicts.

    Args:
        versions: All versions of the family.
        approved: The version in use, if any.
        objections: Looks the stored verdicts of a version up.
        asked: The version that somebody named.
        slot_key: The slot whose own run asks.

    Returns:
        The version to approve, or that there is nothing newer than what is in use.

    Raises:
        RefusedError: The version asked for, or the slot's candidate, must not be approved.
    """
    if asked is not None:
        return _checked(_existing(versions, asked), objections, f"version {asked}")
    against = _with_rejection(objections)
    if slot_key is not None:
        newest = max((one for one in versions if str(one.slot) == slot_key), key=age, default=None)
        chosen = _checked(newest, against, f"the candidate of slot {slot_key}")
        if not _is_newer(chosen, approved):
            return Nothing(f"slot {slot_key} is not newer than what is in use")
        return Nothing(f"version {chosen.version} was in production and was left") if _was_approved(chosen) else chosen
    newer = sorted((one for one in versions if _is_newer(one, approved) and not _was_approved(one)), key=age)[::-1]
    for version in newer:
        if not against(version):
            return version
    refusals = "; ".join(f"version {one.version} ({one.slot}): {against(one)[0]}" for one in newer[:3])
    return Nothing(f"no newer version passes the gate{': ' + refusals if refusals else ''}")


def choose_former(
    versions: Sequence[ModelVersion], in_use: ModelVersion | None, objections: Objections, *, asked: int | None = None
) -> ModelVersion | None:
    """Choose the version to go back to: the newest Approved one before what is in use, or the one that is named.

    Args:
        versions: All versions of the family.
        in_use: The version in use, if any.
        objections: Looks up what stands against going back to a version.
        asked: The version that somebody named; naming it overrules that it was rejected since.

    Returns:
        The version, or None where there is none to go back to.

    Raises:
        RefusedError: Nothing is in use, or the version asked for is none to go back to.
    """
    if in_use is None:
        raise RefusedError(
            "no version is in use, so there is nothing to roll back; `recsys models` lists what there is"
        )
    if asked is None:
        former = (one for one in versions if one.status == "Approved" and age(one) < age(in_use))
        return max((one for one in former if not objections(one)), key=age, default=None)
    chosen = _existing(versions, asked)
    if chosen.version == in_use.version:
        raise RefusedError(f"version {asked} is the one in use; say with --to which earlier one to go back to")
    if age(chosen) > age(in_use):
        raise RefusedError(
            f"version {asked} is newer than version {in_use.version}, which is in use; approve it instead"
        )
    if not _was_approved(chosen):
        raise RefusedError(f"version {asked} was never approved; `recsys models` lists those to go back to")
    return _checked(chosen, objections, f"version {asked}")


def choose_refused(versions: Sequence[ModelVersion], in_use: ModelVersion | None, asked: int) -> ModelVersion | Nothing:
    """Choose what to refuse.

    Raises:
        RefusedError: There is no such version, or it is in production.
    """
    chosen = _existing(versions, asked)
    if in_use is not None and chosen.version == in_use.version:
        raise RefusedError(f"version {asked} is in production; roll back instead")
    if chosen.status == "Rejected":
        return Nothing(f"version {asked} is rejected already: {chosen.status_reason}", is_done=True)
    return chosen


def age(version: ModelVersion) -> tuple[date, int]:
    """What orders versions: the slot, and within a slot which one was trained later."""
    return (version.slot, version.version)


def _was_approved(version: ModelVersion) -> bool:
    return version.status == "Approved" or APPROVED_AT in version.tags


def _existing(versions: Sequence[ModelVersion], asked: int) -> ModelVersion:
    found = next((one for one in versions if one.version == asked), None)
    if found is None:
        raise RefusedError(f"version {asked} does not exist; `recsys models` lists what there is")
    return found


def _with_rejection(objections: Objections) -> Objections:
    def against(version: ModelVersion) -> list[str]:
        rejection = [f"it was rejected: {version.status_reason}"] if version.status == "Rejected" else []
        return [*objections(version), *rejection]

    return against


def _is_newer(version: ModelVersion, approved: ModelVersion | None) -> bool:
    return approved is None or age(version) > age(approved)


def _checked(version: ModelVersion | None, objections: Objections, label: str) -> ModelVersion:
    if version is None:
        raise RefusedError(f"{label} does not exist; `recsys models` lists what there is")
    against = objections(version)
    if against:
        raise RefusedError(f"{label} must not be approved: {'; '.join(against)}")
    return version
