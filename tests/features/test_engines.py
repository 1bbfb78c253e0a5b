"""Polars and Spark compute the same, through the same asset and the same rules."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import dagster as dg
import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys_assets.columns import (
    EVENTS,
    INGESTED_FILES,
    INTERACTIONS,
    ITEMS,
    PAIR_TOTALS,
    TRAINING_SET,
    USER_BLOCKS,
    USERS,
    USERS_SEEN,
    Table,
    recommendations_table,
)
from recsys_assets.features import rules
from recsys_assets.features.assets import build_assets
from recsys_assets.features.past import KEPT, LakePast
from recsys_assets.features.rules import Frame
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import Known
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import EventWeights, Platform, Training
from resources.engine import Engine, PolarsEngine, SparkEngine
from resources.lake import DeltaLake
from resources.settings import EngineName

DAYS = (date(2026, 1, 2), date(2026, 1, 5))
RANGE = {
    "dagster/asset_partition_range_start": str(DAYS[0]),
    "dagster/asset_partition_range_end": str(DAYS[1]),
}
OF_ONE_LAKE = {"dagster/uri", "delta_version"}
FACTS = (
    "1 ann view dune",  # before the range
    *("2 ann purchase dune 3", "2 ann view dune", "2 ann refund dune", "2 ann purchase dune"),
    *("2 bob cart emma", "2 bob wish emma", "2 bob rating emma", "3 bob purchase \u00e9t\u00e9"),
    *("4 bob refund \u00e9t\u00e9", "4 eve purchase walden 2", "5 eve refund walden", "5 tester purchase dune"),
    *["5 bot view dune"] * 6,
    "5 bob purchase emma",
    "6 eve view emma",  # after it
)
Make = Callable[..., pl.DataFrame]
Build = Callable[[str], DeltaLake]
Shop = Callable[[Engine], FeatureStore]


@pytest.fixture(scope="module")
def new_lake(events_of: Make, changes_of: Make, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A lake with the sources of a small shop; of the prices, some are not known and all add up exactly."""
    folder = tmp_path_factory.mktemp("lakes")
    prices = [None, 0.25, 0.75, 1_000.5, 19.5, None, 3.125]

    def build(name: str) -> DeltaLake:
        lake = DeltaLake(root=str(folder / name))
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


@pytest.fixture(scope="module")
def shop(new_lake: Build, tiny_platform: Platform) -> Shop:
    """A shop in which every rule is on and has something to do, and whose past is kept as of its second day."""
    every_rule = tiny_platform.rules.model_copy(update={"half_life_days": 3.0})
    weights = EventWeights(view=0.1, cart=0.2, wish=0.3, purchase=1.0, rating=0.7)
    training = Training(train_days=5, holdout_days=2, min_history_days=3)
    platform = tiny_platform.model_copy(update={"rules": every_rule, "event_weights": weights, "training": training})
    store = FeatureStore(platform, new_lake("shop"), engine_named("polars"))
    whole = (date(2026, 1, 1), date(2026, 1, 6))
    store.lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], *whole), whole)
    LakePast(store.lake, store.engine).keep(DAYS[0])
    return lambda engine: replace(store, engine=engine)


def engine_named(name: EngineName) -> Engine:
    return PolarsEngine() if name == "polars" else SparkEngine()


# --- Every asset ---


@dataclass(frozen=True)
class Outcome:
    """What a run wrote and said."""

    tables: Mapping[str, pl.DataFrame]
    metadata: Mapping[str, Mapping[str, object]]
    checks: Mapping[tuple[str, str], tuple[bool, str | None]]


def outcome(store: FeatureStore) -> Outcome:
    """Of the assets of the group: all interactions, the states, then the views of a day and a training set."""
    assets = {one.key.path[-1]: one for one in build_assets(store.platform) if isinstance(one, dg.AssetsDefinition)}
    resources = {"lake": store.lake, "engine": store.engine}
    runs = [dg.materialize([assets["interactions"]], resources=resources, tags=RANGE)]
    LakePast(store.lake, store.engine).keep(DAYS[0])
    views = [view.name for view in SNAPSHOTS]
    runs += [
        dg.materialize([assets[name] for name in names], resources=resources, partition_key=str(DAYS[1]))
        for names in (views, ["training_set"])
    ]
    events = [
        event.step_materialization_data.materialization
        for run in runs
        for event in run.get_asset_materialization_events()
    ]
    checks = [check for run in runs for check in run.get_asset_check_evaluations()]
    tables = [INTERACTIONS, *(kept.table for kept in KEPT), *(view.table for view in SNAPSHOTS), TRAINING_SET]
    return Outcome(
        {table.name: stored(store.lake, table) for table in tables},
        {
            str(one.asset_key): {name: value for name, value in one.metadata.items() if name not in OF_ONE_LAKE}
            for one in events
        },
        {(str(one.asset_key), one.check_name): (one.passed, one.description) for one in checks},
    )


def stored(lake: DeltaLake, table: Table) -> pl.DataFrame:
    return lake.scan(table).collect().sort(table.primary_key)


def test_every_asset_writes_the_same_table_and_says_the_same_with_either_engine(
    shop: Shop, new_lake: Build, spark_engine: SparkEngine
) -> None:
    engines = {"polars": PolarsEngine(), "spark": spark_engine}
    polars, spark = (outcome(replace(shop(engine), lake=new_lake(name))) for name, engine in engines.items())
    for name, expected in polars.tables.items():
        assert expected.height, name
        assert spark.tables[name].equals(expected), name
    assert spark.metadata == polars.metadata
    assert spark.checks == polars.checks
    assert len(polars.checks) == 5 + 4 * len(SNAPSHOTS) + 4
    interactions = polars.tables[INTERACTIONS.name]
    assert interactions["ds"].unique().sort().to_list() == [date(2026, 1, day) for day in (2, 3, 4, 5)]
    dune = interactions.filter(user_id="ann", item_id="dune").row(0, named=True)
    assert (dune["views"], dune["purchases"], dune["refunds"], dune["quantity"]) == (1, 2, 1, 3)
    assert set(polars.tables[TRAINING_SET.name]["split"]) == {"train", "holdout", "release"}


# --- Every rule ---


def applied(store: FeatureStore) -> dict[str, Frame]:
    """Every rule, with every switch on, applied to what is known on the last day."""
    known, platform = store.known(DAYS[1]), store.platform
    switches = platform.rules
    interactions, users = known.newest(INTERACTIONS, 30), known.state(USERS)
    items, seen = known.state(ITEMS), known.total(USERS_SEEN)
    kept = rules.without_refunded(interactions, switches)
    permission, with_adult = rules.adult_permission(users, switches), rules.with_adult_rule(items, switches)
    blocked = rules.blocked(known.state(USER_BLOCKS), switches)
    weighted = rules.weighted(kept, platform.event_weights)
    return {
        "daily_interactions": rules.daily_interactions(known.asked(EVENTS)),
        "without_test_accounts": rules.without_test_accounts(interactions, users, switches),
        "without_bots": rules.without_bots(interactions, seen, switches.bots),
        "without_refunded": kept,
        "weighted": weighted,
        "decayed": rules.decayed(weighted, DAYS[1], switches),
        "owned": rules.owned(known.total(PAIR_TOTALS), switches),
        "blocked": blocked,
        "adult_permission": permission,
        "with_adult_rule": with_adult,
        "without_unreleased": rules.without_unreleased(items, DAYS[0], switches).drop("ds"),
        "without_withdrawn": rules.without_withdrawn(items, DAYS[1], switches).drop("ds"),
        "without_excluded": rules.without_excluded(
            interactions.select(*rules.PAIR, "ds"), blocked, permission, with_adult, others_may_see=False
        ),
        "segmented": rules.segmented(interactions.select("user_id", "item_id", "ds", "purchases"), platform.segments),
    }


def collected(store: FeatureStore, frames: Mapping[str, Frame]) -> dict[str, pl.DataFrame]:
    """Each of the frames, in one action for all."""
    labelled = [frame.with_columns(nw.lit(name).alias("rule")) for name, frame in frames.items()]
    rows = store.engine.collect(nw.concat(labelled, how="diagonal"))
    return {name: rows.filter(rule=name).select(frame.collect_schema().names()) for name, frame in frames.items()}


def test_every_rule_is_the_same_with_either_engine(shop: Shop, spark_engine: SparkEngine) -> None:
    tables = [collected(store, applied(store)) for store in (shop(engine_named("polars")), shop(spark_engine))]
    public = [name for name, rule in inspect.getmembers(rules, inspect.isfunction) if rule.__module__ == rules.__name__]
    assert set(tables[0]) == {name for name in public if not name.startswith("_")}
    for name, expected in tables[0].items():
        assert expected.height, name
        assert_same(tables[1][name], expected)


def test_a_range_of_days_is_the_same_with_either_engine(shop: Shop, spark_engine: SparkEngine) -> None:
    eligible = [
        store.compute(VIEWS["eligible_items"], *DAYS) for store in (shop(engine_named("polars")), shop(spark_engine))
    ]
    assert eligible[0]["ds"].n_unique() == 4
    assert_same(*eligible)


@dataclass(frozen=True)
class Lists:
    """A past in which there are only the lists of the families."""

    frame: Frame

    def rows(self, table: Table, first: date, last: date) -> Frame:
        assert (table.key[0], first, last) == ("recommendations", *DAYS)
        return self.frame

    def state(self, log: Table, as_of: date) -> Frame:
        raise NotImplementedError

    total = state


def test_the_scores_of_the_families_are_the_same_with_either_engine(shop: Shop, spark_engine: SparkEngine) -> None:
    table = recommendations_table("popularity")
    rows = [
        (DAYS[1], "ann", ["dune", "emma", "walden"], [0.5, 0.25, -1.0], "3", False),
        (DAYS[1], "bob", [], [], "3", False),
        (DAYS[1], "eve", ["emma"], [0.5], "3", True),
    ]
    lists = pl.DataFrame(rows, schema=table.schema, orient="row")
    types = "ds date, user_id string, item_ids array<string>, scores array<float>, version string, is_fallback boolean"
    on_spark = spark_engine.session.createDataFrame(rows, types)
    scores = []
    for frame in (lists.lazy(), on_spark):
        known = Known(shop(spark_engine).platform, DAYS[1], DAYS[0], Lists(nw.from_native(frame)))
        scores.append(spark_engine.collect(VIEWS["family_scores"].compute(known).frame))
    assert_same(*scores)
    assert scores[0].select("user_id", "item_id", "rank", "score").rows() == [
        *(("ann", "dune", 1, 0.5), ("ann", "emma", 2, 0.25), ("ann", "walden", 3, -1.0)),
    ]
    stores = [shop(engine) for engine in (engine_named("polars"), spark_engine)]
    stores[0].lake.replace(table, lists, (DAYS[1], DAYS[1]))
    read = [store.read("family_scores", DAYS[1]) for store in stores]
    assert_same(*read)
    assert read[0].equals(scores[0].sort("user_id", "rank"))


def assert_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """The same rows and types; floats may differ in their last digits."""
    assert_frame_equal(found, expected, check_row_order=False, check_exact=False, rel_tol=0, abs_tol=1e-9)


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
