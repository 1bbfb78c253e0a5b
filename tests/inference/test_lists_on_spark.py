"""Lists made by tasks of Spark are the lists that this machine makes, from the same artifacts and features."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, INTERACTIONS, recommendations_table
from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Interactions
from recsys_assets.platform import Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from resources.engine import Engine, PolarsEngine, SparkEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

DAY, SLOT = date(2026, 3, 1), date(2026, 2, 20)
USERS, ITEMS, DAYS = 90, 40, 25
FAMILIES = ("popularity", "als", "item_item")


@dataclass(frozen=True)
class Shop:
    """A day of a shop whose lists are due."""

    platform: Platform
    lake: DeltaLake
    registry: ModelRegistry

    def materialized(self, name: str, engine: Engine) -> tuple[pl.DataFrame, dict[str, Any]]:
        """The lists of one family, and what the asset says of them."""
        result = dg.materialize(
            [build_family_lists(self.platform, configured_families(self.platform)[name])],
            partition_key=str(DAY),
            resources={"lake": self.lake, "engine": engine, "model_registry": self.registry},
        )
        (event,) = result.get_asset_materialization_events()
        said = {key: value.value for key, value in event.materialization.metadata.items() if key != "delta_version"}
        rows = self.lake.scan(recommendations_table(name), (DAY, DAY)).collect()
        return rows.sort("user_id"), said


@pytest.fixture(scope="module")
def shop(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Some users have a history and some have none, and to each something else is forbidden; two arms are served."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(11)
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"] |= {"als": {"parameters": {"factors": 6, "iterations": 3}}, "item_item": {}}
    content["families"]["item_item"]["history_days"] = 9
    content["recommendations"] = {"list_length": 12, "block_users": 7}
    arms = {"control": {"share": 0.5}, "newer": {"share": 0.5, "versions": {"als": 2, "popularity": 2}}}
    content["experiments"] = {"trial": {"first_day": str(DAY + timedelta(days=1)), "arms": arms}}
    shop = Shop(
        Platform.model_validate(content),
        DeltaLake(root=str(folder / "lake")),
        ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts")),
    )
    did = interactions(rng)
    shop.lake.replace(INTERACTIONS, did, (DAY - timedelta(days=DAYS), DAY))
    shop.lake.replace(EXCLUSIONS, exclusions(rng), (DAY, DAY))
    shop.lake.replace(ELIGIBLE_ITEMS, eligible(rng), (DAY, DAY))
    learned = did.select("user_id", "item_id", pl.col("ds").alias("day"), pl.col("purchases").cast(pl.Float64))
    for family in configured_families(shop.platform).values():
        for number in (1, 2):
            rows = learned.rename({"purchases": "weight"}).head(-number * 20).select(HISTORY_SCHEMA.names())
            model = family.family.fit(Interactions(rows, DAY), family.parameters, number)
            release(shop.registry, family.family, Artifact(model, Provenance(SLOT, SLOT, 0, 3, "abc", "1.0")), folder)
    return shop


def interactions(rng: np.random.Generator) -> pl.DataFrame:
    pairs = {
        (int(user), int(item)) for user, item in zip(rng.integers(0, 60, 500), rng.integers(0, ITEMS, 500), strict=True)
    }
    rows = [
        {
            "ds": DAY - timedelta(days=int(rng.integers(0, DAYS))),
            "user_id": f"u{user}",
            "item_id": f"i{item}",
            "purchases": 1,
            "quantity": 1,
        }
        for user, item in sorted(pairs)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"ds": pl.Date, "purchases": pl.Int64, "quantity": pl.Int64})
    moment = pl.col("ds").cast(INTERACTIONS.schema["last_at"]).alias("last_at")
    whole = pl.concat([pl.DataFrame(schema=INTERACTIONS.schema), frame.with_columns(moment)], how="diagonal")
    return whole.with_columns(pl.col(pl.Int64, pl.Float64).fill_null(0)).sort("ds", "user_id", "item_id")


def exclusions(rng: np.random.Generator) -> pl.DataFrame:
    def some(prefix: str, many: int, most: int) -> list[str]:
        return [f"{prefix}{one}" for one in sorted(set(rng.integers(0, many, rng.integers(0, most)).tolist()))]

    rows = []
    for user in range(USERS):
        owned = some("i", ITEMS, 12)
        rows.append((DAY, f"u{user}", owned, ["owned"] * len(owned), some("c", 6, 3), some("g", 4, 2), user % 3 == 0))
    return pl.DataFrame(rows, schema=EXCLUSIONS.schema, orient="row")


def eligible(rng: np.random.Generator) -> pl.DataFrame:
    rows = [
        (DAY, f"i{item}", f"c{rng.integers(0, 6)}", f"g{rng.integers(0, 4)}", bool(rng.random() < 0.3))
        for item in range(ITEMS)
        if rng.random() < 0.9
    ]
    return pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")


def release(registry: ModelRegistry, family: Family, artifact: Artifact, folder: Path) -> None:
    number = len(registry.versions(family.name)) + 1
    where = folder / f"{family.name}{number}"
    where.mkdir()
    save(artifact, family, where)
    version = registry.register(family.name, SLOT, where, tags={TRAINED_THROUGH: str(SLOT)}, params={})
    registry.add_artifact(version, where, "release")
    registry.set_status(version, "Approved", "for the test")
    if number == 1:
        registry.point_approved_at(version)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_list_is_the_same_from_the_same_artifact(shop: Shop, spark_engine: SparkEngine, name: str) -> None:
    if name != "popularity":
        shop.materialized("popularity", PolarsEngine())
    here, said_here = shop.materialized(name, PolarsEngine())
    there, said_there = shop.materialized(name, spark_engine)
    assert here.height == USERS
    assert set(here["version"]) == ({"1", "2"} if name != "item_item" else {"1"})
    assert there.drop("scores").equals(here.drop("scores"))
    scores = [rows.select(pl.col("scores").explode())["scores"].to_numpy() for rows in (here, there)]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5)
    assert said_there == said_here
    if name != "popularity":
        assert 0 < here["is_fallback"].sum() < USERS


def test_a_day_without_features_is_an_error_that_says_what_to_do(shop: Shop, spark_engine: SparkEngine) -> None:
    kept = shop.lake.scan(EXCLUSIONS, (DAY, DAY)).collect()
    shop.lake.replace(EXCLUSIONS, kept.clear(), (DAY, DAY))
    with pytest.raises(dg.Failure, match="materialize the features of the day first"):
        shop.materialized("als", spark_engine)
    shop.lake.replace(EXCLUSIONS, kept, (DAY, DAY))


def test_before_the_first_approval_there_are_no_lists(shop: Shop, spark_engine: SparkEngine, tmp_path: Path) -> None:
    nothing = ModelRegistry(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=str(tmp_path / "artifacts"))
    lake = DeltaLake(root=str(tmp_path / "lake"))
    lists, said = Shop(shop.platform, lake, nothing).materialized("als", spark_engine)
    assert (lists.height, said["versions"], said["fallback_lists"]) == (0, [], 0)
