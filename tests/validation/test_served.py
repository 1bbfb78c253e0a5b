"""What was really served, against what users really took on the next day; figures worked by hand."""

from datetime import UTC, date, datetime, timedelta
from math import log2
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import FINAL_RECOMMENDATIONS, INTERACTIONS, SERVED_NDCG, recommendations_table
from recsys_assets.platform import Platform
from recsys_assets.validation.served import build_assets
from recsys_assets.validation.served_ndcg import newest_served, served_figures, served_users
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

SLOT = date(2026, 2, 13)
MONDAY, TUESDAY, WEDNESDAY = date(2026, 2, 9), date(2026, 2, 10), date(2026, 2, 11)
SECOND = 1 / log2(3)
"""NDCG of a list whose only hit is at rank 2."""


def lists(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    """family, version, user, and the list: one letter is one item."""
    schema = {"family": pl.String, "version": pl.String, "user_id": pl.String, "item_ids": pl.List(pl.String)}
    return pl.DataFrame([(*row[:3], list(row[3])) for row in rows], schema=schema, orient="row")


def hits(**taken: str) -> pl.DataFrame:
    pairs = [(user, item) for user, items in taken.items() for item in items]
    return pl.DataFrame(pairs, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")


def figures(*per_user: pl.DataFrame) -> dict[tuple[str, str, date | None], tuple[int, float]]:
    rows = served_figures(per_user, SLOT, 1)
    assert (rows["ndcg_at_10_low"] <= rows["ndcg_at_10"]).all()
    assert (rows["ndcg_at_10"] <= rows["ndcg_at_10_high"]).all()
    columns = rows.select("family", "version", "day", "users", "ndcg_at_10").iter_rows()
    return {tuple(row[:3]): tuple(row[3:]) for row in columns}


class TestOneDay:
    def test_a_list_counts_by_the_rank_of_what_its_user_took(self) -> None:
        found = served_users(
            lists(("als", "1", "ann", "abc"), ("als", "1", "bob", "cba")), hits(ann="a", bob="b"), MONDAY
        )
        assert dict(found.select("user_id", "ndcg_at_10").iter_rows()) == {"ann": 1.0, "bob": pytest.approx(SECOND)}

    def test_only_users_with_a_list_and_a_hit_are_counted(self) -> None:
        found = served_users(
            lists(("als", "1", "ann", "abc"), ("als", "1", "eve", "abc")), hits(ann="z", bob="a"), MONDAY
        )
        assert found.select("user_id", "ndcg_at_10").rows() == [("ann", 0.0)]

    def test_what_stands_below_rank_ten_is_not_seen_but_was_there_to_be_found(self) -> None:
        (value,) = served_users(lists(("als", "1", "ann", "abcdefghijk")), hits(ann="ak"), MONDAY)["ndcg_at_10"]
        assert value == pytest.approx(1 / (1 + SECOND))

    def test_each_family_and_version_is_measured_for_itself(self) -> None:
        served = lists(("als", "1", "ann", "ab"), ("als", "2", "bob", "ab"), ("final", "als=1", "ann", "ba"))
        found = served_users(served, hits(ann="a", bob="z"), MONDAY)
        assert {tuple(row[:2]): row[2] for row in found.select("family", "version", "ndcg_at_10").iter_rows()} == {
            ("als", "1"): 1.0,
            ("als", "2"): 0.0,
            ("final", "als=1"): pytest.approx(SECOND),
        }

    def test_nobody_took_anything(self) -> None:
        assert served_users(lists(("als", "1", "ann", "ab")), hits(), MONDAY).is_empty()


class TestAllDays:
    def test_a_user_of_several_days_counts_once(self) -> None:
        monday = served_users(lists(("als", "1", "ann", "a"), ("als", "1", "bob", "b")), hits(ann="a", bob="z"), MONDAY)
        tuesday = served_users(lists(("als", "1", "ann", "b")), hits(ann="z"), TUESDAY)
        assert figures(monday, tuesday) == {
            ("als", "1", MONDAY): (2, 0.5),
            ("als", "1", TUESDAY): (1, 0.0),
            ("als", "1", None): (2, 0.25),  # ann 1 and 0, bob 0
        }

    def test_a_version_is_averaged_over_its_own_days_and_the_newest_is_named(self) -> None:
        days = [
            served_users(lists(("als", "9", "ann", "a")), hits(ann="a"), MONDAY),
            served_users(lists(("als", "10", "ann", "ba")), hits(ann="a"), TUESDAY),
        ]
        found = figures(*days)
        assert found[("als", "9", None)] == (1, 1.0)
        assert found[("als", "10", None)] == (1, pytest.approx(SECOND))
        assert newest_served(days) == {"als": "10"}

    def test_nothing_was_served(self) -> None:
        assert served_figures([], SLOT, 1).is_empty()
        assert newest_served([]) == {}
        assert served_figures([], SLOT, 1).schema == SERVED_NDCG.schema


# --- The asset, on a real lake and a real registry ---


def purchase(day: date, user: str, item: str) -> dict[str, Any]:
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        **dict.fromkeys(("views", "carts", "wishes", "refunds", "ratings"), 0),
        **dict.fromkeys(("last_at", "last_purchase_at"), moment),
        "ds": day,
        "user_id": user,
        "item_id": item,
        "purchases": 1,
        "quantity": 1,
        "value": 1.0,
    }


def bought(lake: DeltaLake, *purchases: tuple[date, str, str]) -> None:
    rows = pl.DataFrame([purchase(*one) for one in purchases], schema=INTERACTIONS.schema)
    lake.replace(INTERACTIONS, rows, (rows["ds"].min(), rows["ds"].max()))


def listed(lake: DeltaLake, family: str, day: date, version: int, fallback: str = "", **items: str) -> None:
    table = recommendations_table(family)
    rows = [(day, user, list(one), [1.0] * len(one), str(version), user == fallback) for user, one in items.items()]
    lake.replace(table, pl.DataFrame(rows, schema=table.schema, orient="row"), (day, day))


def blended(lake: DeltaLake, day: date, versions: dict[str, int], **items: str) -> None:
    parts = [{"family": name, "version": str(version)} for name, version in versions.items()]
    rows = [
        (
            day,
            user,
            list(one),
            [1.0] * len(one),
            "default",
            parts,
            ["als"] * len(one),
            False,
            [["als"]] * len(one),
            ["blend"] * len(one),
        )
        for user, one in items.items()
    ]
    frame = pl.DataFrame(rows, schema=FINAL_RECOMMENDATIONS.schema, orient="row")
    lake.replace(FINAL_RECOMMENDATIONS, frame, (day, day))


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(root=str(tmp_path))


@pytest.fixture
def materialize(tiny_platform: Platform, model_registry: ModelRegistry, lake: DeltaLake) -> Any:
    """Materializes `validation/served`; returns its rows and its metadata."""

    def run(slot: date = SLOT) -> tuple[pl.DataFrame, dict[str, Any]]:
        result = dg.materialize(
            build_assets(tiny_platform),
            partition_key=str(slot),
            resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
        )
        (shown,) = result.asset_materializations_for_node("validation__served")
        rows = lake.scan(SERVED_NDCG, (slot, slot)).collect()
        return rows, {name: entry.value for name, entry in shown.metadata.items()}

    return run


def test_lists_of_a_day_are_held_against_what_users_took_on_the_next(
    lake: DeltaLake, materialize: Any, model_registry: ModelRegistry, tmp_path: Path
) -> None:
    (tmp_path / "artifact").mkdir()
    version = model_registry.register("popularity", SLOT - timedelta(days=7), tmp_path / "artifact", tags={}, params={})
    number = version.version
    bought(
        lake,
        (MONDAY, "ann", "old"),  # before the lists: nothing that they could find
        (TUESDAY, "ann", "a"),
        (TUESDAY, "bob", "b"),
        (TUESDAY, "cat", "c"),  # of a user whose list is a fallback
        (WEDNESDAY, "ann", "a"),  # again: no hit, because it is owned
        (SLOT, "ann", "b"),  # not known yet at the slot
    )
    listed(lake, "popularity", MONDAY, number, fallback="cat", ann="ab", bob="ab", cat="ab")
    blended(lake, MONDAY, {"popularity": number, "als": 4}, ann="ba", bob="ba", cat="ba")
    for day in (TUESDAY, SLOT - timedelta(days=1)):
        blended(lake, day, {"popularity": number}, ann="ba")

    rows, shown = materialize()
    label = f"als=4, popularity={number}"
    assert dict(zip(*(rows[name].to_list() for name in ("day", "family")), strict=False)).keys() == {TUESDAY, None}
    daily = rows.filter(pl.col("day") == TUESDAY).select("family", "version", "users", "ndcg_at_10").rows()
    expected = [("final", label, 3, (SECOND + 1) / 3), ("popularity", str(number), 2, (1 + SECOND) / 2)]
    assert sorted(daily) == [(*row[:3], pytest.approx(row[3])) for row in expected]
    assert shown["popularity_ndcg_at_10"] == pytest.approx((1 + SECOND) / 2)
    assert shown["popularity_ndcg_at_10_low"] <= shown["popularity_ndcg_at_10"] <= shown["popularity_ndcg_at_10_high"]
    assert (shown["final_users"], shown["popularity_users"]) == (3, 2)
    assert shown["versions"] == {"final": label, "popularity": str(number)}
    assert shown["dagster/partition_row_count"] == rows.height == 4

    logged = model_registry.metrics(version)
    assert logged["served_ndcg_at_10"] == shown["popularity_ndcg_at_10"]
    assert logged["served_users"] == 2.0


def test_nothing_was_served_yet(lake: DeltaLake, materialize: Any) -> None:
    bought(lake, (MONDAY, "ann", "old"), (TUESDAY, "ann", "a"))
    rows, shown = materialize()
    assert rows.is_empty()
    assert shown["note"] == "nobody who took something was served a list on these days"
    assert shown["days"] == "2026-02-06 to 2026-02-12"


def test_the_same_slot_again_replaces_its_rows_and_no_others(lake: DeltaLake, materialize: Any) -> None:
    bought(lake, (MONDAY, "ann", "old"), (TUESDAY, "ann", "a"))
    blended(lake, MONDAY, {"popularity": 1}, ann="ab")
    first, later = materialize()[0], materialize(date(2026, 2, 16))[0]
    assert materialize()[0].equals(first)
    assert lake.scan(SERVED_NDCG).collect().height == first.height + later.height == 4
