"""Reading the world for the decisions: the landing, the lake, and Dagster's own history. Nothing is decided here."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

import dagster as dg
import polars as pl

from recsys_assets.columns import INTERACTION_DAYS, INTERACTIONS, TRAINING_SET, VERDICTS
from recsys_assets.features.materialized import day_contents
from recsys_assets.features.specification import content_hash, lists_hash, recipe_hash
from recsys_assets.ingestion.landing_days import landed_days
from recsys_assets.partitions import slot_days, slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.registry.holds import why_held
from recsys_assets.registry.promotions import newest_slot_ever_approved, read_approval
from recsys_assets.serving.assets import ONLINE_STORE_KEY
from recsys_assets.serving.generations import newest
from recsys_assets.slot_window import ONE_DAY, SlotWindow, days_between, slot_window
from recsys_assets.validation.gate import required_checks
from recsys_assets.validation.stored_weights import blend_recipe, serving_rule, serving_weights, stored_recipes
from resources.lake import DeltaLake
from resources.landing import Landing
from resources.online_store import OnlineStore
from sensors.decisions import INFERENCE_TAG, DayStates, Outcome

PARTITION_TAG = "dagster/partition"
KEY_TAG = "recsys/key"
RUNS_LOOKED_AT = 200
INTERACTIONS_KEY, TRAINING_SET_KEY = dg.AssetKey(INTERACTIONS.key), dg.AssetKey(TRAINING_SET.key)
JOB_OF = {INTERACTIONS_KEY: "ingest", TRAINING_SET_KEY: "train", ONLINE_STORE_KEY: "recommend"}
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Attempts(NamedTuple):
    """What became of runs, by the key of what they were to do.

    Attributes:
        ended: Runs that have ended, in whatever way.
        failed: Runs that have failed.
    """

    ended: Counter[str]
    failed: Counter[str]


def read_days(
    platform: Platform, lake: DeltaLake, landing: Landing, instance: dg.DagsterInstance, now: datetime
) -> DayStates:
    """What has landed, what is ingested, and what is being ingested.

    Raises:
        LandingError: The landing cannot be listed; that is not the same as an empty one.
    """
    landed = landed_days(landing.files(), platform)
    ingested = lake.scan(INTERACTION_DAYS).select("ds", "landing_fingerprint").collect()
    return DayStates(
        first=platform.first_day,
        last=platform.last_day,
        today=now.astimezone(platform.zone).date(),
        landed={day: one.fingerprint for day, one in landed.items()},
        ingested=dict(ingested.iter_rows()),
        running=frozenset(day for run in _unfinished(instance, INTERACTIONS_KEY) for day in _partitions(run)),
    )


def read_attempts(instance: dg.DagsterInstance, job: str) -> Attempts:
    """What became of the newest runs of a job."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job), limit=RUNS_LOOKED_AT)
    ended = [run for run in runs if run.is_finished]
    return Attempts(
        ended=Counter(run.tags.get(KEY_TAG, "") for run in ended),
        failed=Counter(run.tags.get(KEY_TAG, "") for run in ended if run.is_failure),
    )


def read_windows(platform: Platform, now: datetime) -> list[SlotWindow]:
    """Every slot that exists and has enough history, oldest first; a short replay may have none."""
    windows = [slot_window(platform, slot) for slot in slot_days(slot_partitions(platform), now)]
    return [one for one in windows if one.last >= platform.first_slot_day - ONE_DAY]


def read_outcomes(platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance) -> dict[date, Outcome]:
    """What became of each slot that was trained: the least finished of its families speaks for it.

    A slot that has judged other weights than those that are configured by now, or by other thresholds, is not finished.
    """
    verdicts = lake.scan(VERDICTS).select("ds", "family", "version", "recipe", "check", "passed").collect()
    approved_up_to = {family: newest_slot_ever_approved(instance, family) for family in platform.families}
    outcomes: dict[date, Outcome] = {}
    recipe, judged_by = blend_recipe(platform), stored_recipes(lake)
    for (slot,), rows in verdicts.group_by("ds"):
        if isinstance(slot, date):
            found = [
                _outcome(platform, lake, instance, family, slot, rows, approved_up_to[family])
                for family in platform.families
            ]
            is_finished = "unfinished" not in found and judged_by.get(slot, recipe) == recipe
            outcomes[slot] = found[0] if is_finished else "unfinished"
    return outcomes


def running_slots(instance: dg.DagsterInstance) -> frozenset[date]:
    """Slots that a run is training at the moment."""
    return frozenset(day for run in _unfinished(instance, TRAINING_SET_KEY) for day in _partitions(run))


def running_inferences(instance: dg.DagsterInstance) -> frozenset[date]:
    """Days whose lists a run is computing at the moment, whoever started it."""
    return frozenset(day for run in _unfinished(instance, ONLINE_STORE_KEY) for day in _partitions(run))


def features_state(platform: Platform, lake: DeltaLake) -> str:
    """The state of the features that inference reads, and of the configuration that lists are made by."""
    weights = serving_weights(lake, platform, date.max)
    lists = lists_hash(platform, weights, serving_rule(lake, platform, date.max))
    return f"features-{content_hash(day_contents(lake))}:{lists}"


def read_approvals(platform: Platform, instance: dg.DagsterInstance) -> dict[str, int]:
    """Family to the id of the event that put its version in use; MLflow would take seconds to ask."""
    approvals = ((family, read_approval(instance, family)) for family in platform.families)
    return {family: approval.event_id for family, approval in approvals if approval is not None}


def published_key(instance: dg.DagsterInstance, store: OnlineStore, day: date) -> str | None:
    """The inference key of the newest publication of a day; None when the online store does not hold it (any more).

    A generation that somebody went back to by hand stays: what counts is the newest one that the store holds.
    """
    serving = newest(store.connect())
    if serving is None or serving.as_of < day:
        return None
    only = dg.AssetRecordsFilter(asset_key=ONLINE_STORE_KEY, asset_partitions=[str(day)])
    records = instance.fetch_materializations(only, limit=1).records
    run = instance.get_run_by_id(records[0].run_id) if records else None
    return None if run is None else run.tags.get(INFERENCE_TAG)


def _outcome(
    platform: Platform,
    lake: DeltaLake,
    instance: dg.DagsterInstance,
    family: str,
    slot: date,
    rows: pl.DataFrame,
    approved_up_to: date,
) -> Outcome:
    """What became of the newest version that a family trained for a slot; nothing yet under today's configuration."""
    mine = rows.filter(pl.col("family") == family).with_columns(pl.col("version").cast(pl.Int64))
    newest = mine.filter(pl.col("version") == pl.col("version").max())
    if (newest["recipe"] != recipe_hash(platform, family)).any():
        return "unfinished"
    if not newest["passed"].all():
        return "refused"
    if not required_checks(family) <= set(newest["check"]):
        return "unfinished"
    if approved_up_to >= slot:
        return "approved"
    is_manual = platform.families[family].approval == "manual"
    held = why_held(instance, lake, family, platform.guardrails.get(family), slot)
    return "waiting" if is_manual or held else "unfinished"


def _unfinished(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.DagsterRun]:
    """Runs under way that will materialize an asset, whoever started them: our jobs, the UI, a backfill."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name == JOB_OF[key] or key in (run.asset_selection or ()):
            yield run


def _partitions(run: dg.DagsterRun) -> list[date]:
    if PARTITION_TAG in run.tags:
        return [date.fromisoformat(run.tags[PARTITION_TAG])]
    if not all(tag in run.tags for tag in RANGE_TAGS):
        return []
    first, last = (date.fromisoformat(run.tags[tag]) for tag in RANGE_TAGS)
    return days_between(first, last)
