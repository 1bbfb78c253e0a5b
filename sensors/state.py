"""Reading the world for the decisions: the landing, the lake, and Dagster's own history. Nothing is decided here."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

import dagster as dg
import polars as pl

from recsys_assets.columns import INTERACTION_DAYS, INTERACTIONS, VERDICTS
from recsys_assets.ingestion.landing_days import landed_days
from recsys_assets.partitions import slot_days, slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import days_between
from recsys_assets.serving.assets import ONLINE_STORE_KEY
from recsys_assets.slot_window import ONE_DAY, SlotWindow, slot_window
from recsys_assets.validation.gate import required_checks
from resources.lake import DeltaLake
from resources.landing import Landing
from sensors.decisions import INFERENCE_TAG, Days, Outcome

PARTITION_TAG = "dagster/partition"
APPROVALS_LOOKED_AT = 50
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Approval(NamedTuple):
    """The newest promotion of a family in Dagster's history."""

    event_id: int
    version: int
    slot: date
    since: float
    reason: str


def read_days(
    platform: Platform, lake: DeltaLake, landing: Landing, instance: dg.DagsterInstance, now: datetime
) -> Days:
    """What has landed, what is ingested, and what is being ingested.

    Raises:
        LandingError: The landing cannot be listed; that is not the same as an empty one.
    """
    landed = landed_days(landing.files(), platform)
    ingested = lake.scan(INTERACTION_DAYS).select("ds", "landing_fingerprint").collect()
    return Days(
        first=platform.first_day,
        last=platform.last_day,
        today=now.astimezone(platform.zone).date(),
        landed={day: one.fingerprint for day, one in landed.items()},
        ingested=dict(ingested.iter_rows()),
        running=frozenset(day for run in _unfinished(instance, "ingest") for day in _partitions(run)),
    )


def read_windows(platform: Platform, now: datetime) -> list[SlotWindow]:
    """Every slot that exists and has enough history, oldest first; a short replay may have none."""
    windows = [slot_window(platform, slot) for slot in slot_days(slot_partitions(platform), now)]
    return [one for one in windows if one.last >= platform.first_slot_day - ONE_DAY]


def read_outcomes(platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance) -> dict[date, Outcome]:
    """What became of each slot that was trained: the least finished of its families speaks for it."""
    verdicts = lake.scan(VERDICTS).select("ds", "family", "version", "check", "passed").collect()
    approved_up_to = {family: _newest_slot_ever_approved(instance, family) for family in platform.families}
    outcomes: dict[date, Outcome] = {}
    for (slot,), rows in verdicts.group_by("ds"):
        if isinstance(slot, date):
            found = [_outcome(platform, family, slot, rows, approved_up_to[family]) for family in platform.families]
            outcomes[slot] = "unfinished" if "unfinished" in found else found[0]
    return outcomes


def running_slots(instance: dg.DagsterInstance) -> frozenset[date]:
    """Slots that a run is training at the moment."""
    return frozenset(day for run in _unfinished(instance, "train") for day in _partitions(run))


def running_inferences(instance: dg.DagsterInstance) -> frozenset[str]:
    """Inference keys of the runs under way."""
    return frozenset(run.tags.get(INFERENCE_TAG, "") for run in _unfinished(instance, "recommend"))


def features_version(lake: DeltaLake) -> int:
    """The state of the features that inference reads."""
    return lake.version(INTERACTIONS.name)


def read_approvals(platform: Platform, instance: dg.DagsterInstance) -> dict[str, int]:
    """Family to the id of the event that put its version in use; MLflow would take seconds to ask."""
    approvals = ((family, read_approval(instance, family)) for family in platform.families)
    return {family: approval.event_id for family, approval in approvals if approval is not None}


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


def published_key(instance: dg.DagsterInstance, day: date) -> str | None:
    """The inference key of the newest publication of a day."""
    only = dg.AssetRecordsFilter(asset_key=ONLINE_STORE_KEY, asset_partitions=[str(day)])
    records = instance.fetch_materializations(only, limit=1).records
    run = instance.get_run_by_id(records[0].run_id) if records else None
    return None if run is None else run.tags.get(INFERENCE_TAG)


def _newest_slot_ever_approved(instance: dg.DagsterInstance, family: str) -> date:
    """A rollback goes back to an older slot, but does not undo that newer ones were approved."""
    records = instance.fetch_materializations(dg.AssetKey(["approved", family]), limit=APPROVALS_LOOKED_AT).records
    slots = [one.asset_materialization.metadata["slot"].value for one in records if one.asset_materialization]
    return max((date.fromisoformat(str(slot)) for slot in slots), default=date.min)


def _outcome(platform: Platform, family: str, slot: date, rows: pl.DataFrame, approved_up_to: date) -> Outcome:
    """What became of the newest version that a family trained for a slot."""
    mine = rows.filter(pl.col("family") == family).with_columns(pl.col("version").cast(pl.Int64))
    newest = mine.filter(pl.col("version") == pl.col("version").max())
    if not newest["passed"].all():
        return "refused"
    if not required_checks(family) <= set(newest["check"]):
        return "unfinished"
    if approved_up_to >= slot:
        return "approved"
    return "waiting" if platform.families[family].approval == "manual" else "unfinished"


def _unfinished(instance: dg.DagsterInstance, job: str) -> Iterator[dg.DagsterRun]:
    yield from instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED))


def _partitions(run: dg.DagsterRun) -> list[date]:
    if PARTITION_TAG in run.tags:
        return [date.fromisoformat(run.tags[PARTITION_TAG])]
    if not all(tag in run.tags for tag in RANGE_TAGS):
        return []
    first, last = (date.fromisoformat(run.tags[tag]) for tag in RANGE_TAGS)
    return days_between((first, last))
