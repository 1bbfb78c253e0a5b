"""The promotions in Dagster's history: quick to read, where MLflow takes seconds. The alias decides all the same."""

from datetime import date
from typing import NamedTuple

import dagster as dg

APPROVALS_LOOKED_AT = 50


class Approval(NamedTuple):
    """The newest promotion of a family in Dagster's history."""

    event_id: int
    version: int
    slot: date
    since: float
    reason: str


def read_approval(instance: dg.DagsterInstance, family: str) -> Approval | None:
    """The newest promotion of a family."""
    records = instance.fetch_materializations(dg.AssetKey(["approved", family]), limit=1).records
    materialization = records[0].asset_materialization if records else None
    if materialization is None:
        return None
    value = {name: entry.value for name, entry in materialization.metadata.items()}
    return Approval(
        event_id=records[0].storage_id,
        version=int(str(value["version"])),
        slot=date.fromisoformat(str(value["slot"])),
        since=records[0].timestamp,
        reason=str(value["reason"]),
    )


def newest_slot_ever_approved(instance: dg.DagsterInstance, family: str) -> date:
    """A rollback goes back to an older slot, but does not undo that newer ones were approved."""
    records = instance.fetch_materializations(dg.AssetKey(["approved", family]), limit=APPROVALS_LOOKED_AT).records
    slots = [one.asset_materialization.metadata["slot"].value for one in records if one.asset_materialization]
    return max((date.fromisoformat(str(slot)) for slot in slots), default=date.min)
