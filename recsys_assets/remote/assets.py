"""Assets of the groups that are computed by Spark jobs: the same asset in the graph, another place that computes it.

Partitions, checks, pools and backfills stay what they are. What a job does stays in `recsys_assets.spark_jobs`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.platform import Platform
from recsys_assets.remote.code import package_digest
from recsys_assets.remote.results import FAILURE, understood
from resources.spark_jobs import JobOutcome, SparkJobs

SPARK_JOBS = "spark_jobs"
"""The resource; without it everything is computed here."""
ENGINE_OF_GROUP = {
    "sources": "sources",
    "features": "features",
    "past": "features",
    "models": "models",
    "releases": "models",
    "recommendations": "recommendations",
}
STAYS_HERE = frozenset({dg.AssetKey(FINAL_RECOMMENDATIONS.key)})
"""Blending needs approvals from Dagster's history, and holds one user's lists at a time."""
DAGSTERS_TAGS = ("dagster/", ".dagster/")


def computed_by_jobs(
    platform: Platform, assets: Sequence[dg.AssetsDefinition | dg.AssetSpec], resources: Mapping[str, Any]
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets, with those of the Spark groups computed by jobs where the resources have a place for jobs.

    Args:
        platform: The configuration, which every job is told.
        assets: All of them.
        resources: Resource name to resource.
    """
    jobs = resources.get(SPARK_JOBS)
    if jobs is None:
        return list(assets)
    return [
        _as_job(platform, one) if isinstance(one, dg.AssetsDefinition) and _runs_as_job(one, jobs) else one
        for one in assets
    ]


def _runs_as_job(asset: dg.AssetsDefinition, jobs: SparkJobs) -> bool:
    groups = {ENGINE_OF_GROUP.get(spec.group_name or "") for spec in asset.specs}
    return groups <= set(jobs.groups) and not asset.keys & STAYS_HERE


def _as_job(platform: Platform, asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The same asset; its body asks for a job and hands on what it reports."""

    @dg.multi_asset(
        name=asset.op.name,
        specs=list(asset.specs),
        check_specs=list(asset.check_specs),
        can_subset=asset.can_subset,
        partitions_def=asset.partitions_def,
        backfill_policy=asset.backfill_policy,
        pool=asset.op.pool,
        retry_policy=asset.op.retry_policy,
        op_tags=asset.op.tags,
        required_resource_keys={SPARK_JOBS},
    )
    def by_job(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        jobs: SparkJobs = getattr(context.resources, SPARK_JOBS)
        asked = extras(platform, context, jobs.environment)
        outcome = jobs.run(context, title(context), asked)
        for result in outcome.results:
            yield understood(result, outcome.facts)
        _require_success(outcome, context)

    return by_job


def title(context: dg.AssetExecutionContext) -> str:
    """What the step computes, for people: assets, and partitions if there are any."""
    first, *others = sorted(key.to_user_string() for key in context.selected_asset_keys)
    begin, end = _partitions(context)
    days = begin if begin == end else f"{begin}..{end}"
    return " ".join(part for part in (first, f"and {len(others)} more" if others else "", days) if part)


def extras(platform: Platform, context: dg.AssetExecutionContext, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the job is told besides the assets, which Pipes says by itself; of ranges of partitions it says nothing."""
    begin, end = _partitions(context)
    own_tags = {name: value for name, value in context.run.tags.items() if not name.startswith(DAGSTERS_TAGS)}
    return {
        "package": package_digest(),
        "platform": platform.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "environment": dict(environment),
        "first_partition": begin,
        "last_partition": end,
        "tags": own_tags,
    }


def _partitions(context: dg.AssetExecutionContext) -> tuple[str, str]:
    if context.assets_def.partitions_def is None:
        return "", ""
    keys = context.partition_key_range
    return keys.start, keys.end


def _require_success(outcome: JobOutcome, context: dg.AssetExecutionContext) -> None:
    """A job that failed, or ended well without having reported everything, is a failure of the step.

    Raises:
        dg.Failure: It says what the job said, and names the job.
    """
    words = [str(message[FAILURE]) for message in outcome.messages if isinstance(message, dict) and FAILURE in message]
    if words:
        raise dg.Failure(f"{words[0]} [{outcome.place}]")
    if outcome.failure is not None:
        raise dg.Failure(f"{outcome.place} ended without a word: {outcome.failure}")
    reported = {one.asset_key for one in outcome.results if isinstance(one, dg.MaterializeResult)}
    lost = sorted(key.to_user_string() for key in context.selected_asset_keys - reported)
    if lost:
        raise dg.Failure(f"{outcome.place} ended well and did not report {', '.join(lost)}; run it again")
