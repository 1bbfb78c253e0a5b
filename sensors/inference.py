"""Watches features and approvals: when either is newer than the published lists, the newest day is computed again."""

from collections.abc import Collection
from datetime import UTC, date, datetime

import dagster as dg

from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import Landing
from resources.online_store import OnlineStore
from sensors.decisions import Start, inference
from sensors.requests import run_requests
from sensors.state import (
    features_state,
    published_key,
    read_approvals,
    read_attempts,
    read_days,
    running_inferences,
)


def build_inference_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts daily inference."""

    @dg.sensor(
        job_name="recommend",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Starts `recommend` when features or approved versions are newer than the published lists.",
    )
    def inference_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, landing: Landing, online_store: OnlineStore
    ) -> list[dg.RunRequest] | dg.SkipReason:
        instance = context.instance
        day = read_days(platform, lake, landing, instance, datetime.now(tz=UTC)).newest_settled()
        starts = next_inference(platform, lake, instance, online_store, day, running_inferences(instance))
        attempts = read_attempts(instance, "recommend")
        return run_requests(starts, attempts, "the published lists are up to date, or nothing is approved yet")

    return inference_sensor


def next_inference(
    platform: Platform,
    lake: DeltaLake,
    instance: dg.DagsterInstance,
    online_store: OnlineStore,
    day: date | None,
    running: Collection[date],
) -> list[Start]:
    """Read what the lists of `day` depend on, and decide; `recsys run` asks the same."""
    published = None if day is None else published_key(instance, online_store, day)
    return inference(day, features_state(platform, lake), read_approvals(platform, instance), published, running)
