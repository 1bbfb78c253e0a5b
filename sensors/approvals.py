"""Watches the registry: an alias that was moved in MLflow, or a decision that was left undone, is recorded."""

import dagster as dg

from recsys_assets.platform import Platform
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.deciding import DecidingError, standing_at_rest
from recsys_assets.registry.promotions import approved_key
from resources.model_registry import ModelRegistry
from sensors.requests import worth_trying
from sensors.state import KEY_TAG, read_attempts


def build_approvals_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts recording what was not decided here."""

    @dg.sensor(
        job_name="decide",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.interval_seconds,
        description="Starts `decide` when the alias, the status or an unfinished decision in MLflow is not recorded.",
    )
    def approvals_sensor(
        context: dg.SensorEvaluationContext, model_registry: ModelRegistry
    ) -> list[dg.RunRequest] | dg.SkipReason:
        unsettled = {
            family: key for family in platform.families if (key := _unsettled(context, model_registry, family))
        }
        requests = [
            dg.RunRequest(
                run_key=key,
                job_name="decide",
                asset_selection=[approved_key(family)],
                run_config=decision_config(family, decision="record"),
                tags={KEY_TAG: key},
            )
            for family, key in unsettled.items()
        ]
        attempts = read_attempts(context.instance, "decide")
        return worth_trying(requests, attempts, "the registry and Dagster's history agree")

    return approvals_sensor


def _unsettled(context: dg.SensorEvaluationContext, registry: ModelRegistry, family: str) -> str | None:
    """What there is to record, as a key; None while somebody decides, who records it himself.

    The lock says who is at it, and not the state of runs: the run of a killed command is under way forever.
    """
    try:
        standing = standing_at_rest(context.instance, registry, family, patience=0)
    except DecidingError:
        return None
    return None if standing.is_settled else f"{family}:{standing.summary}"
