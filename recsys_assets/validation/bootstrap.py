"""Confidence intervals of means over users, by the bootstrap. Nothing here knows what the columns mean."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95
CELLS_AT_ONCE = 4_000_000
"""Resampled users that are held at once, 8 bytes each: many users make smaller portions, not more memory."""

Interval = tuple[float, float]


def mean_intervals(
    per_user: pl.DataFrame, seed: int, *, resamples: int = RESAMPLES, level: float = LEVEL
) -> dict[str, Interval | None]:
    """Percentile bootstrap of the mean of each column, with users as the unit.

    A resample draws as many users as there are, with replacement, and takes the mean over those who have the metric;
    the interval lies between the (1 - level) / 2 and (1 + level) / 2 quantiles of these means (Efron & Tibshirani,
    "An Introduction to the Bootstrap", 1993, chapter 13; for systems on the same queries: Sakai, "Evaluating
    evaluation metrics based on the bootstrap", SIGIR 2006). All columns see the same resamples.

    Args:
        per_user: One row per user, Float64 columns; null where a user does not have the metric.
        seed: Decides every draw: the same users in the same order get the same interval.
        resamples: How many.
        level: Share of the resampled means inside the interval.

    Returns:
        Column to the ends of its interval; None where no user has the metric.

    Raises:
        ValueError: There is no resample, or the level is not between 0 and 1.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"need a resample and a level between 0 and 1, not {resamples} and {level}")
    measured = [name for name in per_user.columns if per_user[name].null_count() < per_user.height]
    if not measured:
        return dict.fromkeys(per_user.columns)
    values = per_user.select(measured).fill_null(float("nan")).to_numpy()
    means = resampled_means(values, seed, resamples)
    ends = np.nanquantile(means, ((1 - level) / 2, (1 + level) / 2), axis=0)
    found = {name: (float(low), float(high)) for name, low, high in zip(measured, *ends, strict=True)}
    return {name: found.get(name) for name in per_user.columns}


def resampled_means(values: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """The mean of each column over the users of each resample.

    Args:
        values: Shape (users, columns), at least one user; NaN where a user does not have the metric.
        seed: Of the draws.
        resamples: How many.

    Returns:
        Shape (resamples, columns); NaN where a resample holds nobody with the metric.
    """
    users = values.shape[0]
    rng = np.random.default_rng(seed)
    is_there = ~np.isnan(values)
    is_partial = ~is_there.all(axis=0)
    filled = np.where(is_there, values, 0.0)
    partly = is_there[:, is_partial].astype(np.float64)
    means = np.empty((resamples, values.shape[1]))
    portion = max(1, CELLS_AT_ONCE // users)
    for first in range(0, resamples, portion):
        times = _times_drawn(rng, min(portion, resamples - first), users)
        drawn = np.full((times.shape[0], values.shape[1]), float(users))
        drawn[:, is_partial] = times @ partly
        with np.errstate(invalid="ignore"):  # 0 / 0, a resample without anybody who has the metric, is NaN
            means[first : first + times.shape[0]] = times @ filled / drawn
    return means


def _times_drawn(rng: np.random.Generator, resamples: int, users: int) -> NDArray[np.float64]:
    """How often each user is in each resample, shape (resamples, users); each row sums to the number of users."""
    draws = rng.integers(users, size=(resamples, users))
    draws += np.arange(resamples)[:, np.newaxis] * users
    return np.bincount(draws.ravel(), minlength=resamples * users).reshape(resamples, users).astype(np.float64)
