"""How two groups of users differ in a metric: estimates over users, their difference, and whether it is certain.

Pure. Which users are in which arm is the business of `recsys_assets.experiments`, the sums per user that of the online
metrics.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import polars as pl
from scipy.special import chdtrc

from recsys_assets.exposure import OnlineMetric
from recsys_assets.monitoring.intervals import LEVEL, Moments, proportions, ratios
from recsys_assets.monitoring.online_figures import RATIOS
from recsys_assets.monitoring.sequential import Interval, always_valid_interval

RELATIVE_SPREAD = 0.1
"""Relative effects of about this size are decided soonest."""
MIN_USERS = 100
MIN_USERS_WITH_ANY = 30
"""Users of whom the numerator is not 0. With fewer, an estimate is not near enough to normal to be certain of it."""
MISMATCH_BELOW = 0.0005
"""Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019."""

Verdict = Literal["higher", "lower", "open", "too few"]


@dataclass(frozen=True)
class Estimate:
    """A metric of a group of users.

    Attributes:
        users: Users with any of the denominator.
        with_any: Of them, those of whom the numerator is not 0.
        value: The metric: a sum over a sum; NaN without a denominator.
        interval: At the level of 95 %, valid at a time that was fixed before; NaN where it is not known.
        error: Standard error, users as units; NaN with fewer than two of them.
    """

    users: int
    with_any: int
    value: float
    interval: Interval
    error: float

    @property
    def is_enough(self) -> bool:
        """Whether there are users enough to be certain of anything."""
        return self.users >= MIN_USERS and self.with_any >= MIN_USERS_WITH_ANY and self.error > 0


NOBODY = Estimate(0, 0, math.nan, (math.nan, math.nan), math.nan)


@dataclass(frozen=True)
class Difference:
    """A group of users against another one.

    Attributes:
        control: The metric of the others.
        treatment: The metric of the group.
        difference: Between the two; NaN where one is not known.
        interval: Of the difference, valid at a time that was fixed before; NaN where it is not known.
        change: The relative difference; NaN where it is not known, or the metric of the control is not above 0.
        always: Of the relative difference, valid at all times at once; None with too few users to say.
    """

    control: Estimate
    treatment: Estimate
    difference: float
    interval: Interval
    change: float
    always: Interval | None

    @property
    def verdict(self) -> Verdict:
        """What is certain, however often one has looked."""
        if self.always is None:
            return "too few"
        low, high = self.always
        return "higher" if low > 0 else "lower" if high < 0 else "open"


def estimates(outcomes: pl.LazyFrame, group: str, metric: OnlineMetric) -> dict[str, Estimate]:
    """A metric of each group of users, over all the days that the rows are of.

    Users are the units, with everything that they did on all the days: what one user does may depend on what the same
    user did before. The variance is that of `intervals`.

    Args:
        outcomes: user_id, `group` and the sums that the metric is made of; any number of rows of a user in a group.
        group: The column that tells the groups apart, String.
        metric: Which.

    Returns:
        Group to its estimate; groups in which nobody has any of the denominator are missing.
    """
    over, under = (pl.col(name).cast(pl.Float64).sum() for name in RATIOS[metric])
    users = outcomes.group_by(group, "user_id").agg(y=over, x=under).filter(pl.col("x") > 0)
    y, x = pl.col("y"), pl.col("x")
    sums = {"units": pl.len().cast(pl.Float64), "y": y.sum(), "x": x.sum()}
    squares = {"yy": (y * y).sum(), "xx": (x * x).sum(), "xy": (x * y).sum()}
    counted = users.group_by(group).agg(**sums, **squares, with_any=(y != 0).sum()).collect(engine="streaming")
    moments = Moments(*(counted[name].to_numpy() for name in (*sums, *squares)))
    found = ratios(moments) if metric == "revenue_per_impression" else proportions(moments)
    numbers = zip(found.value.tolist(), found.low.tolist(), found.high.tolist(), found.se.tolist(), strict=True)
    return {
        row[group]: Estimate(int(row["units"]), row["with_any"], value, (low, high), error)
        for row, (value, low, high, error) in zip(counted.iter_rows(named=True), numbers, strict=True)
    }


def difference(control: Estimate, treatment: Estimate, alpha: float = 1 - LEVEL) -> Difference:
    """Compare a group with another one whose users are others.

    The interval that is always valid is made on the scale of the logarithm of the ratio, by the delta method.

    Args:
        control: The metric of the others.
        treatment: The metric of the group.
        alpha: Probability that the interval ever misses, however often one looks.
    """
    one, other = control.value, treatment.value
    both, change = other - one, other / one - 1 if one > 0 else math.nan
    error = math.hypot(control.error, treatment.error) or math.nan  # nobody has any yet, which is no certainty
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    at_once = (both - half, both + half)
    if not (control.is_enough and treatment.is_enough and min(one, other) > 0):
        return Difference(control, treatment, both, at_once, change, None)
    variance = (control.error / one) ** 2 + (treatment.error / other) ** 2
    low, high = always_valid_interval(math.log(other / one), variance, alpha, RELATIVE_SPREAD)
    return Difference(control, treatment, both, at_once, change, (math.expm1(low), math.expm1(high)))


def sample_ratio(users: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """How well the users seen in each arm agree with the shares of the arms: the p-value of a chi-square test.

    Below `MISMATCH_BELOW` the arms do not hold the users that they should, and no difference between them means
    anything before it is known why.

    Args:
        users: Arm to the users who were seen in it; a missing one has none.
        shares: Arm to its share; they add up to 1.

    Returns:
        Between 0 and 1; 1 without any user.
    """
    total = sum(users.get(arm, 0) for arm in shares)
    if total == 0:
        return 1.0
    distance = sum((users.get(arm, 0) - share * total) ** 2 / (share * total) for arm, share in shares.items())
    return float(chdtrc(len(shares) - 1, distance))
