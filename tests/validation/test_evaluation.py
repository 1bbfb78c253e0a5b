"""Who is judged, on what, and the figures that come out."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models import als
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.validation.evaluation import Holdout, figures, lists_for, mean_overlap, report_metrics

BEFORE = date(2026, 2, 22)


def holdout_of(
    history: list[tuple[str, str]],
    hits: list[tuple[str, str]],
    *,
    eligible: str = "abcd",
    age_days: int = 0,
    owned: dict[str, list[str]] | None = None,
) -> Holdout:
    rows = [(user, item, BEFORE - timedelta(days=age_days), 1.0) for user, item in history]
    items = [(BEFORE, item, None, None, False) for item in eligible]
    exclusions = [(BEFORE, user, ids, ["owned"] * len(ids), [], [], False) for user, ids in (owned or {}).items()]
    return Holdout(
        histories=Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row"), BEFORE),
        hits=pl.DataFrame(hits, schema={"user_id": pl.String, "item_id": pl.String}, orient="row"),
        exclusions=pl.DataFrame(exclusions, schema=EXCLUSIONS.schema, orient="row"),
        eligible=pl.DataFrame(items, schema=ELIGIBLE_ITEMS.schema, orient="row"),
    )


def lists_of(lists: dict[str, str]) -> pl.DataFrame:
    """One letter is one item."""
    rows = [(user, list(items)) for user, items in lists.items()]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_ids": pl.List(pl.String)}, orient="row")


def popular(items: str) -> PopularityModel:
    """The items in this order, the first sold most."""
    sales = sorted((item, float(len(items) - place)) for place, item in enumerate(items))
    ids, counts = zip(*sales, strict=True)
    return PopularityModel(pl.Series("item_id", list(ids)), PopularityParameters(), np.array(counts, dtype=np.float32))


def test_users_with_a_history_and_a_hit_are_judged_once_each_and_nobody_else() -> None:
    holdout = holdout_of(
        history=[("zoe", "a"), ("ann", "a"), ("ann", "b"), ("idle", "a")],
        hits=[("ann", "c"), ("ann", "d"), ("zoe", "b"), ("cold", "a")],
    )
    assert holdout.users.to_list() == ["ann", "zoe"]


def test_figures_are_means_over_the_judged_users_worked_by_hand() -> None:
    holdout = holdout_of([("ann", "a"), ("bob", "a")], [("ann", "c"), ("bob", "b"), ("bob", "d"), ("cold", "a")])
    values = figures(lists_of({"ann": "bc", "bob": "bcd", "cold": "a"}), holdout, pl.Series(["a", "b", "c", "d"]))
    of_bob = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert values["ndcg_at_10"] == pytest.approx((1 / math.log2(3) + of_bob) / 2)
    assert values["mrr_at_10"] == pytest.approx((1 / 2 + 1) / 2)
    assert values["recall_at_50"] == 1


def test_hits_on_items_that_the_candidate_has_never_seen_stay_in_all_and_leave_warm() -> None:
    holdout = holdout_of([("ann", "a"), ("bob", "a")], [("ann", "b"), ("ann", "new"), ("bob", "new")])
    values = figures(lists_of({"ann": "bc", "bob": "bc"}), holdout, pl.Series(["a", "b", "c"]))
    assert values["recall_at_10"] == pytest.approx((1 / 2 + 0) / 2)
    assert values["warm_recall_at_10"] == 1  # bob has nothing warm to find and does not pull it down
    assert values["warm_hit_rate_at_10"] == 1
    assert values["hit_rate_at_10"] == pytest.approx(1 / 2)


def test_a_judged_user_without_a_list_counts_as_zero() -> None:
    holdout = holdout_of([("ann", "a"), ("bob", "a")], [("ann", "b"), ("bob", "b")])
    assert figures(lists_of({"ann": "b"}), holdout, pl.Series(["b"]))["hit_rate_at_10"] == pytest.approx(1 / 2)


def test_a_hit_on_an_item_that_is_no_longer_on_sale_stays_in_the_ideal() -> None:
    holdout = holdout_of([("ann", "a")], [("ann", "b"), ("ann", "gone")])
    assert figures(lists_of({"ann": "b"}), holdout, pl.Series(["b", "gone"]))["warm_recall_at_10"] == pytest.approx(
        1 / 2
    )


def test_coverage_is_the_share_of_eligible_items_that_somebody_was_shown() -> None:
    holdout = holdout_of([("ann", "a"), ("bob", "a")], [("ann", "b"), ("bob", "b")], eligible="abcde")
    values = figures(lists_of({"ann": "bc", "bob": "cd"}), holdout, pl.Series(["b"]))
    assert values["catalogue_coverage"] == pytest.approx(3 / 5)


def test_nobody_to_judge_leaves_every_mean_unknown() -> None:
    values = figures(lists_of({}), holdout_of([], [("cold", "a")]), pl.Series(["a"]))
    assert tuple(values) == report_metrics()
    assert {value for name, value in values.items() if name != "catalogue_coverage"} == {None}


def test_users_whom_a_model_does_not_know_are_judged_by_the_list_they_would_have_been_served() -> None:
    holdout = holdout_of([("ann", "a"), ("ann", "b"), ("bob", "new")], [], owned={"ann": ["a", "b"], "bob": ["d"]})
    learned = Interactions(holdout.histories.rows.filter(pl.col("user_id") == "ann"), BEFORE)
    model = als.FAMILY.fit(learned, als.AlsParameters(factors=2), 0)
    lists = lists_for(model, popular("dcba"), holdout, 30, pl.Series(["ann", "bob", "eve"]))
    assert dict(lists.select("user_id", "item_ids").iter_rows()) == {
        "ann": [],  # personal, and everything that als knows is owned
        "bob": ["c", "b", "a"],
        "eve": ["d", "c", "b", "a"],
    }


def test_a_history_outside_the_window_counts_as_none() -> None:
    holdout = holdout_of([("ann", "a"), ("ann", "b")], [], age_days=10)
    model = als.FAMILY.fit(holdout.histories, als.AlsParameters(factors=2), 0)
    inside, outside = (lists_for(model, popular("dc"), holdout, days, pl.Series(["ann"])) for days in (11, 10))
    assert sorted(inside["item_ids"].item().to_list()) == ["a", "b"]
    assert outside["item_ids"].item().to_list() == ["d", "c"]


def test_overlap_is_the_mean_share_of_common_items_whatever_their_order() -> None:
    first, second = lists_of({"ann": "abcd", "bob": "abc"}), lists_of({"bob": "cba", "ann": "dxyz"})
    assert mean_overlap(first, second) == pytest.approx((1 / 4 + 1) / 2)


def test_overlap_looks_at_the_beginning_of_the_lists_only() -> None:
    first, second = lists_of({"ann": "abcd"}), lists_of({"ann": "axcd"})
    assert mean_overlap(first, second, at=2) == pytest.approx(1 / 2)
    assert mean_overlap(first, second, at=1) == 1


def test_a_short_list_is_measured_against_the_longer_one() -> None:
    assert mean_overlap(lists_of({"ann": "a"}), lists_of({"ann": "abcd"})) == pytest.approx(1 / 4)


def test_users_with_two_empty_lists_or_with_one_list_do_not_count() -> None:
    first, second = lists_of({"ann": "ab", "eve": "", "one": "a"}), lists_of({"ann": "ab", "eve": ""})
    assert mean_overlap(first, second) == 1


def test_the_overlap_of_nobody_is_unknown() -> None:
    assert mean_overlap(lists_of({"ann": ""}), lists_of({"ann": ""})) is None
