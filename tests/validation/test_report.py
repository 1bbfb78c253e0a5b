"""The report: figures worked by hand, their intervals, and the tables behind them."""

import math
from datetime import date

import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.validation.evaluation import Holdout
from recsys_assets.validation.report import (
    COVERAGE,
    HIGH,
    LOW,
    MAIN,
    Lists,
    Report,
    Surroundings,
    mean_names,
    report_metrics,
    report_on,
)

BEFORE = date(2026, 2, 22)
SHELVES = {"a": "crime", "b": "crime", "c": "poems"}


def pairs_of(text: str) -> pl.DataFrame:
    """`ann:cd bob:b` are three pairs; one letter is one item."""
    rows = [(user, item) for user, items in (one.split(":") for one in text.split()) for item in items]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")


def lists_of(text: str) -> pl.DataFrame:
    rows = [(user, list(items)) for user, items in (one.split(":") for one in text.split())]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_ids": pl.List(pl.String)}, orient="row")


def report_of(
    histories: str,
    hits: str,
    served: str,
    *,
    cold: str = "",
    known: str = "abcd",
    eligible: str = "abcd",
    established: str = "abcd",
    segments: dict[str, str] | None = None,
    seed: int = 1,
) -> Report:
    history = pairs_of(histories).with_columns(day=pl.lit(BEFORE), weight=pl.lit(1.0))
    items = [(BEFORE, item, None, SHELVES.get(item), False) for item in eligible]
    holdout = Holdout(
        histories=Interactions(history.cast(dict(HISTORY_SCHEMA)), BEFORE),
        hits=pairs_of(hits),
        exclusions=pl.DataFrame(schema=EXCLUSIONS.schema),
        eligible=pl.DataFrame(items, schema=ELIGIBLE_ITEMS.schema, orient="row"),
    )
    train = pairs_of(histories)
    around = Surroundings(
        profiles=pl.DataFrame(
            list((segments or {}).items()), schema={"user_id": pl.String, "segment": pl.String}, orient="row"
        ),
        item_users=train.group_by("item_id").agg(users=pl.len()),
        user_count=train["user_id"].n_unique(),
        established=pl.Series(list(established), dtype=pl.String),
    )
    known_items = pl.Series(list(known), dtype=pl.String)
    return report_on(Lists(lists_of(served), lists_of(cold), known_items), holdout, around, seed)


def test_figures_are_means_over_the_judged_users_worked_by_hand() -> None:
    values = report_of("ann:a bob:a", "ann:c bob:bd cold:a", "ann:bc bob:bcd").figures
    of_bob = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert values["ndcg_at_10"] == pytest.approx((1 / math.log2(3) + of_bob) / 2)
    assert values["mrr_at_10"] == pytest.approx((1 / 2 + 1) / 2)
    assert values["recall_at_50"] == 1


def test_hits_on_items_that_the_candidate_has_never_seen_stay_in_all_and_leave_warm() -> None:
    values = report_of("ann:a bob:a", "ann:bx bob:x", "ann:bc bob:bc", known="abc").figures
    assert values["recall_at_10"] == pytest.approx((1 / 2 + 0) / 2)
    assert values["recall_at_10_warm"] == 1  # bob has nothing warm to find and does not pull it down
    assert values["hit_rate_at_10_warm"] == 1
    assert values["hit_rate_at_10"] == pytest.approx(1 / 2)
    assert values["ndcg_at_10"] == pytest.approx(1 / (1 + 1 / math.log2(3)) / 2)
    assert values["ndcg_at_10_warm"] == 1


def test_a_judged_user_without_a_list_counts_as_zero() -> None:
    assert report_of("ann:a bob:a", "ann:b bob:b", "ann:b").figures["hit_rate_at_10"] == pytest.approx(1 / 2)


def test_a_hit_on_an_item_that_is_no_longer_on_sale_stays_in_the_ideal() -> None:
    values = report_of("ann:a", "ann:bx", "ann:b", known="abcdx").figures
    assert values["recall_at_10_warm"] == pytest.approx(1 / 2)


def test_novelty_comes_from_the_users_of_the_training_rows_and_diversity_from_the_shelves() -> None:
    values = report_of("ann:ab bob:a eve:a zoe:a", "ann:c bob:b", "ann:cd bob:bc").figures
    assert values["novelty_at_10"] == pytest.approx(2)  # of four users one had b, and c and d count as if one had
    assert values["diversity_at_10"] == 1  # b and c; d stands on no shelf, so ann has no diversity
    assert report_of("ann:ab bob:a", "bob:b", "bob:ab").figures["novelty_at_10"] == pytest.approx((0 + 1) / 2)


def test_coverage_and_popularity_bias_are_about_all_lists_together() -> None:
    values = report_of("ann:a bob:a", "ann:b bob:b", "ann:bc bob:cd", eligible="abcde").figures
    assert values[COVERAGE] == values["coverage_at_200"] == pytest.approx(3 / 5)
    assert values["popularity_bias_at_10"] == pytest.approx((0 * 1 + 2 * 1 + 4 * 2) / (4 * 4))


def test_every_mean_lies_inside_its_interval_and_the_seed_decides_the_interval() -> None:
    hits = " ".join(f"u{number:02}:{'abcd'[number % 4]}" for number in range(40))
    users = [hit.split(":")[0] for hit in hits.split()]
    histories, served = (" ".join(f"{user}:{items}" for user in users) for items in ("a", "abc"))
    report = report_of(histories, hits, served)
    for name in ("ndcg_at_10", "recall_at_10", "map_at_50", "recall_at_10_warm"):
        low, mean, high = (report.numbers[name + end] for end in (LOW, "", HIGH))
        assert low < mean < high
    low, high = (report.figures["hit_rate_at_10" + end] for end in (LOW, HIGH))
    assert (low, high) == pytest.approx((0.75 - 0.134, 0.75 + 0.134), abs=0.03)  # of 40 users three in four
    assert report_of(histories, hits, served).figures == report.figures
    assert report_of(histories, hits, served, seed=2).figures != report.figures


def test_every_figure_has_its_column_in_its_place() -> None:
    report = report_of("ann:a", "ann:b", "ann:b")
    assert tuple(report.figures) == report_metrics()
    assert set(report.numbers) == {name for name, value in report.figures.items() if value is not None}


def test_nobody_to_judge_leaves_every_mean_unknown() -> None:
    report = report_of("", "cold:a", "", cold="cold:ba")
    assert tuple(report.figures) == report_metrics()
    assert {report.figures[name + end] for name in mean_names() for end in ("", LOW, HIGH)} == {None}
    assert report.user_metrics.is_empty()
    assert report.segments.filter(pl.col("segment") == "cold_users")["users"].item() == 1


def test_the_figures_are_the_means_of_the_rows_per_user() -> None:
    report = report_of(
        "ann:a bob:a eve:a", "ann:c bob:bd eve:x", "ann:bc bob:bcd eve:a", segments={"ann": "light", "eve": "heavy"}
    )
    rows = report.user_metrics
    assert rows.select("user_id", "segment").rows() == [("ann", "light"), ("bob", "none"), ("eve", "heavy")]
    assert rows.columns == ["user_id", "segment", *MAIN]
    for name in MAIN:
        assert rows[name].mean() == pytest.approx(report.figures[name])
    assert rows["recall_at_10"].to_list() == [1, 1, 0]


def test_segments_new_items_and_cold_users_are_judged_each_on_their_own() -> None:
    report = report_of(
        "ann:a bob:a",
        "ann:bn bob:c cold:bd",
        "ann:cn bob:ac",
        cold="cold:ab",
        eligible="abcdn",
        established="abcd",
        segments={"ann": "heavy", "bob": "light"},
    )
    found = {segment: rest for segment, *rest in report.segments.iter_rows()}
    second = 1 / math.log2(3)
    ideal = 1 + second
    assert found["heavy"] == pytest.approx([1, second / ideal, 1 / 2, 1])
    assert found["light"] == pytest.approx([1, second, 1, 1])
    assert found["new_items"] == pytest.approx([1, second, 1, 1])  # ann's n, at rank 2, and nothing else
    assert found["cold_users"] == pytest.approx([1, second / ideal, 1 / 2, 1])
    assert found["middle"] == [0, None, None, None]
