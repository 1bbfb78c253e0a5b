"""The assets `recommendations/<family>`: every user's list by one family's approved version, for a day."""

from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EXCLUSIONS,
    INTERACTIONS,
    Table,
    recommendations_table,
)
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions
from recsys_assets.models.ranking import rank
from recsys_assets.partitions import day_partitions, day_to_history
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.registry.serving_versions import load_release, version_for_day
from recsys_assets.slot_window import days_between
from resources.engine import Engine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry


def build_family_lists(platform: Platform, family: ConfiguredFamily) -> dg.AssetsDefinition:
    """The lists of one family."""
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


def _rows(lake: DeltaLake, table: Table, day: date) -> pl.DataFrame:
    return lake.scan(table, (day, day)).collect()
