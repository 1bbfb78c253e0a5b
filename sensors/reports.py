"""Watches what happened: versions, decisions, guardrails and failed runs are told, each once."""

import dagster as dg

from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.notifier import Notifier
from sensors.happenings import World
from sensors.telling import guardrail_checks, tell_news


def build_reports_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that tells; it starts no runs."""

    @dg.sensor(
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Tells Slack, or the log, of trained and decided versions, guardrails and failed runs.",
    )
    def reports_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, model_registry: ModelRegistry, notifier: Notifier
    ) -> dg.SkipReason:
        repository = context.repository_def
        guards = guardrail_checks(repository.asset_graph) if repository else frozenset()
        told: list[str] = []
        tell_news(World(platform, context.instance, lake, model_registry, guards), notifier, told.append)
        for line in told:
            context.log.info(line)
        return dg.SkipReason("; ".join(told) or "nothing new to tell")

    return reports_sensor
