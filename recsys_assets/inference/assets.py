"""The assets of the group `recommendations`: the lists of each family for a day, and the final ones."""

from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EXCLUSIONS,
    FINAL_RECOMMENDATIONS,
    INTERACTIONS,
    Table,
    recommendations_table,
)
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.composition import final_lists
from recsys_assets.models.family import Interactions
from recsys_assets.models.ranking import rank
from recsys_assets.partitions import day_partitions, day_to_history
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.registry.serving_versions import load_release, version_for_day
from recsys_assets.slot_window import days_between
from recsys_assets.validation.stored_weights import serving_weights
from recsys_assets.validation.weights import Weights, are_alike, configured_weights, in_words, why_not_in_force
from resources.engine import Engine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

DEFAULT_ARM = "default"
WAITING = "weights_waiting"
"""Metadata: configured weights that are not in force, and how to get them in."""


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One asset per configured family, and `final`."""
    families = configured_families(platform).values()
    return [*(_family_lists(platform, family) for family in families), _final(platform)]


def _family_lists(platform: Platform, family: ConfiguredFamily) -> dg.AssetsDefinition:
    table = recommendations_table(family.name)
    history = dg.AssetDep(dg.AssetKey(INTERACTIONS.key), partition_mapping=day_to_history())
    fallback = [] if family.name == FALLBACK_FAMILY else [dg.AssetKey(["recommendations", FALLBACK_FAMILY])]

    @dg.asset(
        **described(table),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            history,
            dg.AssetKey(EXCLUSIONS.key),
            dg.AssetKey(ELIGIBLE_ITEMS.key),
            dg.AssetKey(["approved", family.name]),
            *fallback,
        ],
        kinds={"deltalake", "python"},
    )
    def lists(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        days = day_range(context)
        store = FeatureStore(platform, lake, engine)
        rows = pl.concat([_lists_of(store, family, model_registry, day) for day in days_between(*days)])
        versions = rows["version"].unique().sort().to_list()
        delta = lake.replace(table, rows, days)
        return written(lake, table, rows, delta, versions=versions, fallback_lists=int(rows["is_fallback"].sum()))

    return lists


def _lists_of(store: FeatureStore, family: ConfiguredFamily, registry: ModelRegistry, day: date) -> pl.DataFrame:
    """Rows of `recommendations/<family>` for one day; none where no version serves the day."""
    table = recommendations_table(family.name)
    version = version_for_day(registry, family.name, day)
    if version is None:
        return pl.DataFrame(schema=table.schema)
    model = load_release(registry, family.family, version).model
    exclusions, eligible = (_rows(store.lake, one, day) for one in (EXCLUSIONS, ELIGIBLE_ITEMS))
    if exclusions.is_empty():
        raise dg.Failure(f"features/exclusions holds nobody as of {day}; materialize the features of the day first")
    recommendations = store.platform.recommendations
    ranked = rank(
        model,
        Interactions(store.history(day, family.settings.ranked_days), day),
        exclusions["user_id"],
        exclusions,
        eligible,
        n=recommendations.list_length,
        block_users=recommendations.block_users,
    ).with_columns(is_fallback=pl.lit(value=False))
    if family.name != FALLBACK_FAMILY:
        popular = _rows(store.lake, recommendations_table(FALLBACK_FAMILY), day)
        rest = popular.join(ranked, on="user_id", how="anti").with_columns(is_fallback=pl.lit(value=True))
        ranked = pl.concat([ranked, rest.select(ranked.columns)])
    labelled = ranked.with_columns(ds=pl.lit(day), version=pl.lit(str(version.version)))
    return labelled.select(table.schema.names()).sort("user_id")


def _final(platform: Platform) -> dg.AssetsDefinition:
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
    lists = {name: _rows(lake, recommendations_table(name), day) for name in platform.families}
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


def _rows(lake: DeltaLake, table: Table, day: date) -> pl.DataFrame:
    return lake.scan(table, (day, day)).collect()
