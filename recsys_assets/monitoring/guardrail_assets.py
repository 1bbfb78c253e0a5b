"""The asset `monitoring/guardrails`: what each guardrail said after each day. Nothing is done about it here."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import GUARDRAILS, ONLINE_METRICS, USER_OUTCOMES
from recsys_assets.monitoring.guarded import as_rows, judgements
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from resources.lake import DeltaLake


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The asset, where a family is guarded."""
    return [_guardrails(platform)] if platform.guardrails else []


def _guardrails(platform: Platform) -> dg.AssetsDefinition:
    @dg.asset(
        **described(GUARDRAILS),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetKey(ONLINE_METRICS.key), dg.AssetKey(USER_OUTCOMES.key)],
        kinds={"deltalake", "polars"},
    )
    def guardrails(context: dg.AssetExecutionContext, lake: DeltaLake) -> dg.MaterializeResult:
        days = day_range(context)
        rows = pl.concat([GUARDRAILS.schema.to_frame(), *_rows(platform, lake, days_between(*days))])
        delta = lake.replace(GUARDRAILS, rows, days)
        newest = rows.filter(pl.col("ds") == days[1])["sentence"].to_list()
        return written(lake, GUARDRAILS, rows, delta, judged="; ".join(newest) or "nothing to judge yet")

    return guardrails


def _rows(platform: Platform, lake: DeltaLake, days: list[date]) -> Iterator[pl.DataFrame]:
    for day in days:
        for family in platform.guardrails:
            yield as_rows(judgements(lake, platform, family, day), day)
