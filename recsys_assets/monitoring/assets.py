"""The assets `monitoring/online_metrics` and `monitoring/user_outcomes`: how what was shown on a day did with users.

A day is measured with the clicks and purchases that are known. Its attribution window reaches into later days: until
these are ingested, its rows say that they are not final, and `shown.stale_days` asks for the day again. So figures are
there in the morning, and nobody mistakes them for the last word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import (
    EVENTS,
    IMPRESSIONS,
    ONLINE_DAYS,
    ONLINE_FIGURES,
    ONLINE_METRICS,
    POOLED,
    SET_ASIDE_IMPRESSIONS,
    USER_OUTCOMES,
)
from recsys_assets.monitoring.attribution import BROUGHT
from recsys_assets.monitoring.online_figures import figures_of
from recsys_assets.monitoring.online_sums import sums_of
from recsys_assets.monitoring.shown import eligible_items, ingested_contents, is_final, made_of, read_shown
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import column_lineage, day_range, described, written
from recsys_assets.registry.online import OnlineDay, keep_online_day
from recsys_assets.slot_window import days_between
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

HOURS_A_DAY = 24
_KEPT = tuple(
    column.name
    for column in ONLINE_METRICS.columns
    if column.dtype.is_numeric() and not column.name.endswith("_se")  # the ends of the interval say the same
)
PLOTTED = ("impressions", "users", "clicks", "purchases", *ONLINE_FIGURES)
"""Figures of the whole lists, which the UI plots by day."""


@dataclass(frozen=True)
class Measured:
    """What a day came to, once it is stored.

    Attributes:
        day: The day.
        is_final: Whether nothing more can be credited to it.
        metrics: Its rows of `ONLINE_METRICS`.
        users: How many rows of `USER_OUTCOMES` it has.
        set_aside: Its rows of `SET_ASIDE_IMPRESSIONS`.
        account: Its row of `ONLINE_DAYS`.
    """

    day: date
    is_final: bool
    metrics: pl.DataFrame
    users: int
    set_aside: pl.DataFrame
    account: Mapping[str, Any]


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The metrics, and the sums per user that they are made of: one step."""
    later_days = -(-platform.monitoring.attribution_hours // HOURS_A_DAY)
    window = dg.TimeWindowPartitionMapping(0, later_days, allow_nonexistent_upstream_partitions=True)
    deps = [dg.AssetDep(dg.AssetKey(table.key), partition_mapping=window) for table in (IMPRESSIONS, EVENTS)]
    tables = (USER_OUTCOMES, ONLINE_METRICS)

    @dg.multi_asset(
        name="online_metrics",
        specs=[
            dg.AssetSpec(
                **described(table), deps=deps, kinds={"deltalake", "polars"}, partitions_def=day_partitions(platform)
            )
            for table in tables
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def online_metrics(
        context: dg.AssetExecutionContext, lake: DeltaLake, model_registry: ModelRegistry
    ) -> Iterator[dg.MaterializeResult]:
        measured = [measure_day(platform, lake, model_registry, day) for day in days_between(*day_range(context))]
        metrics = pl.concat(one.metrics for one in measured)
        keep_newest(model_registry, metrics)
        users = {"dagster/partition_row_count": sum(one.users for one in measured), **column_lineage(USER_OUTCOMES)}
        yield written(lake, USER_OUTCOMES, metrics, lake.version(USER_OUTCOMES.name), **users)
        shown = {**shown_of(measured[-1]), **column_lineage(ONLINE_METRICS)}
        yield written(lake, ONLINE_METRICS, metrics, lake.version(ONLINE_METRICS.name), **shown)

    return [online_metrics]


def measure_day(platform: Platform, lake: DeltaLake, registry: ModelRegistry, day: date) -> Measured:
    """Measure a day and store what it came to; what it was made of is written last.

    A day without impressions has no rows, and is recorded all the same.
    """
    contents = ingested_contents(lake)  # as they were before anything else is read
    final = is_final(platform, contents, day)
    shown = read_shown(platform, lake, registry, day)
    eligible = eligible_items(platform, lake, day)
    figures = figures_of(sums_of(shown.counted, shown.hits, eligible), eligible.len(), day, is_final=final)
    set_aside = shown.judgement.set_aside(shown.impressions, day)
    whole = figures.metrics.filter(_is_over_all(), pl.col("family") == POOLED)
    counted = int(whole["impressions"].sum())
    account = {
        "ds": day,
        "impressions": counted + int(set_aside["impressions"].sum()),
        "counted": counted,
        "events_before": shown.credited.events_before,
        "is_final": final,
        "made_of": made_of(platform, contents, day),
    }
    for table, rows in (
        (SET_ASIDE_IMPRESSIONS, set_aside),
        (USER_OUTCOMES, figures.users),
        (ONLINE_METRICS, figures.metrics),
        (ONLINE_DAYS, pl.DataFrame([account], schema=ONLINE_DAYS.schema)),
    ):
        lake.replace(table, rows, (day, day))
    return Measured(day, final, figures.metrics, figures.users.height, set_aside, account)


def keep_newest(registry: ModelRegistry, metrics: pl.DataFrame) -> None:
    """Keep with each version its figures over all surfaces and arms of the newest day, unless a newer one is kept.

    Args:
        registry: Where the versions are.
        metrics: Rows of `ONLINE_METRICS`, the oldest day first.
    """
    rows = metrics.filter(_is_over_all(), pl.col("family") != POOLED)
    newest = rows.unique(["family", "version"], keep="last", maintain_order=True)
    for (family,), of_family in newest.group_by("family", maintain_order=True):
        versions = {str(one.version): one for one in registry.versions(str(family))}
        for row in of_family.iter_rows(named=True):
            numbers = {name: row[name] for name in _KEPT if row[name] is not None}
            keep_online_day(registry, versions[row["version"]], OnlineDay(row["ds"], row["is_final"], numbers))


def shown_of(measured: Measured) -> dict[str, Any]:
    """Metadata: what became of the impressions of the day, the figures of the whole lists, and all as a table."""
    account = {name: value for name, value in measured.account.items() if name not in ("ds", "made_of")}
    reasons = measured.set_aside.group_by("reason").agg(pl.col("impressions").sum()).sort("reason")
    over_all = measured.metrics.filter(_is_over_all()).drop("ds", "surface", "arm")
    whole = over_all.filter(pl.col("family") == POOLED).to_dicts()
    figures = {name: value for name, value in (whole[0] if whole else {}).items() if name in PLOTTED}
    records = [dg.TableRecord(row) for row in over_all.select(*BROUGHT, *PLOTTED).iter_rows(named=True)]
    return {
        "day": str(measured.day),
        **account,
        "set_aside": dg.MetadataValue.json(dict(reasons.iter_rows())),
        **{f"{POOLED}_{name}": value for name, value in figures.items() if value is not None},
        **({"by_version": dg.MetadataValue.table(records)} if records else {"note": "nothing was shown on this day"}),
    }


def _is_over_all() -> pl.Expr:
    return pl.col("surface").is_null() & pl.col("arm").is_null()
