"""Reading what happened: judged versions, decisions, failed runs and failed guardrails, as the news that messages need.

MLflow is asked only for what is about to be told, because it takes seconds. Nothing is decided or told here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import dagster as dg
import polars as pl
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from recsys_assets.columns import VERDICTS
from recsys_assets.monitoring.messages import AlertNews, Places, RunNews, VersionNews
from recsys_assets.platform import Platform
from recsys_assets.registry.promotions import Decided, read_approval
from recsys_assets.validation.shown import FOLDER
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError
from sensors.failures import failures_of
from sensors.news import WHAT_OF_KIND, DueVersion, Judged, Stage
from sensors.state import PARTITION_TAG, RANGE_TAGS

PICTURE = "ndcg_by_slot.png"
RUNS_LOOKED_AT = 50
EVALUATIONS_LOOKED_AT = 20
ANY_ASSETS = "__ASSET_JOB"
"""Dagster's name of the job that materializes whatever somebody selects."""
WHY_A_RUN_FAILED = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
}


@dataclass(frozen=True)
class World:
    """Where things happen.

    Attributes:
        platform: The configuration.
        instance: Dagster's history.
        lake: The verdicts.
        registry: The versions.
        guards: Checks whose failure is an alert.
    """

    platform: Platform
    instance: dg.DagsterInstance
    lake: DeltaLake
    registry: ModelRegistry
    guards: Collection[dg.AssetCheckKey]

    @property
    def places(self) -> Places:
        """Where people look further."""
        reports, uri = self.platform.reports, self.registry.tracking_uri
        return Places(reports.dagster_url, reports.mlflow_url or _without_user(uri))


def read_judged(world: World) -> list[Judged]:
    """Every version that the gate has judged, once for each stage."""
    columns = ("family", "version", "ds", "stage", "check", "passed", "sentence")
    rows = world.lake.scan(VERDICTS).select(columns).collect().sort("check")
    judged = []
    for (family, version, slot, stage), verdicts in rows.group_by("family", "version", "ds", "stage"):
        failed = verdicts.filter(~pl.col("passed")).select(pl.format("{}: {}", "check", "sentence"))
        if family in world.platform.families and isinstance(slot, date):
            at_stage: Stage = "release" if stage == "release" else "candidate"
            judged.append(Judged(str(family), int(str(version)), slot, at_stage, tuple(failed.to_series())))
    return judged


def judgement(world: World, due: DueVersion) -> tuple[float, str]:
    """When the judgement was passed, in seconds since 1970, and in which run; now and nowhere where it is not known."""
    group = "validation" if due.judged.stage == "candidate" else "releases"
    key = dg.AssetKey([group, due.judged.family])
    only = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(due.judged.slot)])
    records = world.instance.fetch_materializations(only, limit=1).records
    return (records[0].timestamp, records[0].run_id) if records else (datetime.now(tz=UTC).timestamp(), "")


def news_of_version(world: World, due: DueVersion, run_id: str) -> VersionNews:
    """What a message on a trained or refused version says."""
    one = due.judged
    reason = "; ".join(one.refusals) or "it passed every check on its holdout"
    before = _in_use_beside(world, one.family, one.version)
    news = VersionNews(due.what, one.family, one.version, one.slot, reason, "", before, run_id)
    return _with_registered(world, news)


def news_of_decision(world: World, family: str, decided: Decided) -> VersionNews:
    """What a message on a decision says."""
    what = WHAT_OF_KIND.get(decided.kind, "approved")
    slot = decided.slot if decided.version else None
    before, run_id = decided.previous, decided.run_id
    news = VersionNews(what, family, decided.version, slot, decided.reason, decided.by, before, run_id)
    return _with_registered(world, news)


def picture_of(world: World, family: str, version: int) -> bytes:
    """The picture of NDCG by slot that was stored with a version; empty where there is none."""
    if not version:
        return b""
    try:
        with world.registry.artifact(world.registry.version(family, version), FOLDER) as folder:
            return (folder / PICTURE).read_bytes()
    except (RegistryError, OSError):
        return b""


def read_failed_runs(world: World, since: float) -> Mapping[str, dg.RunRecord]:
    """The newest failed runs by their ids, the oldest first."""
    # Some databases keep whole seconds of when a run was updated.
    not_long_before = datetime.fromtimestamp(since, tz=UTC) - timedelta(seconds=1)
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=not_long_before)
    records = world.instance.get_run_records(failed, limit=RUNS_LOOKED_AT)
    return {one.dagster_run.run_id: one for one in reversed(records) if (one.end_time or since) >= since}


def news_of_run(world: World, run: dg.DagsterRun) -> RunNews | None:
    """What a message on a failed run says; None where only the gate has stopped it, which is a normal outcome."""
    entries = world.instance.all_logs(run.run_id, WHY_A_RUN_FAILED)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    failures = failures_of(events)
    errors = tuple((step.replace("__", "/"), words) for step, words in failures.errors)
    if not errors and failures.refusals:
        return None
    if not errors:
        last = next((event.message for event in reversed(events) if event.is_run_failure), None)
        errors = (("", last or "it ended without saying why"),)
    job = "a selection of assets" if run.job_name == ANY_ASSETS else run.job_name
    return RunNews(run.run_id, job, _days(run), errors, world.platform.owner)


def read_alerts(world: World, since: float) -> Iterator[tuple[str, float, AlertNews]]:
    """Key, moment and news of guardrails that failed of late; what is evaluated again for a day is the same news."""
    failed = {AssetCheckExecutionRecordStatus.FAILED}
    for check in world.guards:
        history = world.instance.event_log_storage.get_asset_check_execution_history(
            check, limit=EVALUATIONS_LOOKED_AT, status=failed
        )
        for record in history:
            entry = record.event
            if entry is None or entry.dagster_event is None or entry.timestamp < since:
                continue
            evaluation = entry.dagster_event.asset_check_evaluation_data
            run = world.instance.get_run_by_id(record.run_id)
            # A run of several days evaluates the check for the newest of them.
            asset, day = check.asset_key.to_user_string(), "" if run is None else _days(run).rpartition(" to ")[2]
            figures = {name: words for name, value in evaluation.metadata.items() if (words := _figure(value))}
            sentence = evaluation.description or "it did not pass"
            news = AlertNews(asset, check.name, day, sentence, figures, record.run_id, world.platform.owner)
            yield f"alert:{asset}:{check.name}:{day or record.run_id}", entry.timestamp, news


def _with_registered(world: World, news: VersionNews) -> VersionNews:
    """The news with what the registry knows of its versions; what somebody deleted there is told without."""
    version, before = (_registered(world, news.family, number) for number in (news.version, news.before))
    if version is not None:
        is_said = version.status_reason == news.reason
        news = replace(
            news,
            status=version.status if is_said else f"{version.status}: {version.status_reason}",
            metrics=world.registry.metrics(version),
            mlflow_run=version.run_id,
        )
    return news if before is None else replace(news, before_metrics=world.registry.metrics(before))


def _registered(world: World, family: str, number: int) -> ModelVersion | None:
    try:
        return world.registry.version(family, number) if number else None
    except RegistryError:
        return None


def _figure(value: dg.MetadataValue) -> str:
    """A number or a short text; empty for everything else that the UI shows."""
    if isinstance(value, dg.FloatMetadataValue):
        return "" if value.value is None else f"{value.value:.4g}"
    return str(value.value) if isinstance(value, (dg.IntMetadataValue, dg.TextMetadataValue)) else ""


def _days(run: dg.DagsterRun) -> str:
    """The partition of a run, or the first and the last; empty for none."""
    return " to ".join(dict.fromkeys(run.tags[tag] for tag in (PARTITION_TAG, *RANGE_TAGS) if tag in run.tags))


def _in_use_beside(world: World, family: str, version: int) -> int:
    """The version in use, or where that is this very one by now, the one that it has followed; 0 for none."""
    try:
        in_use = world.registry.approved(family)
    except RegistryError:  # somebody's own version, which says nothing about ours
        return 0
    if in_use is None or in_use.version != version:
        return 0 if in_use is None else in_use.version
    approval = read_approval(world.instance, family)
    return 0 if approval is None else approval.previous


def _without_user(uri: str) -> str:
    """The address of an MLflow server, to be shown; empty for a database."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
