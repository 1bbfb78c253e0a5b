"""The assets of the group `features`, made from the declarations of the views: read, compute, write, check.

What a view means stays in `views`, what a check looks at in `checks`.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import narwhals as nw

from recsys_assets.columns import INTERACTIONS, ITEMS, PAST_STATES, TRAINING_SET, Table
from recsys_assets.features.checks import (
    BLOCKING,
    Finding,
    catalogue_finding,
    checks_of,
    key_counts,
    key_findings,
    row_count_finding,
    schema_finding,
)
from recsys_assets.features.materialized import day_contents, record_interactions, record_view
from recsys_assets.features.past import KEPT, LakePast, end_of_month_before
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import require_rows
from recsys_assets.features.view import Applied, FeatureView
from recsys_assets.features.views import VIEWS
from recsys_assets.operating import TRAINING_POOL, fresh_by
from recsys_assets.partitions import day_partitions, day_to_history, slot_partitions, slot_to_days
from recsys_assets.platform import Platform
from recsys_assets.presentation import column_lineage, day_range, described, slot_of, written
from recsys_assets.slot_window import ONE_DAY, days_between, slot_window
from resources.engine import Engines, Waiting
from resources.lake import Days, DeltaLake

DAYS_AT_ONCE = 30
"""A longer range is computed in plans of this many days, so that a year of events needs no year's memory."""
STATES_KEY = dg.AssetKey(PAST_STATES.key)


def build_assets(platform: Platform) -> list[Any]:
    """The feature assets of a platform: one per view, and the states that make reading the past cheap."""
    stored = [_asset(platform, view) for view in VIEWS.values() if view.is_stored]
    return [*stored, *(_virtual(platform, view) for view in VIEWS.values() if not view.is_stored), _states()]


def _asset(platform: Platform, view: FeatureView) -> dg.AssetsDefinition:
    by_day = view.partitions == "day"

    @dg.asset(
        **described(view.table),
        partitions_def=day_partitions(platform) if by_day else slot_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run() if by_day else None,
        deps=[_dependency(platform, view, table) for table in view.inputs],
        check_specs=[
            dg.AssetCheckSpec(name, asset=dg.AssetKey(view.table.key), description=meaning, blocking=name in BLOCKING)
            for name, meaning in checks_of(view, has_catalogue=_has_catalogue(platform)).items()
        ],
        code_version=view.version,
        freshness_policy=fresh_by(platform, platform.freshness.features_by) if by_day else None,
        pool=None if by_day else TRAINING_POOL,
        kinds={"deltalake", "polars"},
    )
    def rows_of_view(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        partitions = day_range(context) if by_day else (slot_of(context), slot_of(context))
        store = FeatureStore(platform, lake, engine.of("features"))
        contents = day_contents(lake)
        with TemporaryDirectory(prefix="recsys-features-") as folder:
            rows = store.engine.waiting(lake, view.table, Path(folder, "rows"))
            findings, removed = _judged(store, view, partitions, rows)
            against = [finding.sentence for finding in findings if not finding.passed]
            if against:
                yield from _results(view.table, findings)
                raise dg.Failure(f"{view.table.name} is left as it was: {'; '.join(against)}")
            by_split = _by_split(store, view, rows, partitions)
            version = lake.replace(view.table, rows, partitions)
            findings += _oddities(store, view, rows, partitions)
            _record(store, view, partitions, contents)
            more = {"removed_by_rule": removed, **column_lineage(view.table), **by_split}
            yield written(lake, view.table, rows, version, check_results=_results(view.table, findings), **more)

    return rows_of_view


def _judged(
    store: FeatureStore, view: FeatureView, partitions: Days, rows: Waiting
) -> tuple[list[Finding], dict[str, int]]:
    """Compute and check the rows, portion by portion, up to the first that fails; all that pass say the same.

    Returns:
        What was found, and how much each rule had removed as of the last day.
    """
    findings: list[Finding] = []
    removed: dict[str, int] = {}
    for days, plan in _plans(store, view, partitions):
        findings = [schema_finding(view, plan.frame.collect_schema().to_polars())]
        if findings[0].passed:
            portion, removed = store.compute_counted(view, plan, days)
            counts = store.engine.collect(key_counts(view, store.engine.lazy(portion)))
            findings += key_findings(view, counts.row(0, named=True))
        if not all(finding.passed for finding in findings):
            break
        store.engine.add(portion, rows)
    return findings, removed


def _plans(store: FeatureStore, view: FeatureView, partitions: Days) -> Iterator[tuple[Days, Applied]]:
    """What to compute at once: some days, or a slot, which is as of the day before it."""
    first, last = partitions
    if view.partitions == "slot":
        plan = store.plan(view, first - ONE_DAY, first - ONE_DAY)
        yield partitions, Applied(plan.frame.with_columns(nw.lit(first).alias("ds")), plan.counts)
        return
    all_days = days_between(first, last)
    is_one_plan = store.engine.spills and view.keeps == "changes"
    at_once = len(all_days) if is_one_plan else DAYS_AT_ONCE
    for begin in all_days[::at_once]:
        days = begin, min(last, begin + (at_once - 1) * ONE_DAY)
        yield days, store.plan(view, *days)


def _record(store: FeatureStore, view: FeatureView, partitions: Days, contents: Any) -> None:
    """Write last which days are stored, and what they were made of."""
    if view.table is INTERACTIONS:
        record_interactions(store.lake, store.platform, partitions)
    elif view.partitions == "day":
        record_view(store.lake, store.platform, view, partitions, contents)


def _by_split(store: FeatureStore, view: FeatureView, rows: Waiting, partitions: Days) -> dict[str, int]:
    """The rows of each split of a training set; one that cannot be trained on or judged by is refused."""
    if view.table is not TRAINING_SET:
        return {}
    splits = store.engine.lazy(rows).group_by("split").agg(nw.len().alias("rows"))
    counts = dict(store.engine.collect(splits).sort("split").iter_rows())
    require_rows(counts, slot_window(store.platform, partitions[0]))
    return {f"{split}_rows": number for split, number in counts.items()}


def _oddities(store: FeatureStore, view: FeatureView, rows: Waiting, partitions: Days) -> list[Finding]:
    """What is worth a look and no reason to stop."""
    wanted = checks_of(view, has_catalogue=_has_catalogue(store.platform))
    limits = store.platform.view_checks
    first, last = partitions
    findings = []
    if "items_are_known" in wanted:
        ever = store.engine.scan(store.lake, ITEMS, (store.platform.first_day, last)).select("item_id").unique()
        unnamed = store.engine.lazy(rows).join(ever, on="item_id", how="anti").select(nw.len().alias("rows"))
        unknown = int(store.engine.collect(unnamed).item())
        findings.append(catalogue_finding(unknown, rows.height, limits.max_unknown_item_share))
    if "row_count_is_usual" in wanted:
        trailing = (first - timedelta(days=limits.trailing_days), last)
        by_day = store.engine.scan(store.lake, view.table, trailing).group_by("ds").agg(nw.len().alias("rows"))
        counts = dict(store.engine.collect(by_day).iter_rows())
        findings.append(row_count_finding(counts, first, last, limits))
    return findings


def _results(table: Table, findings: list[Finding]) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=finding.check,
            asset_key=dg.AssetKey(table.key),
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if finding.check in BLOCKING else dg.AssetCheckSeverity.WARN,
            description=finding.sentence,
            metadata={"actual": finding.actual, "threshold": finding.threshold},
        )
        for finding in findings
    ]


def _dependency(platform: Platform, view: FeatureView, table: Table) -> dg.AssetDep:
    """How the partitions of a view depend on those of an input."""
    if view.partitions == "slot":
        mapping: dg.TimeWindowPartitionMapping | None = slot_to_days(platform)
    else:
        mapping = None if view.reach_days == 1 else day_to_history()
    return dg.AssetDep(dg.AssetKey(table.key), partition_mapping=mapping)


def _has_catalogue(platform: Platform) -> bool:
    return ITEMS.key[-1] in platform.sources


def _virtual(platform: Platform, view: FeatureView) -> dg.AssetSpec:
    """A view without a table of its own: a place in the graph with its columns, computed whenever it is read."""
    inputs = [dg.AssetKey(["recommendations", family]) for family in platform.families]
    return dg.AssetSpec(**described(view.table), deps=inputs, partitions_def=day_partitions(platform), kinds={"view"})


def _states() -> dg.AssetsDefinition:
    sources = {kept.source.name: kept.source for kept in KEPT}.values()

    @dg.asset(**described(PAST_STATES), deps=[dg.AssetKey(table.key) for table in sources], kinds={"deltalake"})
    def states(lake: DeltaLake, engine: Engines) -> dg.MaterializeResult:
        newest = max(day_contents(lake), default=None)
        if newest is None:
            return dg.MaterializeResult(metadata={"kept": "nothing is ingested yet"})
        day = end_of_month_before(newest)
        written_rows = LakePast(lake, engine.of("features")).keep(day)
        return dg.MaterializeResult(metadata={"as_of": str(day), "written_rows": written_rows})

    return states
