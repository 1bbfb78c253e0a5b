"""Intervals of ratios of sums over independent units. Nothing here knows what the sums are of.

A user's impressions depend on one another, so a rate of impressions is no binomial proportion. It is a ratio of two
sums over users, y the clicks and x the impressions of each, and users are independent. Its variance is, by the delta
method, n / (n - 1) * sum (y - R x)^2 / (sum x)^2 (Deng, Knoblich and Lu, "Applying the Delta Method in Metric
Analytics: A Practical Guide with Novel Ideas", KDD 2018, section 3.1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LEVEL = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over the units of some groups, each of shape (groups,).

    Attributes:
        units: How many units there are; at least one.
        y: Sum of the numerators.
        x: Sum of the denominators.
        yy: Sum of the squares of the numerators.
        xx: Sum of the squares of the denominators.
        xy: Sum of the products.
    """

    units: Floats
    y: Floats
    x: Floats
    yy: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, y: Floats, x: Floats) -> "Moments":
        """The moments of one group, from the values of its units, each of shape (units,)."""
        sums = (float(y.size), y.sum(), x.sum(), (y * y).sum(), (x * x).sum(), (x * y).sum())
        return cls(*(np.array([one], dtype=np.float64) for one in sums))


@dataclass(frozen=True)
class Estimates:
    """A figure of some groups, each of shape (groups,); NaN where it is not known.

    Attributes:
        value: The figure.
        low: Low end of its interval.
        high: High end.
        se: Its standard error.
    """

    value: Floats
    low: Floats
    high: Floats
    se: Floats


def ratios(moments: Moments) -> Estimates:
    """Ratios of sums, with symmetric intervals by Student's t with one degree of freedom less than units."""
    value, se = _ratio(moments)
    half = _t(moments.units) * se
    return Estimates(value, value - half, value + half, se)


def proportions(moments: Moments) -> Estimates:
    """Ratios of sums that lie between 0 and 1, with intervals that do too.

    The interval is Wilson's, for as many independent trials as would give the same variance: v = R (1 - R) / se^2
    (Kott and Carr, "Developing an estimation strategy for a pesticide data program", Journal of Official Statistics
    1997; compared by Franco et al., Journal of Survey Statistics and Methodology 2019). With few clicks a symmetric
    interval misses too often, and with none it is a point. Where nothing varies, each unit counts as one trial.
    """
    value, se = _ratio(moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        trials = np.where(se > 0, value * (1 - value) / np.square(se), moments.units)
    t = np.square(_t(moments.units))
    centre = (value + t / (2 * trials)) / (1 + t / trials)
    half = np.sqrt(t * (value * (1 - value) / trials + t / (4 * np.square(trials)))) / (1 + t / trials)
    return Estimates(value, np.clip(centre - half, 0, value), np.clip(centre + half, value, 1), se)


def bounded(value: Floats, se: Floats, units: Floats) -> Estimates:
    """Shares with a known standard error: symmetric intervals, cut at 0 and 1."""
    half = _t(units) * se
    return Estimates(value, np.clip(value - half, 0, 1), np.clip(value + half, 0, 1), se)


def _ratio(moments: Moments) -> tuple[Floats, Floats]:
    """The ratio, and its standard error; NaN without a denominator, the latter also with a single unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = moments.y / moments.x
        squares = moments.yy - 2 * value * moments.xy + np.square(value) * moments.xx
        spread = moments.units / (moments.units - 1)
        se = np.sqrt(spread * np.maximum(squares, 0)) / np.abs(moments.x)
    return value, np.where(np.isfinite(se), se, np.nan)


def _t(units: Floats) -> Floats:
    """The quantile of Student's t; NaN with a single unit."""
    degrees = np.where(units > 1, units - 1, np.nan)
    return np.asarray(stdtrit(degrees, (1 + LEVEL) / 2), dtype=np.float64)
