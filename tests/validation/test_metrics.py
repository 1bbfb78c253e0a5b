import math
import random
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys_assets.validation.metrics import (
    CUTOFFS,
    hit_matrix,
    mean_metrics,
    metric_names,
    per_user_metrics,
    relevant_counts,
)

SMALL_CUTOFFS = (1, 3, 12)


def hits_of(*rows: str) -> NDArray[np.bool_]:
    """`x` is a hit, `.` is a miss, and the best rank comes first."""
    return np.array([[mark == "x" for mark in row] for row in rows], dtype=np.bool_)


def one_user(row: str, relevant: int, cutoff: int) -> dict[str, float]:
    frame = per_user_metrics(hits_of(row), np.array([relevant]), (cutoff,))
    return {name.removesuffix(f"_at_{cutoff}"): value for name, value in frame.row(0, named=True).items()}


def slow_metrics(row: list[bool], relevant: int, cutoff: int) -> dict[str, float | None]:
    """The same metrics straight from their definitions, rank by rank; exact where they are fractions."""
    names = [name.removesuffix(f"_at_{cutoff}") for name in metric_names((cutoff,))]
    if relevant == 0:
        return dict.fromkeys(names)
    ranks = [rank for rank, is_hit in enumerate(row[:cutoff], start=1) if is_hit]
    best_ranks = range(1, min(cutoff, relevant) + 1)
    precision_at_hits = [Fraction(len([r for r in ranks if r <= rank]), rank) for rank in ranks]
    return {
        "ndcg": sum(1 / math.log2(r + 1) for r in ranks) / sum(1 / math.log2(r + 1) for r in best_ranks),
        "recall": float(Fraction(len(ranks), relevant)),
        "precision": float(Fraction(len(ranks), cutoff)),
        "map": float(sum(precision_at_hits, Fraction(0)) / len(best_ranks)),
        "mrr": float(Fraction(1, ranks[0])) if ranks else 0.0,
        "hit_rate": float(bool(ranks)),
    }


@st.composite
def rankings(draw: st.DrawFn, min_relevant: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    users, n = draw(st.integers(1, 5)), draw(st.integers(0, 12))
    rows = draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=users, max_size=users))
    hits = np.array(rows, dtype=np.bool_).reshape(users, n)
    unranked = draw(st.lists(st.integers(0, 4), min_size=users, max_size=users))
    return hits, np.maximum(hits.sum(axis=1) + np.array(unranked), min_relevant)


def lists_of(lists: dict[str, list[str] | None]) -> pl.DataFrame:
    item_ids = pl.Series(list(lists.values()), dtype=pl.List(pl.String))
    return pl.DataFrame({"user_id": list(lists), "item_ids": item_ids})


def pairs_of(*pairs: str) -> pl.DataFrame:
    """Pairs written as `user:item`."""
    return pl.DataFrame([pair.split(":") for pair in pairs], schema=["user_id", "item_id"], orient="row")


def test_names_go_through_all_metrics_of_a_cutoff_before_the_next() -> None:
    of_ten = "ndcg_at_10 recall_at_10 precision_at_10 map_at_10 mrr_at_10 hit_rate_at_10"
    assert metric_names((10, 50))[:7] == (*of_ten.split(), "ndcg_at_50")
    assert tuple(per_user_metrics(hits_of("x"), np.array([1])).columns) == metric_names(CUTOFFS)


def test_metrics_of_a_list_worked_by_hand() -> None:
    measured = one_user(".x.x.", relevant=3, cutoff=5)
    assert measured["recall"] == pytest.approx(2 / 3)
    assert measured["precision"] == pytest.approx(2 / 5)
    assert measured["map"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert measured["mrr"] == pytest.approx(1 / 2)
    assert measured["hit_rate"] == 1
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert measured["ndcg"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_rank_two_is_discounted_and_rank_three_counts_half() -> None:
    assert one_user("x..", relevant=1, cutoff=3)["ndcg"] == 1
    assert one_user(".x.", relevant=1, cutoff=3)["ndcg"] == pytest.approx(0.6309297535714575)
    assert one_user("..x", relevant=1, cutoff=3)["ndcg"] == pytest.approx(1 / 2)


def test_what_lies_behind_the_cutoff_does_not_count() -> None:
    assert one_user("...xx", relevant=2, cutoff=3) == dict.fromkeys(
        ("ndcg", "recall", "precision", "map", "mrr", "hit_rate"), 0.0
    )
    assert one_user(".x.xx", relevant=3, cutoff=2)["recall"] == pytest.approx(1 / 3)


def test_the_ideal_is_bounded_by_the_cutoff_and_by_the_relevant_items() -> None:
    for name in ("ndcg", "map"):
        assert one_user("xx...", relevant=7, cutoff=2)[name] == 1
        assert one_user("xx...", relevant=2, cutoff=5)[name] == 1
        assert one_user("xx...", relevant=3, cutoff=5)[name] < 1


def test_items_that_could_not_be_ranked_stay_in_the_ideal() -> None:
    assert one_user("x.", relevant=4, cutoff=2)["map"] == pytest.approx(1 / 2)
    assert one_user("x.", relevant=4, cutoff=2)["recall"] == pytest.approx(1 / 4)


def test_a_list_shorter_than_the_cutoff_is_filled_up_with_misses() -> None:
    assert one_user("xx", relevant=2, cutoff=10)["precision"] == pytest.approx(2 / 10)
    assert one_user("xx", relevant=2, cutoff=10)["ndcg"] == 1


def test_a_user_with_an_empty_list_has_zeros_and_not_nulls() -> None:
    assert set(one_user("", relevant=2, cutoff=10).values()) == {0.0}


def test_a_user_without_relevant_items_has_no_metric_and_does_not_pull_the_mean_down() -> None:
    frame = per_user_metrics(hits_of("x.", "..", ".x"), np.array([1, 0, 1]), (2,))
    assert [value is None for value in frame["ndcg_at_2"]] == [False, True, False]
    assert set(frame.row(1)) == {None}
    assert mean_metrics(frame)["mrr_at_2"] == pytest.approx((1 + 1 / 2) / 2)


def test_means_are_none_when_nobody_can_be_judged() -> None:
    for frame in (
        per_user_metrics(hits_of(".."), np.array([0])),
        per_user_metrics(np.zeros((0, 5), dtype=np.bool_), np.zeros(0, dtype=np.int64)),
    ):
        assert mean_metrics(frame) == dict.fromkeys(metric_names())


@pytest.mark.parametrize(
    ("hits", "relevant", "cutoffs", "message"),
    [
        (hits_of("xx"), np.array([1]), (2,), "row 0 has 2 hits and only 1 relevant"),
        (hits_of("x"), np.array([1, 1]), (2,), "shape"),
        (hits_of("x").astype(np.int64), np.array([1]), (2,), "booleans"),
        (hits_of("x")[0], np.array([1]), (2,), r"\(users, n\)"),
        (hits_of("x"), np.array([1]), (2, 2), "once"),
        (hits_of("x"), np.array([1]), (0,), "positive"),
        (hits_of("x"), np.array([1]), (), "at least one"),
    ],
)
def test_input_that_cannot_be_measured_is_refused(
    hits: NDArray[np.bool_], relevant: NDArray[np.int64], cutoffs: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        per_user_metrics(hits, relevant, cutoffs)


def test_a_thousand_random_rankings_agree_with_the_definitions() -> None:
    rng = np.random.default_rng(7)
    hits = rng.random((1_000, 60)) < rng.choice((0.02, 0.1, 0.5), size=(1_000, 1))
    relevant = hits.sum(axis=1) + rng.choice((0, 0, 1, 40), size=1_000)
    measured = per_user_metrics(hits, relevant, (1, 10, 50, 200))
    for cutoff in (1, 10, 50, 200):
        pairs = zip(hits.tolist(), relevant.tolist(), strict=True)
        expected = pl.DataFrame([slow_metrics(row, count, cutoff) for row, count in pairs])
        for metric in expected.columns:
            got, wanted = measured[f"{metric}_at_{cutoff}"].to_numpy(), expected[metric].to_numpy()
            assert np.allclose(got, wanted, rtol=0, atol=1e-12, equal_nan=True)


@given(rankings())
def test_every_metric_lies_between_zero_and_one(
    ranking: tuple[NDArray[np.bool_], NDArray[np.int64]],
) -> None:
    measured = per_user_metrics(*ranking, SMALL_CUTOFFS).to_numpy()
    values = measured[~np.isnan(measured)]
    assert ((values >= 0) & (values <= 1)).all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_an_ideal_ranking_reaches_exactly_one(relevant: list[int]) -> None:
    counts = np.array(relevant)
    measured = per_user_metrics(np.arange(12) < counts[:, np.newaxis], counts, SMALL_CUTOFFS)
    for cutoff in SMALL_CUTOFFS:
        for metric in ("ndcg", "map", "mrr", "hit_rate"):
            assert measured[f"{metric}_at_{cutoff}"].to_list() == [1.0] * len(relevant)


@given(rankings(min_relevant=1), st.data())
def test_moving_a_hit_up_lowers_nothing(
    ranking: tuple[NDArray[np.bool_], NDArray[np.int64]], data: st.DataObject
) -> None:
    hits, relevant = ranking
    inversions = np.argwhere(hits[:, np.newaxis, :] & ~hits[:, :, np.newaxis])  # user, miss, hit
    inversions = inversions[inversions[:, 1] < inversions[:, 2]]
    if not len(inversions):
        return
    user, miss, hit = inversions[data.draw(st.integers(0, len(inversions) - 1))]
    better = hits.copy()
    better[user, [miss, hit]] = [True, False]
    gain = per_user_metrics(better, relevant, SMALL_CUTOFFS) - per_user_metrics(hits, relevant, SMALL_CUTOFFS)
    assert (gain.to_numpy() >= 0).all()
    assert np.flatnonzero(gain["ndcg_at_12"].to_numpy()).tolist() == [user]


@given(rankings(), st.integers(1, 9))
def test_padding_with_misses_changes_nothing(ranking: tuple[NDArray[np.bool_], NDArray[np.int64]], width: int) -> None:
    hits, relevant = ranking
    padded = np.pad(hits, ((0, 0), (0, width)))
    assert per_user_metrics(padded, relevant, SMALL_CUTOFFS).equals(per_user_metrics(hits, relevant, SMALL_CUTOFFS))


@given(rankings(), st.randoms(use_true_random=False))
def test_the_order_of_users_changes_nothing(
    ranking: tuple[NDArray[np.bool_], NDArray[np.int64]], choose: random.Random
) -> None:
    hits, relevant = ranking
    order = choose.sample(range(len(relevant)), len(relevant))
    shuffled = per_user_metrics(hits[order], relevant[order], SMALL_CUTOFFS)
    assert shuffled.equals(per_user_metrics(hits, relevant, SMALL_CUTOFFS)[order])


def test_hits_stand_in_the_row_of_their_user_and_at_the_rank_of_their_item() -> None:
    lists = lists_of({"ann": ["a", "b", "c"], "bob": ["c", "a"], "eve": ["a", "b", "c"]})
    relevant = pairs_of("bob:a", "ann:c", "ann:a", "eve:z", "zoe:a")
    assert (hit_matrix(lists, relevant, ["eve", "bob", "ann"], 3) == hits_of("...", ".x.", "x.x")).all()


def test_ranks_beyond_n_are_passed_over_and_missing_ranks_are_misses() -> None:
    lists = lists_of({"ann": ["a", "b"]})
    assert (hit_matrix(lists, pairs_of("ann:b"), ["ann"], 1) == hits_of(".")).all()
    assert (hit_matrix(lists, pairs_of("ann:b"), ["ann"], 4) == hits_of(".x..")).all()
    assert hit_matrix(lists, pairs_of("ann:b"), ["ann"], 0).shape == (1, 0)


def test_users_without_a_list_or_with_an_empty_one_have_no_hits() -> None:
    lists = lists_of({"ann": [], "bob": None})
    marked = hit_matrix(lists, pairs_of("ann:a", "bob:a", "eve:a"), pl.Series(["ann", "bob", "eve"]), 2)
    assert marked.shape == (3, 2)
    assert not marked.any()


def test_a_pair_that_is_relevant_twice_is_one_hit_and_counts_once() -> None:
    relevant = pairs_of("ann:a", "ann:a", "ann:z")
    assert hit_matrix(lists_of({"ann": ["b", "a"]}), relevant, ["ann"], 2).sum() == 1
    assert relevant_counts(relevant, ["ann"]).tolist() == [2]


def test_no_users_give_an_empty_matrix() -> None:
    assert hit_matrix(lists_of({"ann": ["a"]}), pairs_of("ann:a"), [], 3).shape == (0, 3)
    assert relevant_counts(pairs_of("ann:a"), []).shape == (0,)


@pytest.mark.parametrize(
    ("lists", "users"),
    [
        (lists_of({"ann": ["a"]}), ["ann", "ann"]),
        (lists_of({"ann": ["a", "b", "a"]}), ["ann"]),
        (pl.concat([lists_of({"ann": ["a"]}), lists_of({"ann": ["b"]})]), ["ann"]),
    ],
)
def test_what_is_there_twice_is_refused(lists: pl.DataFrame, users: list[str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        hit_matrix(lists, pairs_of("ann:a"), users, 3)


def test_relevant_items_are_counted_in_the_order_of_users_listed_or_not() -> None:
    counts = relevant_counts(pairs_of("bob:a", "bob:b", "ann:a", "zoe:a"), ["eve", "bob", "ann"])
    assert counts.tolist() == [0, 2, 1]
    assert counts.dtype == np.int64


def test_random_lists_are_marked_as_a_loop_would_mark_them() -> None:
    rng = np.random.default_rng(3)
    lists = {f"user {user}": rng.permutation(30)[: rng.integers(20)].astype(str).tolist() for user in range(50)}
    bought = {user: set(rng.permutation(30)[:6].astype(str)) for user in lists}
    users = rng.permutation(list(lists))[:40].tolist()
    relevant = pairs_of(*(f"{user}:{item}" for user in bought for item in bought[user]))
    marked = hit_matrix(lists_of(lists), relevant, users, 10)
    for row, user in enumerate(users):
        ranked = [item in bought[user] for item in lists[user][:10]]
        assert marked[row].tolist() == ranked + [False] * (10 - len(ranked))
