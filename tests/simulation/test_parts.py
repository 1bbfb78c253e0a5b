"""The parts that stand alone: weighted draws, the set of owned books, the clock, and the parameters."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_assets.simulation import StoreParameters
from recsys_assets.simulation.blocks import next_blocks
from recsys_assets.simulation.clock import moved_out_of_gap
from recsys_assets.simulation.days import simulated_days
from recsys_assets.simulation.draw import GroupedDraw
from recsys_assets.simulation.ownership import Ownership

PAIRS = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 5)), unique=True, max_size=30)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(
    members=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1e-9, 0.5, 3.0, 1e6])), max_size=40),
    seed=st.integers(0, 1_000),
)
def test_a_draw_takes_a_member_with_weight_from_its_own_group_or_says_that_there_is_none(members, seed) -> None:
    group, weight = (
        np.array([m[0] for m in members], dtype=np.int64),
        np.array([m[1] for m in members], float),
    )
    asked = np.repeat(np.arange(6), 20)
    drawn = GroupedDraw.by(group, 6, weight).one_of_each(asked, np.random.default_rng(seed))
    is_drawn = drawn >= 0
    assert (group[drawn[is_drawn]] == asked[is_drawn]).all()
    assert (weight[drawn[is_drawn]] > 0).all()
    has_weight = np.array([weight[group == number].sum() > 0 for number in range(6)])
    assert not is_drawn[~has_weight[asked]].any()


def test_a_member_is_drawn_in_proportion_to_its_weight() -> None:
    draw = GroupedDraw.by(np.array([1, 0, 1]), 2, np.array([3.0, 7.0, 1.0]))
    drawn = draw.one_of_each(np.ones(40_000, dtype=np.int64), np.random.default_rng(0))
    assert (drawn == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert (drawn == 2).mean() == pytest.approx(0.25, abs=0.01)


@given(first=PAIRS, more=PAIRS, data=st.data())
def test_ownership_behaves_like_a_set_of_pairs(first, more, data) -> None:
    more = [pair for pair in more if pair not in first]
    removed = data.draw(st.lists(st.sampled_from(first + more), unique=True)) if first + more else []
    owned = Ownership.none().plus(*columns(first)).plus(*columns(more)).minus(*columns(removed))
    expected = set(first + more) - set(removed)
    asked = first + more
    assert list(owned.includes(*columns(asked))) == [pair in expected for pair in asked]
    users, books = owned.owners(np.array([True, False, True, False, False, False]))
    assert set(zip(users.tolist(), books.tolist(), strict=True)) == {pair for pair in expected if pair[1] in (0, 2)}


def test_a_block_counts_on_the_whole_day_on_which_it_is_lifted(parameters) -> None:
    days = simulated_days(replace(parameters, blocks_per_thousand_users=500))
    yesterday = next(days).state
    today = next_blocks(yesterday.blocks, yesterday.people, yesterday.catalogue, parameters, np.random.default_rng(3))
    lifted = set(today.at_some_time.keys()) - set(today.at_the_end.keys())
    assert len(lifted) == (~today.changes.is_blocked).sum() > 0
    assert set(yesterday.blocks.keys()) <= set(today.at_some_time.keys())


@pytest.mark.parametrize(
    ("zone", "day", "begin", "end"),
    [
        ("America/New_York", date(2026, 3, 8), 2 * 3_600, 3 * 3_600),
        ("Australia/Lord_Howe", date(2026, 10, 4), 2 * 3_600, 2 * 3_600 + 1_800),
        ("Africa/Cairo", date(2026, 4, 24), 0, 3_600),
    ],
)
def test_nothing_happens_in_the_hour_that_the_clocks_skip(zone: str, day: date, begin: int, end: int) -> None:
    seconds = np.arange(86_400)
    moved = moved_out_of_gap(seconds, day, ZoneInfo(zone))
    assert not ((moved >= begin) & (moved < end)).any()
    assert (np.diff(moved) >= 0).all()
    assert moved.max() == 86_399
    assert (moved[2 * end - begin :] == seconds[2 * end - begin :]).all()


def test_a_day_without_a_skipped_hour_is_left_alone() -> None:
    seconds = np.arange(0, 86_400, 60)
    assert (moved_out_of_gap(seconds, date(2026, 3, 8), ZoneInfo("Asia/Seoul")) == seconds).all()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"days": 0}, "days"),
        ({"refund_share": 1.5}, "refund_share"),
        ({"time_zone": "Europe/Atlantis"}, "Europe/Atlantis"),
        ({"users": 3, "bots": 3}, "more users"),
        ({"refund_share": 0.6, "rating_share": 0.6}, "together"),
        ({"views_per_user_day": float("inf")}, "views_per_user_day"),
        ({"user": 5}, "user"),
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        StoreParameters(first_day=date(2026, 1, 5), **wrong)
