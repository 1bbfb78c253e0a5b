"""What the start page says."""

from pathlib import Path

import polars as pl

from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.readings import Readings
from recsys_assets.inspector.start_page import read_start_page
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStoreError


def no_store() -> None:
    raise OnlineStoreError("it was never there")


def test_a_family_shows_how_its_version_was_judged_and_one_without_a_version_shows_nothing(
    readings: Readings, version: str
) -> None:
    popularity, neighbours = read_start_page(readings).families
    assert (popularity.approved, popularity.ndcg_at_10) == ("", None)
    assert (neighbours.published, neighbours.approved) == ("", version)
    assert neighbours.ndcg_at_10 is not None
    assert (neighbours.ndcg_at_10.low, neighbours.ndcg_at_10.value, neighbours.ndcg_at_10.high) == (0.1, 0.2, 0.3)


def test_the_examples_have_lists_and_are_of_every_segment_that_there_is(readings: Readings) -> None:
    users = read_start_page(readings).users
    profiles = readings.store.read("user_profile", readings.in_use().as_of)
    assert [user.segment for user in users] == ["light", "light"]
    assert {user.user_id for user in users} <= set(profiles.filter(pl.col("purchases") > 0)["user_id"])


def test_a_registry_that_is_gone_costs_the_versions_and_nothing_else(readings: Readings, gone: ModelRegistry) -> None:
    page = read_start_page(Readings(readings.store, gone, no_store))
    assert page.families == ()
    assert page.users
    assert "the model registry does not answer" in page.trouble
    assert "it was never there" in page.trouble


def test_before_anything_was_computed_there_is_a_start_page_too(readings: Readings, tmp_path: Path) -> None:
    empty = FeatureStore(readings.platform, DeltaLake(root=str(tmp_path / "lake")), readings.store.engine)
    page = read_start_page(Readings(empty, readings.registry, no_store))
    assert (page.in_use.as_of, page.users, page.items) == (None, (), ())
