"""Polars and Spark compute the same, through the same asset and the same rules."""

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import EVENTS, INGESTED_FILES, INTERACTION_DAYS, INTERACTIONS, ITEMS, USER_BLOCKS, USERS
from recsys_assets.features.assets import build_assets
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import Platform
from resources.engine import Engine, SparkEngine
from resources.lake import DeltaLake
from resources.settings import EngineName, Settings
from resources.wiring import build_engine

# Dagster's own code starts a resource inside a resource in its old way.
pytestmark = pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated")
DAYS = (date(2026, 1, 2), date(2026, 1, 5))
RANGE = {
    "dagster/asset_partition_range_start": str(DAYS[0]),
    "dagster/asset_partition_range_end": str(DAYS[1]),
}
FACTS = (
    "1 ann view dune",  # before the range
    *("2 ann purchase dune 3", "2 ann view dune", "2 ann refund dune", "2 ann purchase dune"),
    *("2 bob cart emma", "2 bob wish emma", "2 bob rating emma", "3 bob purchase \u00e9t\u00e9"),
    *("4 bob refund \u00e9t\u00e9", "4 eve purchase walden 2", "5 eve refund walden", "5 tester purchase dune"),
    *["5 bot view dune"] * 6,
    "6 eve view emma",  # after it
)
Make = Callable[..., pl.DataFrame]
Build = Callable[[str], DeltaLake]


@pytest.fixture
def new_lake(events_of: Make, changes_of: Make, tmp_path: Path) -> Build:
    """A lake with the sources of a small shop; of the prices, some are not known and all add up exactly."""
    prices = [None, 0.25, 0.75, 1_000.5, 19.5, None, 3.125]

    def build(name: str) -> DeltaLake:
        lake = DeltaLake(root=str(tmp_path / name))
        events = events_of(*FACTS)
        priced = events.with_columns(unit_price=pl.Series((prices * len(FACTS))[: events.height], dtype=pl.Float64))
        tables = {
            EVENTS: priced,
            ITEMS: changes_of(
                ITEMS,
                [
                    {"ds": 2, "item_id": "dune", "creator": "Herbert"},
                    {"ds": 2, "item_id": "emma", "is_adult": True},
                    {"ds": 2, "item_id": "walden", "withdrawn_on": 6},
                    {"ds": 3, "item_id": "dune", "released_on": 6},
                ],
            ),
            USERS: changes_of(
                USERS,
                [
                    {"ds": 2, "user_id": "tester", "is_test": True},
                    {"ds": 2, "user_id": "bob", "is_adult_verified": True},
                ],
            ),
            USER_BLOCKS: changes_of(
                USER_BLOCKS,
                [
                    {"ds": day, "user_id": "ann", "target": "item", "target_id": item, "is_blocked": is_blocked}
                    for day, item, is_blocked in ((2, "emma", True), (3, "emma", False), (3, "walden", True))
                ],
            ),
        }
        for table, rows in tables.items():
            lake.replace(table, rows, (date(2026, 1, 1), date(2026, 1, 31)))
        return lake

    return build


def engine_named(name: EngineName) -> Engine:
    return build_engine(Settings(home=Path(), lake="", landing="", engine=name))


def stored(lake: DeltaLake) -> pl.DataFrame:
    return lake.scan(INTERACTIONS).collect().sort(INTERACTIONS.primary_key)


@pytest.mark.usefixtures("spark_engine")
def test_the_asset_writes_the_same_table_with_either_engine(tiny_platform: Platform, new_lake: Build) -> None:
    (interactions,) = (one for one in build_assets(tiny_platform) if one.key == dg.AssetKey(INTERACTIONS.key))
    tables: dict[EngineName, pl.DataFrame] = {}
    for name in ("polars", "spark"):
        lake = new_lake(name)
        resources = {"lake": lake, "engine": engine_named(name)}
        assert dg.materialize([interactions], resources=resources, tags=RANGE).success
        tables[name] = stored(lake)
        assert lake.scan(INTERACTION_DAYS).collect().height == 4
    assert tables["spark"].equals(tables["polars"])
    assert tables["polars"]["ds"].unique().sort().to_list() == [date(2026, 1, day) for day in (2, 3, 4, 5)]
    assert tables["polars"].height == 8
    dune = tables["polars"].filter(user_id="ann", item_id="dune").row(0, named=True)
    assert (dune["views"], dune["purchases"], dune["refunds"], dune["quantity"]) == (1, 2, 1, 3)


def test_every_view_is_the_same_with_either_engine(
    tiny_platform: Platform, new_lake: Build, spark_engine: SparkEngine
) -> None:
    lake = new_lake("views")
    store = FeatureStore(tiny_platform, lake, engine_named("polars"))
    whole = (date(2026, 1, 1), date(2026, 1, 6))
    lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], *whole), whole)
    spark = FeatureStore(tiny_platform, lake, spark_engine)
    pairs = [(view(store), view(spark)) for view in READS]
    assert [polars.equals(other) for polars, other in pairs] == [True] * len(READS)
    assert all(polars.schema == other.schema and polars.height for polars, other in pairs)


READS: tuple[Callable[[FeatureStore], pl.DataFrame], ...] = (
    lambda store: store.history(DAYS[1], 4),
    *(partial(FeatureStore.compute, view=view, first=DAYS[0], last=DAYS[1]) for view in SNAPSHOTS),
    lambda store: store.hits(*DAYS),
    lambda store: store.titles(DAYS[1]).sort("item_id"),
)


def test_a_table_that_was_never_written_and_days_without_rows_are_empty_on_spark(
    new_lake: Build, spark_engine: SparkEngine
) -> None:
    lake = new_lake("empty")
    for table, days in ((INGESTED_FILES, None), (EVENTS, (date(2027, 1, 1), date(2027, 1, 2)))):
        rows = spark_engine.collect(spark_engine.scan(lake, table, days))
        assert rows.is_empty()
        assert rows.schema == table.schema


def test_rows_come_back_from_spark_as_they_are_at_rest(new_lake: Build, spark_engine: SparkEngine) -> None:
    lake = new_lake("rows")
    for table, key in ((EVENTS, ["occurred_at"]), (USER_BLOCKS, ["ds", "target_id"])):
        rows = spark_engine.collect(spark_engine.scan(lake, table, DAYS))
        expected = lake.scan(table, DAYS).collect()
        assert rows.sort(key).equals(expected.sort(key))
        assert rows.schema == expected.schema
