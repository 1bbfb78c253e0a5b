"""Watches the landing: a new or changed day is ingested."""

from datetime import UTC, datetime

import dagster as dg

from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import Landing
from sensors.decisions import ingestion
from sensors.requests import run_requests
from sensors.state import read_attempts, read_days


def build_landing_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts ingestion."""

    @dg.sensor(
        job_name="ingest",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Starts `ingest` for days whose files are new or changed, and for closed days without files.",
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, landing: Landing
    ) -> list[dg.RunRequest] | dg.SkipReason:
        days = read_days(platform, lake, landing, context.instance, datetime.now(tz=UTC))
        attempts = read_attempts(context.instance, "ingest")
        return run_requests(ingestion(days, attempts.failed), attempts, "every landed day is ingested")

    return landing_sensor
