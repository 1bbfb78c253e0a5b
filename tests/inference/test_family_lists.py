"""`recommendations/<family>`: a list for everybody, by the version that serves them, whatever is in memory at once."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, INTERACTIONS, recommendations_table
from recsys_assets.experiments import UnusableVersionError, arms_of
from recsys_assets.inference import family_day
from recsys_assets.inference.family_day import FamilyDay
from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.models import item_item, popularity
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import Family
from recsys_assets.platform import Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

DAY, TOMORROW = date(2026, 3, 1), date(2026, 3, 2)
SLOT = date(2026, 2, 20)
READERS, STRANGERS = ("ann", "cleo", "eve"), ("bob", "dan", "fay")
EVERYBODY = sorted(READERS + STRANGERS)
Configured = Callable[..., Platform]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, tiny_release: Any) -> ModelRegistry:
    """Version 1 of both families is in use; of item_item, 2 is approved too, 3 is rejected, and 4 knows tomorrow."""
    folder = tmp_path_factory.mktemp("registry")
    registry = ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))

    def register(family: Family, status: str, through: date) -> None:
        number = len(registry.versions(family.name)) + 1
        release = folder / f"{family.name}{number}"
        tiny_release(family, SLOT, release)
        version = registry.register(family.name, SLOT, release, tags={TRAINED_THROUGH: str(through)}, params={})
        registry.add_artifact(version, release, "release")
        registry.set_status(version, status, "for the test")
        if number == 1:
            registry.point_approved_at(version)

    register(popularity.FAMILY, "Approved", SLOT)
    for status, through in (("Approved", SLOT), ("Approved", SLOT), ("Rejected", SLOT), ("Approved", TOMORROW)):
        register(item_item.FAMILY, status, through)
    return registry


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """A day after which six people want lists of the items a and b, of whom three took something lately."""
    lake = DeltaLake(root=str(tmp_path / "lake"))
    bought = [{"ds": DAY - timedelta(days=age), "user_id": one, "item_id": "a"} for age, one in enumerate(READERS)]
    moment = pl.col("ds").cast(INTERACTIONS.schema["last_at"])
    once = pl.DataFrame(bought).with_columns(
        purchases=pl.lit(1, pl.Int64), quantity=pl.lit(1, pl.Int64), last_at=moment
    )
    rows = pl.concat([pl.DataFrame(schema=INTERACTIONS.schema), once], how="diagonal")
    filled = rows.with_columns(pl.col(pl.Int64, pl.Float64).fill_null(0))
    lake.replace(INTERACTIONS, filled, (DAY - timedelta(days=9), DAY))
    owned = {reader: ["a"] for reader in READERS}
    excluded = [(DAY, one, owned.get(one, []), ["owned"] * len(owned.get(one, [])), [], [], False) for one in EVERYBODY]
    lake.replace(EXCLUSIONS, pl.DataFrame(excluded, schema=EXCLUSIONS.schema, orient="row"), (DAY, DAY))
    eligible = [(DAY, item, None, None, False) for item in "ab"]
    lake.replace(ELIGIBLE_ITEMS, pl.DataFrame(eligible, schema=ELIGIBLE_ITEMS.schema, orient="row"), (DAY, DAY))
    return lake


@pytest.fixture
def configured(tiny_platform: Platform) -> Configured:
    """The tiny shop with both families."""

    def platform(**more: Any) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["families"] |= {"item_item": {"window_days": 30}}
        return Platform.model_validate(content | more)

    return platform


def materialize(platform: Platform, lake: DeltaLake, registry: ModelRegistry, name: str) -> dict[str, Any]:
    """Make the lists of one family for the day; what the asset says of them."""
    result = dg.materialize(
        [build_family_lists(platform, configured_families(platform)[name])],
        partition_key=str(DAY),
        resources={"lake": lake, "engine": PolarsEngine(), "model_registry": registry},
    )
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def lists(lake: DeltaLake, name: str) -> pl.DataFrame:
    return lake.scan(recommendations_table(name), (DAY, DAY)).collect()


def both(platform: Platform, lake: DeltaLake, registry: ModelRegistry) -> dict[str, Any]:
    materialize(platform, lake, registry, "popularity")
    return materialize(platform, lake, registry, "item_item")


def test_whom_the_family_knows_gets_a_list_of_its_own_and_everybody_else_the_fallback(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry
) -> None:
    said = both(configured(), lake, registry)
    rows = lists(lake, "item_item").select("user_id", "item_ids", "version", "is_fallback").rows()
    assert rows == [
        (user, ["b"], "1", False) if user in READERS else (user, ["b", "a"], "1", True) for user in EVERYBODY
    ]
    assert (said["versions"], said["fallback_lists"]) == (["1"], 3)
    assert not lists(lake, "popularity")["is_fallback"].any()


def test_how_many_users_are_in_memory_at_once_changes_no_row(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(configured(), lake, registry)
    before = [lists(lake, name) for name in ("popularity", "item_item")]
    monkeypatch.setattr(family_day, "PORTION_USERS", 4)
    both(configured(recommendations={"block_users": 3}), lake, registry)
    assert [one.equals(lists(lake, name)) for one, name in zip(before, ("popularity", "item_item"), strict=True)] == [
        True,
        True,
    ]
    assert lists(lake, "item_item")["user_id"].to_list() == EVERYBODY


def test_a_run_that_dies_halfway_leaves_the_lists_of_before(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(configured(), lake, registry)
    before = lists(lake, "item_item")
    whole = FamilyDay.lists

    def dying(self: FamilyDay) -> Iterator[pl.DataFrame]:
        yield next(whole(self)).with_columns(version=pl.lit("of the dead"))
        raise MemoryError

    monkeypatch.setattr(FamilyDay, "lists", dying)
    with pytest.raises(MemoryError):
        materialize(configured(recommendations={"block_users": 2}), lake, registry, "item_item")
    assert lists(lake, "item_item").equals(before)


def test_an_arm_that_names_a_version_is_ranked_by_it(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry
) -> None:
    platform = configured(experiments=experiment(2))
    said = both(platform, lake, registry)
    arms = arms_of(platform, pl.Series(EVERYBODY), TOMORROW)
    assert set(arms) == {"control", "newer"}
    assert lists(lake, "item_item")["version"].to_list() == ["2" if arm == "newer" else "1" for arm in arms]
    assert said["versions"] == ["1", "2"]
    assert lists(lake, "popularity")["version"].unique().to_list() == ["1"]


@pytest.mark.parametrize(
    ("version", "complaint"),
    [(3, "is Rejected"), (9, "does not exist"), (4, "has seen days up to 2026-03-02")],
)
def test_an_arm_that_names_a_version_that_must_not_serve_makes_no_list(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry, version: int, complaint: str
) -> None:
    with pytest.raises(UnusableVersionError, match=complaint):
        materialize(configured(experiments=experiment(version)), lake, registry, "item_item")
    assert lists(lake, "item_item").is_empty()


def test_before_the_first_approval_there_are_no_lists(configured: Configured, lake: DeltaLake, tmp_path: Path) -> None:
    nothing = ModelRegistry(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_root=str(tmp_path / "artifacts"))
    said = materialize(configured(), lake, nothing, "item_item")
    assert (said["dagster/partition_row_count"], said["versions"], said["fallback_lists"]) == (0, [], 0)


def test_a_day_without_features_is_an_error_that_says_what_to_do(
    configured: Configured, lake: DeltaLake, registry: ModelRegistry
) -> None:
    lake.replace(EXCLUSIONS, pl.DataFrame(schema=EXCLUSIONS.schema), (DAY, DAY))
    with pytest.raises(dg.Failure, match="materialize the features of the day first"):
        materialize(configured(), lake, registry, "popularity")


def experiment(version: int) -> dict[str, Any]:
    arms = {"control": {"share": 0.5}, "newer": {"share": 0.5, "versions": {"item_item": version}}}
    return {"trial": {"first_day": str(TOMORROW), "arms": arms}}
