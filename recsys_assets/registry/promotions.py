"""The decisions in Dagster's history: quick to read, where MLflow takes seconds. The alias decides all the same."""

from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import NamedTuple

import dagster as dg

RECORDS_PER_PAGE = 50
APPROVALS_LOOKED_AT = 50


class Decided(NamedTuple):
    """A decision on a family in Dagster's history.

    Attributes:
        event_id: Of the materialization that recorded it.
        kind: promotion, rollback, rejection or noticed (somebody moved the alias in MLflow).
        version: The version that it put in use, or rejected; 0 where none serves any more.
        previous: The version in use until then; 0 for none.
        slot: Of the version; date.min where none serves any more.
        since: When it was recorded, in seconds since 1970.
        at: When it was decided, as `Decision.at`; empty for what was recorded before this was kept.
        by: Who.
        reason: Why.
        run_id: The run that recorded it.
        as_of: The newest day of the shop that was known, as `Decision.as_of`.
    """

    event_id: int
    kind: str
    version: int
    previous: int
    slot: date
    since: float
    at: str
    by: str
    reason: str
    run_id: str
    as_of: str


def read_decisions(instance: dg.DagsterInstance, family: str) -> Iterator[Decided]:
    """Every decision on a family, the newest first; what is not asked for is not read."""
    cursor, has_more = None, True
    while has_more:
        page = instance.fetch_materializations(approved_key(family), limit=RECORDS_PER_PAGE, cursor=cursor)
        yield from (_decided(record) for record in page.records)
        cursor, has_more = page.cursor, page.has_more


def read_newest_decision(instance: dg.DagsterInstance, family: str) -> Decided | None:
    """The newest decision on a family, of whatever kind."""
    records = instance.fetch_materializations(approved_key(family), limit=1).records
    return _decided(records[0]) if records else None


def read_approval(instance: dg.DagsterInstance, family: str) -> Decided | None:
    """The decision that put the version in use that serves; None where none serves. Rejections change nothing."""
    newest = next(_promotions(instance, family), None)
    return newest if newest is not None and newest.version else None


def newest_slot_ever_approved(instance: dg.DagsterInstance, family: str) -> date:
    """A rollback goes back to an older slot, but does not undo that newer ones were approved."""
    return max((one.slot for one in islice(_promotions(instance, family), APPROVALS_LOOKED_AT)), default=date.min)


def approved_key(family: str) -> dg.AssetKey:
    """The asset whose materializations are the decisions on a family."""
    return dg.AssetKey(["approved", family])


def _promotions(instance: dg.DagsterInstance, family: str) -> Iterator[Decided]:
    return (one for one in read_decisions(instance, family) if one.kind != "rejection")


def _decided(record: dg.EventLogRecord) -> Decided:
    materialization = record.asset_materialization
    metadata = {} if materialization is None else materialization.metadata
    value = {name: str(entry.value) for name, entry in metadata.items()}
    return Decided(
        event_id=record.storage_id,
        kind=value.get("decision", "promotion"),
        version=int(value["version"]),
        previous=int(value.get("previous_version", 0)),
        slot=date.fromisoformat(value["slot"]) if value["slot"] else date.min,
        since=record.timestamp,
        at=value.get("decided_at", ""),
        by=value.get("by", ""),
        reason=value["reason"],
        run_id=record.run_id,
        as_of=value.get("as_of", ""),
    )
