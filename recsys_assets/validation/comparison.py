"""Comparing two models on the same users: the relative change of a mean, and how sure it is. Pure.

What follows from a change is decided in `gate`.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from recsys_assets.validation.bootstrap import resampled_means

RESAMPLES = 2_000
LEVEL = 0.95
POWER = 0.8
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Change:
    """The relative change of a mean over users, such as -0.03 for three percent less.

    Attributes:
        estimate: (new mean - old mean) / old mean.
        low: Low end of its interval.
        high: High end.
        error: Its standard error.
    """

    estimate: float
    low: float
    high: float
    error: float

    def is_below(self, allowed_drop: float) -> bool:
        """Whether the whole interval lies below the allowed drop: more was lost, and it was not chance.

        A true change of exactly -allowed_drop is taken for more in (1 - LEVEL) / 2 of all samples, a smaller drop
        less often.
        """
        return self.high < -allowed_drop

    def smallest_detectable_drop(self, allowed_drop: float) -> float:
        """The true drop that these users would have shown to be more than the allowed one four times out of five.

        The minimal detectable effect of a one-sided test at (1 - LEVEL) / 2 with POWER: Bloom, "Minimum detectable
        effects", Evaluation Review 19 (1995).
        """
        return allowed_drop + (_NORMAL.inv_cdf((1 + LEVEL) / 2) + _NORMAL.inv_cdf(POWER)) * self.error


def relative_change(new: pl.Series, old: pl.Series, seed: int, *, resamples: int = RESAMPLES) -> Change | None:
    """Paired percentile bootstrap of the ratio of two means, with users as the unit.

    A resample draws users, with replacement, and takes both means over the same users (Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapter 13; for systems on the same queries: Sakai, SIGIR 2006).

    Args:
        new: A metric per user, without nulls.
        old: The same metric of the same users in the same order.
        seed: Decides every draw.
        resamples: How many.

    Returns:
        The change; None where there is nobody, or nothing to lose: an old mean of zero.
    """
    both = np.column_stack([new.to_numpy(), old.to_numpy()])
    if not both.size or not both[:, 1].any():
        return None
    means = resampled_means(both, seed, resamples)
    drawn = means[means[:, 1] > 0]
    changes = drawn[:, 0] / drawn[:, 1] - 1
    low, high = np.quantile(changes, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    gained, had = both.sum(axis=0)
    return Change(float(gained / had - 1), float(low), float(high), float(changes.std()))
