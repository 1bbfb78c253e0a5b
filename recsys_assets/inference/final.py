"""The asset `recommendations/final`: the lists of the families of a day, blended and composed into one per user."""

from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import FINAL_RECOMMENDATIONS, recommendations_table
from recsys_assets.models.composition import final_lists
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from recsys_assets.validation.stored_weights import serving_weights
from recsys_assets.validation.weights import Weights, are_alike, configured_weights, in_words, why_not_in_force
from resources.lake import DeltaLake

DEFAULT_ARM = "default"
WAITING = "weights_waiting"
"""Metadata: configured weights that are not in force, and how to get them in."""


def build_final(platform: Platform) -> dg.AssetsDefinition:
    """The lists that are published."""

    @dg.asset(
        **described(FINAL_RECOMMENDATIONS),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetKey(["recommendations", name]) for name in platform.families],
        kinds={"deltalake", "polars"},
    )
    def final(context: dg.AssetExecutionContext, lake: DeltaLake) -> dg.MaterializeResult:
        days = day_range(context)
        weights = {day: serving_weights(lake, platform, day) for day in days_between(*days)}
        rows = pl.concat([_final_lists(platform, lake, *one) for one in weights.items()])
        delta = lake.replace(FINAL_RECOMMENDATIONS, rows, days)
        full = rows["item_ids"].list.len() == platform.recommendations.list_length
        more: dict[str, Any] = {"full_lists": int(full.sum()), "fallback_lists": int(rows["is_fallback"].sum())}
        more |= _blended_with(platform, weights[days[1]])
        if WAITING in more:
            context.log.warning(more[WAITING])
        return written(lake, FINAL_RECOMMENDATIONS, rows, delta, **more)

    return final


def _blended_with(platform: Platform, weights: Weights) -> dict[str, str]:
    """Metadata: the weights that blended the newest day, and why these are not the configured ones, if so."""
    asked = configured_weights(platform)
    shown = {"weights": in_words(weights)}
    return shown if are_alike(asked, weights) else {**shown, WAITING: why_not_in_force(asked, weights)}


def _final_lists(platform: Platform, lake: DeltaLake, day: date, weights: Weights) -> pl.DataFrame:
    """Rows of `recommendations/final` for one day."""
    lists = {name: lake.scan(recommendations_table(name), (day, day)).collect() for name in platform.families}
    if lists[FALLBACK_FAMILY].is_empty():  # a day before the first approval
        return pl.DataFrame(schema=FINAL_RECOMMENDATIONS.schema)
    composed = final_lists(lists, weights, FALLBACK_FAMILY, platform.recommendations.list_length)
    versions = [
        {"family": name, "version": rows["version"].item(0)} for name, rows in lists.items() if not rows.is_empty()
    ]
    schema = FINAL_RECOMMENDATIONS.schema
    return composed.with_columns(
        ds=pl.lit(day),
        arm=pl.lit(DEFAULT_ARM),
        versions=pl.lit(pl.Series([versions], dtype=schema["versions"])).first(),
    ).select(schema.names())
