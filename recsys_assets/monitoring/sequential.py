"""Intervals that stay valid when people look every day, and stop looking when they like what they see.

An interval at one fixed time misses the truth with probability alpha; looked at every day, some look misses it far more
often. These hold at all times at once: the probability that any of them, ever, misses the truth is at most alpha.
Pure numbers; what is measured, and what follows from it, stays out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

HALVINGS = 20
"""Of a range, to find the end of an interval: a range of 1 shrinks to 1e-6."""
SMALLEST = 1e-9
"""Less of a new day than this that is not explained by what is usual is rounding."""

Interval = tuple[float, float]


def always_valid_interval(estimate: float, variance: float, alpha: float, spread: float) -> Interval:
    """An asymptotic confidence sequence for a parameter of which an estimate is updated as data come in.

    Robbins' normal mixture: with information I = 1 / variance, half the width is
    sqrt(2 (I s^2 + 1) log(sqrt(I s^2 + 1) / alpha)) / (I s). See Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
    "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem
    2.2; inverted, it is the mixture SPRT of Johari, Koomen, Pekelis and Walsh, "Always valid inference", Operations
    Research 70 (2022). It asks that the estimate is asymptotically a Brownian motion in information time, as sums over
    users are (Jennison and Turnbull, "Group sequential methods", 2000, chapter 11).

    Args:
        estimate: Of the parameter.
        variance: Of the estimate, above 0.
        alpha: Probability that the sequence ever misses the parameter.
        spread: s, the size of effects that it is narrowest for. It must not be chosen by the data.

    Returns:
        The ends of the interval.
    """
    weight = spread**2 / variance
    half = math.sqrt(2 * (weight + 1) * (math.log(weight + 1) / 2 - math.log(alpha))) * variance / spread
    return estimate - half, estimate + half


@dataclass(frozen=True)
class Days:
    """A figure day by day, before and since something changed.

    Attributes:
        values: The figure of each day, shape (days,).
        precisions: Of each value, shape (days,): how many times smaller its variance is than that of a usual day.
        usual: What the figure depends on besides the change, shape (days, columns): ones for a level, indicators of
            weekdays, other figures of the same days. A change scales all of it.
        is_new: Whether a day lies after the change, shape (days,), bool.
    """

    values: NDArray[np.float64]
    precisions: NDArray[np.float64]
    usual: NDArray[np.float64]
    is_new: NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """Natural logarithms of the evidence against a change; 0 is none.

    Attributes:
        of_less: That new days are lower than the change says.
        of_more: That they are higher.
    """

    of_less: float
    of_more: float


def evidence(days: Days, change: float, spread: float) -> Evidence:
    """How strongly the new days speak against a relative change of exactly `change`, to either side.

    Under it, new days are (1 + change) times what is usual, and a further constant is 0. The evidence is the Bayes
    factor of a constant on one side of 0, with half of a normal prior of standard deviation spread * sigma, against 0,
    with the invariant prior on sigma and on all coefficients of what is usual. With both halves it is
    E = sqrt(f / (f + s)) ((R + s d^2) / (R + s d^2 f / (f + s)))^((v + 1) / 2), where f = 1 / spread^2, d is the
    estimate of the constant, R the residual sum of squares, v its degrees of freedom, and s the constant's sum of
    squares given what is usual; one half is 2 E times the posterior probability of that side, a t distribution.

    For normal errors of unknown size this is a test martingale, so that it ever reaches 1 / alpha with probability
    alpha at most; and as the constant moves d alone, the same holds for all constants on the other side of 0. It counts
    the uncertainty of what is usual and of sigma, so that few days before a change mean little evidence, and no error.
    Lindon, Ham, Tingley and Bojinov, "Anytime-valid linear models and regression adjusted causal inference in
    randomized experiments" (2022), section 3; Perez-Ortiz, Lardy, de Heide and Grünwald, "E-statistics, group
    invariance and anytime-valid testing", Annals of Statistics 52 (2024).

    Args:
        days: The days, new ones among them.
        change: The relative change that is tested.
        spread: The change, in standard deviations of a usual day, that evidence grows fastest for.
    """
    root = np.sqrt(days.precisions)
    scale = np.where(days.is_new, 1 + change, 1.0)
    usual = days.usual * (scale * root)[:, np.newaxis]
    both = np.column_stack([days.values * root, days.is_new * root])
    coefficients, _, rank, _ = np.linalg.lstsq(usual, both, rcond=None)
    value, constant = (both - usual @ coefficients).T
    squares = float(constant @ constant)
    freedom = days.values.size - int(rank) - 1
    if freedom < 1 or squares < SMALLEST:
        return Evidence(0.0, 0.0)
    estimate = float(value @ constant) / squares
    explained = squares * estimate**2
    residual = max(float(value @ value) - explained, np.finfo(float).tiny)
    kept = 1 / (1 + spread**2 * squares)
    ratio = math.log1p(explained / residual) - math.log1p(explained * kept / residual)
    together = (math.log(kept) + (freedom + 1) * ratio) / 2
    distance = estimate * math.sqrt(squares * (1 - kept) * (freedom + 1) / (residual + explained * kept))
    of_less, of_more = (float(stdtr(freedom + 1, side)) for side in (-distance, distance))
    return Evidence(together + _log(2 * of_less), together + _log(2 * of_more))


def always_valid_change(days: Days, alpha: float, spread: float, within: Interval) -> Interval:
    """Every relative change against which there is no evidence: a confidence sequence for the change.

    Args:
        days: As `evidence` takes them.
        alpha: Probability that an end ever misses the change, for each end alone.
        spread: As `evidence` takes it.
        within: The lowest and highest change that are told apart.

    Returns:
        The ends of the interval; an end of `within` where the interval reaches beyond it.
    """
    enough, (low, high) = -math.log(alpha), within

    def is_too_low(change: float) -> bool:
        return evidence(days, change, spread).of_more >= enough

    def is_too_high(change: float) -> bool:
        return evidence(days, change, spread).of_less >= enough

    return (
        _last(is_too_low, low, high) if is_too_low(low) else low,
        _last(is_too_high, high, low) if is_too_high(high) else high,
    )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _last(holds: Callable[[float], bool], start: float, end: float) -> float:
    """The last place on the way from `start`, where it holds, to `end`, up to which something holds."""
    for _ in range(HALVINGS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start
