"""Watches what the page of the newest day is made of: when anything of it changes, the page is written again."""

from datetime import UTC, date, datetime

import dagster as dg

from recsys_assets.monitoring.dashboard_assets import written_from
from recsys_assets.monitoring.dashboard_readings import made_of
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import Landing
from sensors.decisions import Start, dashboard
from sensors.requests import run_requests
from sensors.state import UNFINISHED, read_attempts, read_days

WAITS_FOR = {"ingest", "monitor", "recommend", "decide"}
"""Short runs whose outcome the page tells. It does not wait for training."""


def build_dashboard_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that has the page written."""

    @dg.sensor(
        job_name="dashboard",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.patient_interval_seconds,
        description="Starts `dashboard` when anything has changed that the page of the newest day says.",
    )
    def dashboard_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, landing: Landing
    ) -> list[dg.RunRequest] | dg.SkipReason:
        if _is_under_way(context.instance):
            return dg.SkipReason("waits for what is under way: the page would be old at once")
        day = read_days(platform, lake, landing, context.instance, datetime.now(tz=UTC)).newest_settled()
        starts = next_page(platform, lake, context.instance, day)
        return run_requests(starts, read_attempts(context.instance, "dashboard"), "the page says how it stands")

    return dashboard_sensor


def next_page(platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance, day: date | None) -> list[Start]:
    """Read what the page of `day` is made of, and decide; `recsys run` asks the same."""
    if day is None:
        return []
    return dashboard(day, made_of(platform, lake, instance), written_from(instance, day))


def _is_under_way(instance: dg.DagsterInstance) -> bool:
    return any(run.job_name in WAITS_FOR for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)))
