"""Watches what was shown: a day is measured when it is ingested, and again until nothing more can be credited to it."""

import dagster as dg

from recsys_assets.monitoring.shown import stale_days
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from sensors.decisions import monitoring
from sensors.requests import run_requests
from sensors.state import read_attempts


def build_monitoring_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts measuring."""

    @dg.sensor(
        job_name="monitor",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Starts `monitor` for days with impressions that are not measured, or not as they are by now.",
    )
    def monitoring_sensor(context: dg.SensorEvaluationContext, lake: DeltaLake) -> list[dg.RunRequest] | dg.SkipReason:
        starts = monitoring(stale_days(lake, platform))
        return run_requests(starts, read_attempts(context.instance, "monitor"), "every day is measured as it is")

    return monitoring_sensor
