"""`recsys run`: the sensors' own decisions, driven to a fixed point in one process on the persistent instance."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from recsys_assets.cli.history import history_held_open
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import RunProgress
from recsys_assets.features.materialized import stale_days
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.monitoring.shown import stale_days as unmeasured_days
from sensors.dashboard import next_page
from sensors.decisions import DayStates, Start, ingestion, monitoring, refresh, training
from sensors.failures import failures_of
from sensors.guardrail import next_rollbacks
from sensors.inference import next_inference
from sensors.requests import asset_selection, partition_key, run_config, run_tags
from sensors.state import (
    UNFINISHED,
    read_days,
    read_outcomes,
    read_windows,
)

LOGGER = "progress"


@dataclass(frozen=True)
class Limits:
    """The days that `recsys run` looks at; None leaves a side open."""

    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Attributes:
        start: What was started.
        run_id: Dagster's id of it.
        refusals: What the gate refused, in words; a refusal is a normal outcome.
        errors: What failed, in words.
        notes: What it came to, in words.
    """

    start: Start
    run_id: str
    refusals: tuple[str, ...]
    errors: tuple[str, ...]
    notes: tuple[str, ...] = ()


def drive(
    installation: Installation, limits: Limits, progress: RunProgress, before_first: Callable[[], None]
) -> Iterator[Finished]:
    """Start what the decisions call for until they call for nothing more, or something fails.

    Args:
        installation: Where to.
        limits: The days to look at.
        progress: Draws what goes on.
        before_first: Called once before the first run: checks that everything needed answers.

    Yields:
        Each run when it has ended. After an ingestion with errors nothing more is started; a slot with errors does not
        keep the newest day from its lists.
    """
    abandon_unfinished(installation.instance)
    jobs = None
    started: set[str] = set()  # nothing is started twice, so this ends even if a decision never calls itself done
    while True:
        start = next((one for one in _decide(installation, limits) if one.run_key not in started), None)
        if start is None:
            return
        if jobs is None:
            before_first()
            jobs = progress_definitions(installation, progress)
        finished = execute(jobs.resolve_job_def(start.job), start, installation, progress)
        yield finished
        if finished.errors and start.job == "ingest":
            return
        started.add(start.run_key)


def _decide(installation: Installation, limits: Limits) -> Iterator[Start]:
    """What is due, in order: days, what was shown on them, models, lists, older days that changed late, the page."""
    platform, lake, instance = installation.platform, installation.lake, installation.instance
    now = datetime.now(tz=UTC)
    days = _limited(read_days(platform, lake, installation.landing, instance, now), limits)
    yield from ingestion(days)
    yield from monitoring(unmeasured_days(lake, platform))
    yield from next_rollbacks(platform, lake, instance, lambda: installation.model_registry)
    windows = [one for one in read_windows(platform, now) if days.last is None or one.last <= days.last]
    yield from training(days, windows, read_outcomes(platform, lake, instance), ())
    yield from next_inference(platform, lake, instance, installation.online_store, days.newest_settled(), ())
    yield from refresh(stale_days(lake, platform, SNAPSHOTS))
    yield from next_page(platform, lake, instance, days.newest_settled())


def _limited(days: DayStates, limits: Limits) -> DayStates:
    """The same days, as if the world ended at the last one. The lock holder has no runs beside itself."""
    last = limits.last or days.last

    def inside(known: Mapping[date, str]) -> dict[date, str]:
        return {day: value for day, value in known.items() if last is None or day <= last}

    return DayStates(days.first, last, days.today, inside(days.landed), inside(days.ingested), begin=limits.first)


def abandon_unfinished(instance: dg.DagsterInstance) -> None:
    """Mark runs of a killed command or daemon as failed, so that nobody waits for them; queued ones may still run."""
    begun = [status for status in UNFINISHED if status != dg.DagsterRunStatus.QUEUED]
    for run in instance.get_runs(dg.RunsFilter(statuses=begun)):
        instance.report_run_failed(run, "the process that ran it is gone; what it had not finished is done again")


def progress_definitions(installation: Installation, progress: RunProgress) -> dg.Definitions:
    """The graph, with a logger that moves the bar."""
    return installation.definitions({LOGGER: progress.logger()})


def execute(job: dg.JobDefinition, start: Start, installation: Installation, progress: RunProgress) -> Finished:
    """Run one job to its end in this process, on the persistent instance."""
    run_id = str(uuid.uuid4())
    with progress.run(start, len(job.nodes)), history_held_open(installation.settings.dagster_home, run_id):
        result = job.execute_in_process(
            instance=installation.instance,
            run_id=run_id,
            partition_key=partition_key(start),
            asset_selection=asset_selection(start),
            tags=run_tags(start),
            run_config={"loggers": {LOGGER: {}}, **run_config(start)},
            raise_on_error=False,
        )
    failures = failures_of(result.all_events)
    errors = tuple(f"{step}: {words}" for step, words in failures.errors)
    if not result.success and not errors and not failures.refusals:
        errors = ("the run failed outside its steps; see it in the Dagster UI",)
    return Finished(start, result.run_id, failures.refusals, errors, _counts(result))


def _counts(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Per ingested table, how many rows were accepted and set aside."""
    sums = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if event.asset_key is not None and {"accepted", "rejected"} <= set(metadata):
            counts = {name: int(str(metadata[name].value)) for name in ("accepted", "rejected")}
            sums[event.asset_key.path[-1]] = f"{counts['accepted']:,} accepted, {counts['rejected']:,} rejected"
    return tuple(f"{table}: {words}" for table, words in sums.items())
