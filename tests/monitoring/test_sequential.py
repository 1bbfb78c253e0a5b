"""Intervals that stay valid under daily looks: against their definitions, and by simulation."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from recsys_assets.monitoring.sequential import Days, always_valid_change, always_valid_interval, evidence

ALPHA = 0.05
WIDE = (-1.0, 10.0)


def level(old: NDArray[np.float64], new: NDArray[np.float64]) -> Days:
    """Days with one usual level."""
    values = np.concatenate([old, new])
    return Days(values, np.ones_like(values), np.ones((values.size, 1)), np.arange(values.size) >= old.size)


def test_the_interval_is_the_set_of_values_that_the_normal_mixture_does_not_reject() -> None:
    estimate, variance, spread = 0.3, 0.02, 0.25
    for end in always_valid_interval(estimate, variance, ALPHA, spread):
        with_prior = stats.norm.pdf(estimate - end, scale=math.sqrt(variance + spread**2))
        without = stats.norm.pdf(estimate - end, scale=math.sqrt(variance))
        assert with_prior / without == pytest.approx(1 / ALPHA)


def test_a_walk_that_is_looked_at_every_day_leaves_its_intervals_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(3)
    walks = rng.normal(size=(2_000, 400)).cumsum(axis=1) / np.arange(1, 401)
    ever, naive = np.zeros(2_000, bool), np.zeros(2_000, bool)
    for day in range(400):
        low, high = always_valid_interval(0.0, 1 / (day + 1), ALPHA, 0.3)
        ever |= (walks[:, day] > high) | (walks[:, day] < low)
        naive |= np.abs(walks[:, day]) > 1.96 / math.sqrt(day + 1)
    assert 0.01 < ever.mean() < ALPHA
    assert naive.mean() > 5 * ALPHA


def test_the_evidence_is_the_bayes_factor_that_it_says_by_numerical_integration() -> None:
    rng = np.random.default_rng(5)
    days = level(rng.normal(10, 1, 9), rng.normal(8.6, 1, 4))
    spread, change = 2.0, -0.05
    scale = np.where(days.is_new, 1 + change, 1.0)
    basis = scale / np.linalg.norm(scale)

    def likelihood(constant: float) -> float:
        """Level and sigma integrated out by their invariant priors; the constant in units of sigma needs sigma's own
        integral, which is done here too.
        """
        total, _ = integrate.quad(lambda log_sigma: density(constant, math.exp(log_sigma)), -3, 4)
        return float(total)

    def density(constant: float, sigma: float) -> float:
        rest = days.values - constant * sigma * days.is_new
        rest = rest - basis * (basis @ rest)
        return float(sigma ** -(days.values.size - 1) * math.exp(-(rest @ rest) / (2 * sigma**2)))

    below, _ = integrate.quad(lambda one: 2 * stats.norm.pdf(one, scale=spread) * likelihood(one), -12, 0)
    above, _ = integrate.quad(lambda one: 2 * stats.norm.pdf(one, scale=spread) * likelihood(one), 0, 12)
    found = evidence(days, change, spread)
    assert found.of_less == pytest.approx(math.log(below / likelihood(0.0)), abs=1e-4)
    assert found.of_more == pytest.approx(math.log(above / likelihood(0.0)), abs=1e-4)


def test_evidence_does_not_depend_on_the_unit_of_the_figure() -> None:
    rng = np.random.default_rng(1)
    old, new = rng.normal(10, 1, 12), rng.normal(7, 1, 5)
    one, other = evidence(level(old, new), -0.1, 2.0), evidence(level(old * 1e-4, new * 1e-4), -0.1, 2.0)
    assert one.of_less == pytest.approx(other.of_less)


def test_there_is_no_evidence_without_new_days_or_without_days_that_show_how_much_a_day_varies() -> None:
    rng = np.random.default_rng(1)
    assert evidence(level(rng.normal(10, 1, 12), np.empty(0)), -0.1, 2.0).of_less == 0
    assert evidence(level(np.array([10.0]), np.array([5.0])), -0.1, 2.0).of_less == 0


def test_the_interval_of_a_change_has_the_change_inside_and_its_ends_where_evidence_is_just_enough() -> None:
    rng = np.random.default_rng(2)
    days = level(rng.normal(10, 0.5, 28), rng.normal(8, 0.5, 6))
    low, high = always_valid_change(days, ALPHA, 2.0, WIDE)
    assert low < -0.2 < high < 0
    assert evidence(days, high, 2.0).of_less == pytest.approx(-math.log(ALPHA), abs=1e-2)
    assert evidence(days, low, 2.0).of_more == pytest.approx(-math.log(ALPHA), abs=1e-2)
    wider = always_valid_change(days, ALPHA / 5, 2.0, WIDE)
    assert wider[0] < low
    assert high < wider[1]


def test_an_interval_that_is_nowhere_near_certain_is_everything() -> None:
    assert always_valid_change(level(np.array([10.0, 9.0]), np.array([5.0])), ALPHA, 2.0, WIDE) == WIDE


def test_few_days_of_unknown_spread_raise_no_more_alarms_than_promised() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(1_000):
        values = rng.normal(10, 1, 60)
        alarms += any(
            evidence(level(values[:8], values[8:until]), 0.0, 2.0).of_less >= -math.log(ALPHA)
            for until in range(9, 61, 3)
        )
    assert alarms / 1_000 < ALPHA
