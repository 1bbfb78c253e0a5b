"""Who is judged, on what, and the figures that come out."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models import als
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.validation.evaluation import Holdout, lists_for, mean_overlap

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


def test_users_with_a_hit_and_without_a_history_are_the_cold_ones() -> None:
    holdout = holdout_of(history=[("ann", "a")], hits=[("zoe", "c"), ("ann", "d"), ("bob", "b"), ("bob", "c")])
    assert holdout.cold_users.to_list() == ["bob", "zoe"]


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


def test_nobody_gets_no_list() -> None:
    holdout = holdout_of([("ann", "a"), ("ann", "b")], [])
    model = als.FAMILY.fit(holdout.histories, als.AlsParameters(factors=2), 0)
    assert lists_for(model, popular("dc"), holdout, 30, pl.Series([], dtype=pl.String)).is_empty()


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
