"""The assets `recommendations/<family>`: every user's list by one family's approved version, for a day."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, INTERACTIONS, recommendations_table
from recsys_assets.features.store import FeatureStore
from recsys_assets.inference.family_day import FamilyDay
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.partitions import day_partitions, day_to_history
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from resources.engine import Engine
from resources.lake import DeltaLake, Spool
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
        with TemporaryDirectory(prefix="recsys-lists-") as folder:
            rows = Spool(table, Path(folder, "rows"))
            for day in days_between(*days):
                for some in FamilyDay.of(store, family, model_registry, day).lists():
                    rows.add(some)
            delta = lake.replace(table, rows, days)
            return written(lake, table, rows, delta, **_counts(rows))

    return lists


def _counts(rows: Spool) -> dict[str, Any]:
    """Metadata: which versions ranked, and how many lists are fallbacks."""
    by_version = rows.scan().group_by("version").agg(pl.col("is_fallback").sum()).sort("version")
    counted = by_version.collect(engine="streaming")
    return {"versions": counted["version"].to_list(), "fallback_lists": int(counted["is_fallback"].sum())}
