"""Watches the guardrails: a version that has certainly fallen out of its range is taken back, as a person would."""

from collections.abc import Callable, Iterator
from datetime import date

import dagster as dg

from recsys_assets.columns import GUARDRAILS
from recsys_assets.experiments import running_experiment
from recsys_assets.monitoring.guarded import judgements
from recsys_assets.monitoring.guardrail_decision import Rollback, Serving, decide
from recsys_assets.platform import Platform
from recsys_assets.registry.approval import RefusedError, choose_former
from recsys_assets.registry.deciding import Judge
from recsys_assets.registry.decision import GUARDRAIL
from recsys_assets.registry.holds import taken_back
from recsys_assets.registry.promotions import read_approval, read_newest_decision
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from sensors.decisions import Start
from sensors.requests import run_requests
from sensors.state import read_attempts


def build_guardrail_sensor(platform: Platform) -> dg.SensorDefinition:
    """The sensor that starts rollbacks."""

    @dg.sensor(
        job_name="decide",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=platform.sensors.patient_interval_seconds,
        description="Starts `decide` to take a version back whose online metric has certainly fallen out of its range.",
    )
    def guardrail_sensor(
        context: dg.SensorEvaluationContext, lake: DeltaLake, model_registry: ModelRegistry
    ) -> list[dg.RunRequest] | dg.SkipReason:
        starts = list(next_rollbacks(platform, lake, context.instance, lambda: model_registry))
        return run_requests(starts, read_attempts(context.instance, "decide"), "nothing calls for a rollback")

    return guardrail_sensor


def next_rollbacks(
    platform: Platform, lake: DeltaLake, instance: dg.DagsterInstance, registry: Callable[[], ModelRegistry]
) -> Iterator[Start]:
    """Read what the guardrails say of the newest day, and decide; `recsys run` asks the same.

    Args:
        platform: The configuration.
        lake: Holds what was measured.
        instance: Holds the decisions.
        registry: Opens the registry; only where a version is below its range, because its first answer takes seconds.
    """
    day = max(lake.days(GUARDRAILS.name), default=None)
    if day is None:
        return
    for family, guardrail in platform.guardrails.items():
        below = [one for one in judgements(lake, platform, family, day) if one.state == "below"]
        newest = read_newest_decision(instance, family)
        if not below or newest is None:
            continue
        serving = _serving(platform, lake, instance, registry(), family, day)
        for judgement in below:
            decision = decide(judgement, guardrail, serving, day)
            if isinstance(decision, Rollback):
                yield _take_back(decision, day, newest.event_id)


def _take_back(rollback: Rollback, day: date, seen: int) -> Start:
    """The run that takes a version back; it is refused if somebody decides on the family before it does.

    Args:
        rollback: What a guardrail calls for.
        day: The newest day that it was judged by.
        seen: Id of the newest decision on the family.
    """
    asks: dict[str, str | int] = {
        "decision": "rollback",
        "version": rollback.to,
        "reason": rollback.reason,
        "by": GUARDRAIL,
        "as_of": str(day),
        "seen": seen,
    }
    key = f"take_back:{rollback.family}:{rollback.version}:{seen}"
    return Start("decide", key, day, day, family=rollback.family, asks=asks)


def _serving(
    platform: Platform,
    lake: DeltaLake,
    instance: dg.DagsterInstance,
    registry: ModelRegistry,
    family: str,
    day: date,
) -> Serving:
    in_use = read_approval(instance, family)
    try:
        former = choose_former(registry.versions(family), registry.approved(family), Judge(lake).against_going_back)
    except RefusedError:  # nothing is in use
        former = None
    running = running_experiment(platform, day)
    arms = platform.experiments[running].arms.values() if running else ()
    return Serving(
        in_use=None if in_use is None else in_use.version,
        previous=None if former is None else former.version,
        in_arms=frozenset(arm.versions[family] for arm in arms if arm.versions and family in arm.versions),
        taken_back=taken_back(instance, family),
    )
