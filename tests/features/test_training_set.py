"""The data set of a slot: nothing is lost between the splits, and nothing leaks."""

from collections.abc import Callable
from datetime import date
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import TooLittleHistoryError, require_rows
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import Platform, Training
from recsys_assets.slot_window import ONE_DAY, slot_window

OpenShop = Callable[..., FeatureStore]
SLOT = date(2026, 1, 12)
ENOUGH = ("3 cat purchase dune", "10 cat purchase emma")
EVENT = st.tuples(
    st.sampled_from(["ann", "bob"]), st.sampled_from(["view", "purchase"]), st.sampled_from(["dune", "emma", "walden"])
)


@pytest.fixture(scope="module")
def open_slot(open_shop: OpenShop, tiny_platform: Platform) -> OpenShop:
    """A shop whose slot of January 12 trains on ten days, of which the last three are the holdout."""
    ten_days = Training(train_days=10, holdout_days=3, min_history_days=4)
    return partial(open_shop, platform=tiny_platform.model_copy(update={"training": ten_days}))


def training_rows(store: FeatureStore) -> pl.DataFrame:
    """What the asset stores for the slot."""
    rows = store.compute(VIEWS["training_set"], SLOT - ONE_DAY, SLOT - ONE_DAY).with_columns(ds=pl.lit(SLOT))
    require_rows(dict(rows["split"].value_counts().iter_rows()), slot_window(store.platform, SLOT))
    return rows


def split_of(rows: pl.DataFrame, split: str) -> pl.DataFrame:
    return rows.filter(split=split)


def taught(rows: pl.DataFrame, split: str) -> list[tuple[str, str, int]]:
    chosen = split_of(rows, split).select("user_id", "item_id", pl.col("day").dt.day())
    return list(chosen.iter_rows())


def on(days: tuple[int, int]) -> st.SearchStrategy[list[str]]:
    events = st.lists(st.tuples(st.integers(*days), EVENT), max_size=6)
    return events.map(lambda found: [f"{day} {' '.join(event)}" for day, event in found])


def test_each_split_holds_its_own_days(open_slot: OpenShop) -> None:
    facts = [f"{day} ann purchase book{day}" for day in range(1, 14)]
    rows = training_rows(open_slot(*facts))
    days = {split: [day for _, _, day in taught(rows, split)] for split in ("train", "holdout", "release")}
    assert {split: sorted(found) for split, found in days.items()} == {
        "train": [2, 3, 4, 5, 6, 7, 8],
        "holdout": [9, 10, 11],
        "release": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    }
    assert rows.schema == TRAINING_SET.schema
    assert set(rows["ds"]) == {SLOT}


def test_the_candidate_does_not_know_of_a_refund_in_the_holdout_but_the_release_does(open_slot: OpenShop) -> None:
    rows = training_rows(open_slot(*ENOUGH, "4 bob purchase walden", "9 bob refund walden"))
    assert taught(rows, "train") == [("bob", "walden", 4), ("cat", "dune", 3)]
    assert taught(rows, "release") == [("cat", "dune", 3), ("cat", "emma", 10)]


def test_the_holdout_is_what_was_new_to_the_user_each_item_once(open_slot: OpenShop) -> None:
    rows = training_rows(open_slot(*ENOUGH, "9 cat purchase dune", "11 cat purchase emma"))
    assert taught(rows, "holdout") == [("cat", "emma", 10)]
    assert split_of(rows, "holdout")["weight"].to_list() == [1.0]


def test_the_id_map_is_the_sorted_items_of_the_train_rows_and_of_nothing_else(open_slot: OpenShop) -> None:
    facts = [
        "3 ann purchase walden",
        "4 ann view dune",
        "5 bob view dune",
        "9 bob purchase aida",
        "9 bob purchase dune",
    ]
    rows = training_rows(open_slot(*facts))
    ids = {split: dict(split_of(rows, split).select("item_id", "item_index").iter_rows()) for split in rows["split"]}
    assert ids == {
        "train": {"dune": 0, "walden": 1},
        "holdout": {"dune": 0, "aida": None},
        "release": {"dune": 0, "walden": 1, "aida": None},
    }


@settings(max_examples=6, deadline=None)
@given(before=on((1, 8)), inside=on((9, 11)), later=on((12, 20)))
def test_nothing_is_lost_or_doubled_and_nothing_leaks(
    open_slot: OpenShop, before: list[str], inside: list[str], later: list[str]
) -> None:
    known, whole = open_slot(*ENOUGH, *before), open_slot(*ENOUGH, *before, *inside)
    rows = training_rows(whole)
    pieces = {
        "train": known.history(date(2026, 1, 8), 7),
        "holdout": whole.hits(date(2026, 1, 9), date(2026, 1, 11)),
        "release": whole.history(date(2026, 1, 11), 10),
    }
    for split, piece in pieces.items():
        assert split_of(rows, split).select(piece.columns).equals(piece)
    assert rows.height == sum(piece.height for piece in pieces.values())
    assert rows.equals(training_rows(open_slot(*ENOUGH, *before, *inside, *later)))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            ["1 ann purchase dune", "10 ann purchase emma"],
            "slot 2026-01-12 has no interactions to train on in 2026-01-02 to 2026-01-08; ingest these days",
        ),
        (
            ["3 ann purchase dune", "10 ann view emma", "12 ann purchase emma"],
            "slot 2026-01-12 has no hits to judge by in 2026-01-09 to 2026-01-11; ingest these days",
        ),
        (["3 ann purchase dune", "9 ann purchase dune"], "no hits to judge by"),
        ([], "no interactions to train on"),
    ],
)
def test_a_slot_with_too_little_history_says_what_is_missing_and_where(
    open_slot: OpenShop, facts: list[str], message: str
) -> None:
    with pytest.raises(TooLittleHistoryError, match=message):
        training_rows(open_slot(*facts))
