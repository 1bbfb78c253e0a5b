"""The assets `recommendations/<family>`: every user's list by one family's approved version, for a day."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import narwhals as nw

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, INTERACTIONS, recommendations_table
from recsys_assets.features.store import FeatureStore
from recsys_assets.inference.family_day import FamilyDay
from recsys_assets.inference.lists_on_spark import staged_lists
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.partitions import day_partitions, day_to_history
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range, described, written
from recsys_assets.slot_window import days_between
from resources.engine import Engine, Engines, Portion, SparkEngine, Waiting
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
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        days, used = day_range(context), engine.of("recommendations")
        store = FeatureStore(platform, lake, used)
        with TemporaryDirectory(prefix="recsys-lists-") as folder:
            rows = used.waiting(lake, table, Path(folder, "rows"))
            for day in days_between(*days):
                for portion in _lists(FamilyDay.of(store, family, model_registry, day), model_registry):
                    used.add(portion, rows)
            delta = lake.replace(table, rows, days)
            return written(lake, table, rows, delta, **_counts(used, rows))

    return lists


def _lists(made: FamilyDay, registry: ModelRegistry) -> Iterator[Portion]:
    """The rows of a day, made by the engine of the group."""
    if not isinstance(made.store.engine, SparkEngine):
        return made.lists()
    fallback = configured_families(made.store.platform)[FALLBACK_FAMILY]
    return staged_lists(made.store.engine, made, FamilyDay.of(made.store, fallback, registry, made.day))


def _counts(engine: Engine, rows: Waiting) -> dict[str, Any]:
    """Metadata: which versions ranked, and how many lists are fallbacks."""
    by_version = engine.lazy(rows).group_by("version").agg(nw.col("is_fallback").cast(nw.Int64).sum())
    counted = engine.collect(by_version).sort("version")
    return {"versions": counted["version"].to_list(), "fallback_lists": int(counted["is_fallback"].sum())}
