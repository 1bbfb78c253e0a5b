"""What is published of a day, read from a real lake in portions: the same whatever their size."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys_assets.columns import EVENTS, EXCLUSIONS, FINAL_RECOMMENDATIONS, INTERACTIONS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.platform import Platform
from recsys_assets.serving.portions import newest_of_each, portions, versions_by_arm
from recsys_assets.serving.user_lists import PORTION_SCHEMA
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

DAY = date(2026, 1, 20)
USERS = [f"user{number:03}" for number in range(25)] + ["", "\u00e9t\u00e9", "zoe", "{a}:b"]
MOST = 5


def interactions() -> pl.DataFrame:
    """User number n has bought item0 to item{n-1}, one a day, backwards from the day."""
    rows = [
        {"ds": DAY - timedelta(days=ago), "user_id": user, "item_id": f"item{ago}", "purchases": 1, "quantity": 1}
        for number, user in enumerate(USERS)
        for ago in range(min(number, 12))
    ]
    empty = pl.DataFrame(schema=INTERACTIONS.schema)
    filled = pl.concat([empty, pl.DataFrame(rows, schema_overrides={"ds": pl.Date})], how="diagonal")
    counts = [name for name, dtype in INTERACTIONS.schema.items() if dtype.is_numeric()]
    moment = pl.col("ds").cast(INTERACTIONS.schema["last_at"])
    return filled.with_columns(pl.col(counts).fill_null(0), last_at=moment, last_purchase_at=moment)


def final_lists() -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "ds": DAY,
            "user_id": user,
            "item_ids": [f"{user}-{place}" for place in range(3)],
            "arm": "bold" if number % 3 else "plain",
            "versions": [{"family": "popularity", "version": "2" if number % 3 else "1"}],
            "is_fallback": False,
        }
        for number, user in enumerate(USERS)
    ]
    schema = FINAL_RECOMMENDATIONS.schema
    lists = [name for name, dtype in schema.items() if isinstance(dtype, pl.List) and name not in rows[0]]
    told = pl.DataFrame(rows, schema_overrides={name: schema[name] for name in rows[0]})
    return told.with_columns(pl.lit([], schema[name]).alias(name) for name in lists).select(schema.names())


def exclusions() -> pl.DataFrame:
    rows = [(DAY, user, [f"item{user}"], ["owned"], ["king"], [], True) for user in USERS[::2]]
    return pl.DataFrame(rows, schema=EXCLUSIONS.schema, orient="row")


@pytest.fixture(scope="module")
def store(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    settings = tiny_platform.recommendations.model_copy(update={"realtime_history": MOST})
    platform = tiny_platform.model_copy(update={"recommendations": settings})
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    lake.replace(INTERACTIONS, interactions(), (date(2026, 1, 1), DAY))
    lake.replace(FINAL_RECOMMENDATIONS, final_lists(), (DAY, DAY))
    lake.replace(EXCLUSIONS, exclusions(), (DAY, DAY))
    lake.replace(EVENTS, pl.DataFrame(schema=EVENTS.schema), (DAY, DAY))
    return FeatureStore(platform, lake, PolarsEngine())


def test_everybody_with_a_list_is_in_one_portion_with_what_is_known_of_them(store: FeatureStore) -> None:
    rows = pl.concat(portions(store, DAY))
    assert rows.schema == PORTION_SCHEMA
    assert sorted(rows["user_id"]) == sorted(USERS)
    assert sum(one.null_count() for one in rows.get_columns()) == 0
    by_user = {row["user_id"]: row for row in rows.iter_rows(named=True)}
    assert by_user["user003"] == {
        "user_id": "user003",
        "item_ids": [f"user003-{place}" for place in range(3)],
        "excluded_ids": [],
        "arm": "plain",
        "may_see_adult": False,
        "blocked_creators": [],
        "blocked_categories": [],
        "history_items": ["item0", "item1", "item2"],
        "history_days_ago": [0, 1, 2],
        "history_weights": [1.0, 1.0, 1.0],
    }
    known = by_user["user010"]
    assert (known["excluded_ids"], known["blocked_creators"], known["may_see_adult"]) == (
        ["itemuser010"],
        ["king"],
        True,
    )
    assert known["history_days_ago"] == list(range(MOST))


@pytest.mark.parametrize("portion_users", [1, 7, 29, 1_000])
def test_the_size_of_the_portions_changes_nothing(store: FeatureStore, portion_users: int) -> None:
    frames = list(portions(store, DAY, portion_users))
    assert max(one.height for one in frames) <= portion_users
    whole = pl.concat(portions(store, DAY))
    assert_frame_equal(pl.concat(frames), whole, check_row_order=False)


def test_a_day_without_lists_has_no_portion(store: FeatureStore) -> None:
    assert list(portions(store, DAY + timedelta(days=1))) == []


def test_the_versions_of_each_arm_are_found(store: FeatureStore) -> None:
    assert versions_by_arm(store, DAY) == {"plain": {"popularity": "1"}, "bold": {"popularity": "2"}}


def test_the_history_of_some_users_is_that_part_of_the_whole(store: FeatureStore) -> None:
    whole = store.history(DAY, 30)
    some = store.history(DAY, 30, ("user005", "user009"))
    assert_frame_equal(some, whole.filter(pl.col("user_id").is_in([f"user00{number}" for number in range(5, 10)])))
    assert some["user_id"].n_unique() == 5


@pytest.mark.parametrize("most", [0, 1, 3, 4])
def test_of_a_long_history_the_newest_rows_are_kept(most: int) -> None:
    rows = [("ann", f"item{ago}", DAY - timedelta(days=ago), 1.0 + ago) for ago in (3, 0, 2, 1)]
    history = pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row")
    kept = newest_of_each(history, DAY, most).row(0, named=True)
    assert kept["history_days_ago"] == list(range(most))
    assert kept["history_items"] == [f"item{ago}" for ago in range(most)]
    assert kept["history_weights"] == [1.0 + ago for ago in range(most)]
