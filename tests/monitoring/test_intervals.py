"""Intervals of ratios over users: closed cases, limits, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.monitoring.intervals import Floats, Moments, bounded, proportions, ratios


def of(y: list[float], x: list[float]) -> Moments:
    return Moments.of(np.array(y, dtype=np.float64), np.array(x, dtype=np.float64))


def test_with_one_impression_each_it_is_the_mean_of_independent_users() -> None:
    y = [1.0, 0.0, 0.0, 1.0, 0.0]
    found = ratios(of(y, [1.0] * 5))
    assert found.value.item() == pytest.approx(np.mean(y))
    assert found.se.item() == pytest.approx(np.std(y, ddof=1) / np.sqrt(5))
    assert found.high.item() - found.value.item() == pytest.approx(2.7764451 * found.se.item())  # Student, 4 degrees


def test_users_who_look_twice_as_often_alike_are_no_twice_as_many_users() -> None:
    y, x = [1.0, 0.0, 2.0, 0.0], [5.0, 4.0, 6.0, 3.0]
    once, twice = ratios(of(y, x)), ratios(of([2 * one for one in y], [2 * one for one in x]))
    assert twice.value.item() == once.value.item()
    assert twice.se.item() == pytest.approx(once.se.item())


def test_nothing_clicked_does_not_mean_that_nothing_ever_will_be() -> None:
    found = proportions(of([0.0] * 30, [4.0] * 30))
    assert (found.value.item(), found.low.item()) == (0, 0)
    assert found.high.item() == pytest.approx(0.122, abs=0.01)  # of thirty users, none: fewer than one in eight
    everything = proportions(of([4.0] * 30, [4.0] * 30))
    assert (everything.value.item(), everything.high.item()) == (1, 1)
    assert everything.low.item() == pytest.approx(1 - found.high.item())


@pytest.mark.parametrize("interval", [ratios, proportions])
def test_a_single_user_has_a_value_and_no_interval(interval: type) -> None:
    found = interval(of([1.0], [4.0]))
    assert found.value.item() == 0.25
    assert np.isnan([found.low.item(), found.high.item(), found.se.item()]).all()


@pytest.mark.parametrize("interval", [ratios, proportions])
def test_without_a_denominator_nothing_is_known(interval: type) -> None:
    found = interval(of([], []))
    assert np.isnan([found.value.item(), found.low.item(), found.high.item(), found.se.item()]).all()


def test_shares_with_a_known_error_are_cut_at_their_limits() -> None:
    found = bounded(np.array([0.01, 0.99]), np.array([0.1, 0.1]), np.array([50.0, 50.0]))
    assert found.low.tolist() == [0, pytest.approx(0.789, abs=0.001)]
    assert found.high.tolist() == [pytest.approx(0.211, abs=0.001), 1]


sums = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=2, max_size=20)


@settings(deadline=None)
@given(sums)
def test_proportions_stay_between_0_and_1_around_their_value(users: list[tuple[int, int]]) -> None:
    found = proportions(of([min(y, x) for y, x in users], [x for _, x in users]))
    assert 0 <= found.low.item() <= found.value.item() <= found.high.item() <= 1


def clicks_of_users(rng: np.random.Generator, users: int) -> tuple[Floats, Floats]:
    """Users who look and click each in their own measure: 2 to 20 impressions, 5 % clicked in the mean."""
    x = 2 + rng.poisson(rng.gamma(2.0, 3.0, users))
    return rng.binomial(x, rng.beta(0.5, 9.5, users)).astype(np.float64), x.astype(np.float64)


def test_the_truth_lies_inside_19_of_20_times_and_would_not_if_impressions_counted_as_independent() -> None:
    rng = np.random.default_rng(5)
    runs, inside, inside_naive = 600, 0, 0
    for _ in range(runs):
        y, x = clicks_of_users(rng, 400)
        found = proportions(Moments.of(y, x))
        inside += int(found.low.item() <= 0.05 <= found.high.item())
        rate = y.sum() / x.sum()
        inside_naive += int(abs(rate - 0.05) <= 1.96 * np.sqrt(rate * (1 - rate) / x.sum()))
    assert 0.925 <= inside / runs <= 0.975
    assert inside_naive / runs < 0.9
