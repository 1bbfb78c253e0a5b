"""Watches stored days of snapshot views: those that a late file or a changed rule made old are computed again."""

import dagster as dg

from recsys_assets.features.materialized import stale_days
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from sensors.decisions import refresh
from sensors.requests import run_requests
from sensors.state import read_attempts


def build_refresh_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts computing stale days again."""

    @dg.sensor(
        job_name="refresh",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.patient_interval_seconds,
        description="Starts `refresh` for stored days of snapshot views that are made of something else by now.",
    )
    def refresh_sensor(context: dg.SensorEvaluationContext, lake: DeltaLake) -> list[dg.RunRequest] | dg.SkipReason:
        starts = refresh(stale_days(lake, platform, SNAPSHOTS))
        attempts = read_attempts(context.instance, "refresh")
        return run_requests(starts, attempts, "every stored day is up to date")

    return refresh_sensor
