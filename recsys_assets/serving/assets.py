"""The asset of the group `serving`: the final lists of a day, published to the online store as one generation."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, FINAL_RECOMMENDATIONS
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import OWNER, day_range
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.serving.generations import UserList, current, publish
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore

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
        deps=[dg.AssetKey(table.key) for table in (FINAL_RECOMMENDATIONS, EXCLUSIONS, ELIGIBLE_ITEMS)],
        kinds={"redis"},
        owners=[OWNER],
    )
    def online_store(
        context: dg.AssetExecutionContext,
        lake: DeltaLake,
        model_registry: ModelRegistry,
        online_store: OnlineStore,
    ) -> dg.MaterializeResult:
        day = day_range(context)[1]  # of a range, only the newest is worth serving
        client = online_store.connect()
        serving = current(client)
        if serving is not None and serving.as_of > day:
            return dg.MaterializeResult(metadata={"is_published": False, "in_use": serving.name})
        final = lake.scan(FINAL_RECOMMENDATIONS, (day, day)).collect()
        if not final["item_ids"].list.len().sum():
            raise dg.Failure(
                f"recommendations/final of {day} holds no item for anybody, so it is not published; see whether "
                "features/eligible_items is empty, or whether any version is approved"
            )
        versions = {one["family"]: one["version"] for one in final["versions"].item(0)}
        version = model_registry.version(FALLBACK_FAMILY, int(versions[FALLBACK_FAMILY]))
        model = load_release(model_registry, fallback.family, version).model
        popular = popular_list(model, lake, day, platform.recommendations.list_length)
        generation = publish(client, day, versions, _user_lists(lake, final, day), popular)
        return dg.MaterializeResult(
            metadata={
                "is_published": True,
                "generation": generation.name,
                "lists": generation.lists,
                "versions": dg.MetadataValue.json(dict(versions)),
            },
            data_version=dg.DataVersion(generation.name),
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


def _user_lists(lake: DeltaLake, final: pl.DataFrame, day: date) -> Iterator[UserList]:
    exclusions = lake.scan(EXCLUSIONS, (day, day)).select("user_id", excluded="item_ids").collect()
    rows = final.select("user_id", "item_ids").join(exclusions, on="user_id", how="left")
    for user_id, item_ids, excluded in rows.iter_rows():
        yield UserList(user_id, item_ids, excluded or ())
