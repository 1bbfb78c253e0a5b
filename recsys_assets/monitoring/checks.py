"""The checks on `monitoring/online_metrics`: one guardrail for each family that has one in `recsys.yaml`.

They tell, and stop nothing: what follows is decided in `guardrail_decision`, by whoever watches the metrics.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from recsys_assets.columns import ONLINE_METRICS
from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.guarded import judgements
from recsys_assets.monitoring.guardrail import Judgement
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from resources.lake import DeltaLake


def build_checks(platform: Platform) -> list[dg.AssetChecksDefinition]:
    """One check per guarded family."""
    return [_guardrail(platform, family, guardrail) for family, guardrail in platform.guardrails.items()]


def check_name(family: str) -> str:
    """The name of a family's guardrail among the checks on `monitoring/online_metrics`."""
    return f"guardrail_{family}"


def _guardrail(platform: Platform, family: str, guardrail: Guardrail) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(ONLINE_METRICS.key),
        name=check_name(family),
        blocking=False,
        partitions_def=day_partitions(platform),
        description=(
            f"No version of {family} in service has certainly lost more than {guardrail.allowed_drop:.0%} of its "
            f"{guardrail.metric}, against the family's own {guardrail.trailing_days} days before it or against the "
            "users of other arms. It fails only when that is certain, on at least two days with enough users, and "
            f"calls out a version that keeps inside its range with probability {guardrail.alpha:.0%} at most, however "
            "many days it is looked at."
        ),
    )
    def check(context: dg.AssetCheckExecutionContext, lake: DeltaLake) -> dg.AssetCheckResult:
        day = _day(context, lake)
        return result([] if day is None else judgements(lake, platform, family, day))

    return check


def result(found: Sequence[Judgement]) -> dg.AssetCheckResult:
    """What the check of a family says: it fails where one of the versions is below its range.

    Args:
        found: Every version that was judged.
    """
    sentences = [one.sentence for one in found] or ["nothing to judge: no day with enough impressions and users"]
    metadata: dict[str, Any] = {"judged": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences))}
    for one in found:
        metadata |= {f"version {one.version}: {name}": value for name, value in _numbers(one).items()}
    below = [one.sentence for one in found if one.state == "below"]
    return dg.AssetCheckResult(
        passed=not below,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(below or sentences),
        metadata=metadata,
    )


def _numbers(one: Judgement) -> dict[str, float | str]:
    numbers: dict[str, float | str] = {"decision": one.state, "allowed drop": one.allowed_drop}
    numbers |= {"days": float(one.days), "days before": float(one.usual_days), "since": str(one.stretch.since)}
    if one.fall is not None and one.fall.interval is not None:
        numbers |= {"actual": one.fall.actual, "baseline": one.fall.usual, "change": one.fall.change}
        numbers |= {"change, low end": one.fall.interval[0], "change, high end": one.fall.interval[1]}
    if one.others is not None:
        numbers["change of everything else shown"] = one.others.change
    if one.arms is not None and one.arms.always is not None:
        numbers |= {"change against other arms": one.arms.change}
        numbers |= {"against arms, low end": one.arms.always[0], "against arms, high end": one.arms.always[1]}
    return numbers


def _day(context: dg.AssetCheckExecutionContext, lake: DeltaLake) -> date | None:
    """The day that is checked; in a run of several days there is one check, of the newest that is stored."""
    if context.has_partition_key:
        return date.fromisoformat(context.partition_key)
    return max(lake.days(ONLINE_METRICS.name), default=None)
