"""Watches features and approvals: when either is newer than the published lists, the newest day is computed again."""

from datetime import UTC, datetime

import dagster as dg

from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import Landing
from sensors.decisions import Start, inference
from sensors.requests import run_requests
from sensors.state import features_version, published_key, read_approvals, read_days, running_inferences


def build_inference_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts daily inference."""

    @dg.sensor(
        job_name="recommend",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Starts `recommend` when features or approved versions are newer than the published lists.",
    )
    def inference_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, landing: Landing
    ) -> list[dg.RunRequest] | dg.SkipReason:
        starts = next_inference(platform, lake, landing, context.instance, datetime.now(tz=UTC))
        return run_requests(starts, "the published lists are up to date, or nothing is approved yet")

    return inference_sensor


def next_inference(
    platform: Platform, lake: DeltaLake, landing: Landing, instance: dg.DagsterInstance, now: datetime
) -> list[Start]:
    """Read what inference depends on, and decide."""
    day = read_days(platform, lake, landing, instance, now).newest_settled()
    published = None if day is None else published_key(instance, day)
    return inference(
        day,
        features_version(lake),
        read_approvals(platform, instance),
        published,
        running_inferences(instance),
    )
