"""The asset of the group `serving`: the final lists of a day, published to the online store as one generation."""

import time
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, FINAL_RECOMMENDATIONS, INTERACTIONS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.operating import fresh_by, tried_again_after
from recsys_assets.partitions import day_partitions, day_to_history
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import day_range
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.serving.generation import StoreLostError
from recsys_assets.serving.generations import Generation, newest, publish_portions
from recsys_assets.serving.portions import portions, versions_by_arm
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore, OnlineStoreError

ANONYMOUS = pl.Series("user_id", [""])
ONLINE_STORE_KEY = dg.AssetKey(["serving", "online_store"])


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The publication."""
    fallback = configured_families(platform)[FALLBACK_FAMILY]

    @dg.asset(
        key=ONLINE_STORE_KEY,
        group_name="serving",
        description="The final lists, exclusions and the list for unknown users, published as one generation.",
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            dg.AssetDep(dg.AssetKey(INTERACTIONS.key), partition_mapping=day_to_history()),
            *(dg.AssetKey(table.key) for table in (FINAL_RECOMMENDATIONS, EXCLUSIONS, ELIGIBLE_ITEMS)),
        ],
        freshness_policy=fresh_by(platform, platform.freshness.lists_by),
        kinds={"redis"},
    )
    def online_store(
        context: dg.AssetExecutionContext,
        lake: DeltaLake,
        engine: Engines,
        model_registry: ModelRegistry,
        online_store: OnlineStore,
    ) -> dg.MaterializeResult:
        day = day_range(context)[1]  # of a range, only the newest is worth serving
        with tried_again_after(OnlineStoreError):
            client = online_store.connect()
        held = newest(client)
        if held is not None and held.as_of > day:
            return dg.MaterializeResult(metadata={"is_published": False, "newest": held.name})
        if _holds_no_item(lake, day):
            raise dg.Failure(
                f"recommendations/final of {day} holds no item for anybody, so it is not published; see whether "
                "features/eligible_items is empty, or whether any version is approved"
            )
        store = FeatureStore(platform, lake, engine.of("features"))
        arms = versions_by_arm(store, day)
        control = next(iter(arms.values()))
        version = model_registry.version(FALLBACK_FAMILY, int(control[FALLBACK_FAMILY]))
        model = load_release(model_registry, fallback.family, version).model
        popular = popular_list(model, lake, day, platform.recommendations.list_length)
        began = time.monotonic()
        with tried_again_after(StoreLostError):
            generation = publish_portions(client, day, arms, portions(store, day), popular)
        return dg.MaterializeResult(
            metadata=_figures(generation, time.monotonic() - began), data_version=dg.DataVersion(generation.name)
        )

    return [online_store]


def popular_list(model: Model, lake: DeltaLake, day: date, length: int) -> list[str]:
    """What somebody of whom nothing is known gets: popular, eligible, and fit for everybody."""
    nobody = pl.DataFrame(schema=EXCLUSIONS.schema)
    nothing = Interactions(pl.DataFrame(schema=HISTORY_SCHEMA), day)
    eligible = lake.scan(ELIGIBLE_ITEMS, (day, day)).collect()
    ranked = rank(model, nothing, ANONYMOUS, nobody, eligible, n=length)
    items: list[str] = ranked["item_ids"].item(0).to_list()
    return items


def _holds_no_item(lake: DeltaLake, day: date) -> bool:
    lengths = lake.scan(FINAL_RECOMMENDATIONS, (day, day)).select(pl.col("item_ids").list.len().sum())
    return not lengths.collect().item()


def _figures(generation: Generation, seconds: float) -> dict[str, Any]:
    """Metadata of a publication."""
    return {
        "is_published": True,
        "generation": generation.name,
        "lists": generation.lists,
        "arms": dg.MetadataValue.json({arm: dict(versions) for arm, versions in generation.arms.items()}),
        "versions": dg.MetadataValue.json(dict(generation.versions)),
        "exclusion_filters": generation.filters,
        "bytes": generation.size,
        "seconds": round(seconds, 3),
        "lists_per_second": round(generation.lists / seconds, 1),
    }
