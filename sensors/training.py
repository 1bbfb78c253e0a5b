"""Watches the days: the newest slot whose days are closed and ingested is trained."""

from datetime import UTC, datetime

import dagster as dg

from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import Landing
from sensors.decisions import training
from sensors.requests import run_requests
from sensors.state import read_attempts, read_days, read_outcomes, read_windows, running_slots


def build_training_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts training."""

    @dg.sensor(
        job_name="train",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Starts `train` for the newest slot whose days are closed and ingested.",
    )
    def training_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, landing: Landing
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = datetime.now(tz=UTC)
        days = read_days(platform, lake, landing, context.instance, now)
        outcomes = read_outcomes(platform, lake, context.instance)
        starts = training(days, read_windows(platform, now), outcomes, running_slots(context.instance))
        attempts = read_attempts(context.instance, "train")
        return run_requests(starts, attempts, "the newest slot is trained, or its days are not closed yet")

    return training_sensor
