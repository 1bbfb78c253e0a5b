"""Novelty, diversity, coverage and popularity bias, against fractions worked by hand and slow definitions."""

import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from recsys_assets.validation.beyond_accuracy import (
    catalogue_coverage,
    gini,
    item_facts,
    list_qualities,
    quality_names,
    shown_items,
    spread,
    spread_names,
)

SHELVES = {"a": "crime", "b": "crime", "c": "poems", "d": None, "e": "crime"}


def lists_of(lists: dict[str, str | None]) -> pl.DataFrame:
    """One letter is one item."""
    rows = [(user, None if items is None else list(items)) for user, items in lists.items()]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_ids": pl.List(pl.String)}, orient="row")


def facts_of(users: dict[str, int] | None = None, user_count: int = 8) -> pl.DataFrame:
    eligible = pl.DataFrame({"item_id": list(SHELVES), "category": list(SHELVES.values())})
    counts = pl.DataFrame(list((users or {}).items()), schema={"item_id": pl.String, "users": pl.UInt32}, orient="row")
    return item_facts(eligible, counts, user_count)


def qualities(lists: dict[str, str | None], users: dict[str, int] | None = None, cutoff: int = 10) -> pl.DataFrame:
    shown = shown_items(lists_of(lists), list(lists), facts_of(users))
    return list_qualities(shown, len(lists), (cutoff,))


def test_an_item_is_the_more_of_a_surprise_the_fewer_had_it() -> None:
    facts = facts_of({"a": 8, "b": 2, "c": 1})
    assert facts["bits"].to_list() == [0, 2, 3, 3, 3]  # an item that nobody had counts as if one user had had it
    assert facts["item"].to_list() == [0, 1, 2, 3, 4]


def test_without_training_users_nothing_is_known_about_surprise() -> None:
    assert facts_of(user_count=0)["bits"].null_count() == 5


def test_novelty_is_the_mean_self_information_of_the_first_items() -> None:
    lists: dict[str, str | None] = {"ann": "abc", "bob": "b"}
    counts = {"a": 8, "b": 2, "c": 1}
    assert qualities(lists, counts)["novelty_at_10"].to_list() == pytest.approx([5 / 3, 2])
    assert qualities(lists, counts, cutoff=2)["novelty_at_2"].to_list() == pytest.approx([1, 2])


def test_diversity_is_the_share_of_pairs_in_different_categories() -> None:
    measured = qualities({"ann": "abc", "bob": "abe", "eve": "ac", "zoe": "abec"})["diversity_at_10"].to_list()
    assert measured == pytest.approx([2 / 3, 0, 1, 1 / 2])
    assert qualities({"ann": "abc"}, cutoff=2)["diversity_at_2"].to_list() == [0]


def test_items_of_unknown_category_are_in_no_pair() -> None:
    measured = qualities({"ann": "adc", "bob": "ad", "eve": "d"})["diversity_at_10"].to_list()
    assert measured == [1, None, None]


def test_users_without_an_item_have_no_quality() -> None:
    measured = qualities({"ann": "", "bob": None, "eve": "a"})
    assert measured.rows()[:2] == [(None, None)] * 2
    assert measured.rows()[2] == (3, None)


def test_nobody_has_no_quality_either() -> None:
    measured = list_qualities(shown_items(lists_of({}), [], facts_of()), 0)
    assert tuple(measured.columns) == quality_names()
    assert set(measured.dtypes) == {pl.Float64}
    assert measured.is_empty()


def test_qualities_stand_in_the_order_of_the_users_and_others_are_passed_over() -> None:
    shown = shown_items(lists_of({"ann": "ab", "bob": "ac", "eve": "c"}), ["bob", "new", "ann"], facts_of())
    assert list_qualities(shown, 3, (10,))["diversity_at_10"].to_list() == [1, None, 0]


def test_an_item_that_may_not_be_recommended_is_refused() -> None:
    with pytest.raises(ValueError, match="'x' is recommended and not eligible"):
        shown_items(lists_of({"ann": "ax"}), ["ann"], facts_of())


def test_qualities_of_random_lists_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(11)
    items = [f"i{number:02}" for number in range(40)]
    shelves = [None if shelf == 4 else f"shelf {shelf}" for shelf in rng.integers(5, size=40)]
    counts = rng.integers(0, 60, size=40)
    had = pl.DataFrame({"item_id": items, "users": counts}).filter(pl.col("users") > 0)
    lists = {f"u{user}": rng.permutation(items)[: rng.integers(25)].tolist() for user in range(60)}
    frame = pl.DataFrame({"user_id": list(lists), "item_ids": list(lists.values())})
    facts = item_facts(pl.DataFrame({"item_id": items, "category": shelves}), had, 70)
    measured = list_qualities(shown_items(frame, list(lists), facts), 60, (3, 12))
    shelf, users = dict(zip(items, shelves, strict=True)), dict(zip(items, counts, strict=True))
    for cutoff in (3, 12):
        for row, ranked in enumerate(lists.values()):
            bits = [math.log2(70 / max(users[item], 1)) for item in ranked[:cutoff]]
            pairs = list(combinations([shelf[item] for item in ranked[:cutoff] if shelf[item]], 2))
            expected = (
                sum(bits) / len(bits) if bits else None,
                sum(one != other for one, other in pairs) / len(pairs) if pairs else None,
            )
            found = measured.row(row, named=True)
            assert (found[f"novelty_at_{cutoff}"], found[f"diversity_at_{cutoff}"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("times", "index"),
    [([3, 3, 3], 0), ([0, 0, 5], 1), ([0, 1, 1], 1 / 2), ([1, 2, 3], 1 / 3), ([1], None), ([0, 0], None), ([], None)],
)
def test_the_gini_index_worked_by_hand(times: list[int], index: float | None) -> None:
    measured = gini(np.array(times, dtype=np.int64))
    assert measured == (None if index is None else pytest.approx(index))


def test_the_gini_index_is_half_the_relative_mean_difference() -> None:
    times = np.random.default_rng(5).integers(0, 30, size=50)
    differences = np.abs(times[:, np.newaxis] - times).sum() / (50 * 49)
    assert gini(times) == pytest.approx(differences / (2 * times.mean()))


def test_items_that_nobody_is_shown_count_as_uneven() -> None:
    shown = shown_items(lists_of({"ann": "ab", "bob": "ab"}), ["ann", "bob"], facts_of())
    measured = spread(shown, 5, (2,))
    assert measured["popularity_bias_at_2"] == pytest.approx((2 * 2 + 4 * 2) / (4 * 4))
    assert measured["coverage_at_2"] == pytest.approx(2 / 5)


def test_what_lies_behind_the_cutoff_is_not_shown() -> None:
    shown = shown_items(lists_of({"ann": "abc", "bob": "bac"}), ["ann", "bob"], facts_of())
    assert spread(shown, 5, (1, 3))["coverage_at_1"] == pytest.approx(2 / 5)
    assert spread(shown, 5, (1, 3))["coverage_at_3"] == pytest.approx(3 / 5)
    assert shown_items(lists_of({"ann": "abc"}), ["ann"], facts_of(), n=2)["rank"].to_list() == [1, 2]


def test_an_empty_catalogue_has_no_spread() -> None:
    nothing = shown_items(lists_of({"ann": ""}), ["ann"], facts_of())
    assert spread(nothing, 0) == dict.fromkeys(spread_names())


def test_coverage_is_the_share_of_eligible_items_that_somebody_is_shown() -> None:
    lists = lists_of({"ann": "ab", "bob": "bc", "eve": "", "zoe": None})
    assert catalogue_coverage(lists, 4) == pytest.approx(3 / 4)


def test_coverage_of_an_empty_catalogue_is_unknown_and_more_than_the_catalogue_is_refused() -> None:
    assert catalogue_coverage(lists_of({"ann": ""}), 0) is None
    with pytest.raises(ValueError, match="only 1 are eligible"):
        catalogue_coverage(lists_of({"ann": "ab"}), 1)
