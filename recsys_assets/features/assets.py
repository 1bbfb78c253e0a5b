"""The assets of the group `features`, made from the declarations of the views: read, compute, write, check.

What a view means stays in `views`, what a check looks at in `checks`.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import INTERACTIONS, ITEMS, PAST_STATES, TRAINING_SET, Table
from recsys_assets.features.checks import (
    BLOCKING,
    Finding,
    catalogue_finding,
    checks_of,
    key_findings,
    row_count_finding,
)
from recsys_assets.features.materialized import day_contents, record_interactions, record_view
from recsys_assets.features.past import KEPT, LakePast, end_of_month_before
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import require_rows
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import VIEWS
from recsys_assets.operating import TRAINING_POOL, fresh_by
from recsys_assets.partitions import day_partitions, day_to_history, slot_partitions, slot_to_days
from recsys_assets.platform import Platform
from recsys_assets.presentation import column_lineage, day_range, described, slot_of, written
from recsys_assets.slot_window import ONE_DAY, days_between, slot_window
from resources.engine import Engine
from resources.lake import Days, DeltaLake, Spool

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
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        partitions = day_range(context) if by_day else (slot_of(context), slot_of(context))
        store = FeatureStore(platform, lake, engine)
        contents = day_contents(lake)
        with TemporaryDirectory(prefix="recsys-features-") as folder:
            rows = Spool(view.table, Path(folder, "rows"))
            findings, removed = _judged(store, view, partitions, rows)
            against = [finding.sentence for finding in findings if not finding.passed]
            if against:
                yield from _results(view.table, findings)
                raise dg.Failure(f"{view.table.name} is left as it was: {'; '.join(against)}")
            version = lake.replace(view.table, rows, partitions)
            findings += _oddities(store, view, rows, partitions)
            _record(store, view, partitions, contents)
            more = {"removed_by_rule": removed, **column_lineage(view.table), **_by_split(view, rows)}
            yield written(lake, view.table, rows, version, check_results=_results(view.table, findings), **more)

    return rows_of_view


def _judged(
    store: FeatureStore, view: FeatureView, partitions: Days, rows: Spool
) -> tuple[list[Finding], dict[str, int]]:
    """Compute and check the rows, portion by portion, up to the first that fails; all that pass say the same.

    Returns:
        What was found, and how much each rule had removed as of the last day.
    """
    findings: list[Finding] = []
    removed: dict[str, int] = {}
    for portion, removed in _portions(store, view, partitions):  # noqa: B007 - the last one counts
        findings = key_findings(view, portion)
        if not all(finding.passed for finding in findings):
            break
        rows.add(portion)
    return findings, removed


def _portions(
    store: FeatureStore, view: FeatureView, partitions: Days
) -> Iterator[tuple[pl.DataFrame, dict[str, int]]]:
    """The rows to store, some days at once; a training set that cannot be trained on or judged by is refused."""
    first, last = partitions
    if view.partitions == "day":
        for begin in days_between(first, last)[::DAYS_AT_ONCE]:
            yield store.compute_counted(view, begin, min(last, begin + (DAYS_AT_ONCE - 1) * ONE_DAY))
        return
    rows, removed = store.compute_counted(view, first - ONE_DAY, first - ONE_DAY)
    require_rows(rows, slot_window(store.platform, first))
    yield rows.with_columns(ds=pl.lit(first)), removed


def _record(store: FeatureStore, view: FeatureView, partitions: Days, contents: Any) -> None:
    """Write last which days are stored, and what they were made of."""
    if view.table is INTERACTIONS:
        record_interactions(store.lake, store.platform, partitions)
    elif view.partitions == "day":
        record_view(store.lake, store.platform, view, partitions, contents)


def _by_split(view: FeatureView, rows: Spool) -> dict[str, int]:
    if view.table is not TRAINING_SET:
        return {}
    return {f"{split}_rows": n for split, n in rows.scan().group_by("split").len().sort("split").collect().iter_rows()}


def _oddities(store: FeatureStore, view: FeatureView, rows: Spool, partitions: Days) -> list[Finding]:
    """What is worth a look and no reason to stop."""
    wanted = checks_of(view, has_catalogue=_has_catalogue(store.platform))
    limits = store.platform.view_checks
    first, last = partitions
    findings = []
    if "items_are_known" in wanted:
        ever = store.lake.scan(ITEMS, (store.platform.first_day, last)).select("item_id").unique()
        unnamed = rows.scan().join(ever, on="item_id", how="anti").select(pl.len())
        unknown = unnamed.collect(engine="streaming").item()
        findings.append(catalogue_finding(unknown, rows.height, limits.max_unknown_item_share))
    if "row_count_is_usual" in wanted:
        trailing = (first - timedelta(days=limits.trailing_days), last)
        counts = dict(store.lake.scan(view.table, trailing).group_by("ds").len().collect().iter_rows())
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
    def states(lake: DeltaLake, engine: Engine) -> dg.MaterializeResult:
        newest = max(day_contents(lake), default=None)
        if newest is None:
            return dg.MaterializeResult(metadata={"kept": "nothing is ingested yet"})
        day = end_of_month_before(newest)
        written_rows = LakePast(lake, engine).keep(day)
        return dg.MaterializeResult(metadata={"as_of": str(day), "written_rows": written_rows})

    return states
