"""Which version may be approved, as a pure decision on versions and their stored verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resources.model_registry import ModelVersion

Objections = Callable[[ModelVersion], list[str]]
"""Why a version may not be approved; empty when nothing stands against it."""


class RefusedError(Exception):
    """A version may not be approved; the message says why and what to do."""


@dataclass(frozen=True)
class Nothing:
    """There is nothing to approve, and nobody asked for one version by name."""

    reason: str


def choose_version(
    versions: Sequence[ModelVersion],
    approved: ModelVersion | None,
    objections: Objections,
    *,
    asked: int | None = None,
    slot_key: str | None = None,
) -> ModelVersion | Nothing:
    """Choose what to approve.

    A version that was rejected (by the gate, by a rollback or by a person) is never chosen by itself again. Whoever
    names it overrules the rejection, but not the verdicts.

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
        return _checked(next((one for one in versions if one.version == asked), None), objections, f"version {asked}")
    against = _with_rejection(objections)
    if slot_key is not None:
        newest = max((one for one in versions if str(one.slot) == slot_key), key=_age, default=None)
        chosen = _checked(newest, against, f"the candidate of slot {slot_key}")
        return chosen if _is_newer(chosen, approved) else Nothing(f"slot {slot_key} is not newer than what is in use")
    newer = sorted((one for one in versions if _is_newer(one, approved)), key=_age, reverse=True)
    for version in newer:
        if not against(version):
            return version
    refusals = "; ".join(f"version {one.version} ({one.slot}): {against(one)[0]}" for one in newer[:3])
    return Nothing(f"no newer version passes the gate{': ' + refusals if refusals else ''}")


def _with_rejection(objections: Objections) -> Objections:
    def against(version: ModelVersion) -> list[str]:
        rejection = [f"it was rejected: {version.status_reason}"] if version.status == "Rejected" else []
        return [*objections(version), *rejection]

    return against


def _age(version: ModelVersion) -> tuple[object, int]:
    return (version.slot, version.version)


def _is_newer(version: ModelVersion, approved: ModelVersion | None) -> bool:
    return approved is None or (version.slot, version.version) > (approved.slot, approved.version)


def _checked(version: ModelVersion | None, objections: Objections, label: str) -> ModelVersion:
    if version is None:
        raise RefusedError(f"{label} does not exist; `recsys models` lists what there is")
    against = objections(version)
    if against:
        raise RefusedError(f"{label} must not be approved: {'; '.join(against)}")
    return version
