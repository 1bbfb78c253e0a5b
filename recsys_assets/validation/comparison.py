"""Comparing two models on the same users: the relative change of a mean, and how sure it is. Pure.

What follows from a change is decided in `gate`.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

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

        Whoever finds more also varies more: of a model that gained, the error is scaled back to the old mean. More
        than 1, which is all that there is to lose, stands for users who are too few to show any drop.
        """
        return allowed_drop + detectable(self.error / max(1.0, 1.0 + self.estimate))


def detectable(error: float) -> float:
    """The smallest true effect that a figure with this standard error shows four times out of five.

    The minimal detectable effect of a one-sided test at (1 - LEVEL) / 2 with POWER: Bloom, "Minimum detectable
    effects", Evaluation Review 19 (1995).
    """
    return (_NORMAL.inv_cdf((1 + LEVEL) / 2) + _NORMAL.inv_cdf(POWER)) * error


def relative_change(new: pl.Series, old: pl.Series, seed: int, *, resamples: int = RESAMPLES) -> Change | None:
    """How one model does against another; see `relative_changes`."""
    return relative_changes(new, old.to_frame("old"), seed, resamples=resamples)["old"]


def relative_changes(
    new: pl.Series, olds: pl.DataFrame, seed: int, *, resamples: int = RESAMPLES
) -> dict[str, Change | None]:
    """Paired percentile bootstrap of the ratio of two means, with users as the unit, for one model against several.

    A resample draws users, with replacement, and takes all means over the same users (Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapter 13; for systems on the same queries: Sakai, SIGIR 2006). Users for
    whom no model found anything are left out: they add to neither sum, so they do not move the ratio, and in first
    order they do not move its spread either. Most users are of this kind, so most of the work is saved.

    Args:
        new: A metric per user, without nulls.
        olds: The same metric of the same users in the same order, a column for each model to compare with.
        seed: Decides every draw.
        resamples: How many.

    Returns:
        Column to change; None where there is nobody, or nothing to lose: an old mean of zero.
    """
    values = np.column_stack([new.to_numpy(), *(column.to_numpy() for column in olds)])
    found = values[values.any(axis=1)]
    if not found.size:
        return dict.fromkeys(olds.columns)
    means, sums = resampled_means(found, seed, resamples), found.sum(axis=0)
    return {name: _change(means[:, [0, at]], sums[[0, at]]) for at, name in enumerate(olds.columns, start=1)}


def _change(means: NDArray[np.float64], sums: NDArray[np.float64]) -> Change | None:
    """The change between two columns, new and old, of resampled means (resamples, 2) and of sums (2,)."""
    gained, had = sums
    if not had:
        return None
    drawn = means[means[:, 1] > 0]
    changes = drawn[:, 0] / drawn[:, 1] - 1
    low, high = np.quantile(changes, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Change(float(gained / had - 1), float(low), float(high), float(changes.std()))
