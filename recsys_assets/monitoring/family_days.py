"""The days of a family, from rows of `monitoring/online_metrics`: how its metric was, and on how many users.

Pure. What is judged by them is in `guardrail`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from recsys_assets.columns import POOLED
from recsys_assets.exposure import Guardrail, OnlineMetric
from recsys_assets.monitoring.sequential import Days

SHOWN_IN: dict[OnlineMetric, str] = {
    "ctr": "impressions",
    "cvr": "clicks",
    "revenue_per_impression": "impressions",
    "ndcg": "requests",
}
"""Metric to the column that its values are weighed by, where those of several versions become one."""
WEEK = 7
DAYS_SCHEMA = pl.Schema({"ds": pl.Date, "value": pl.Float64, "error": pl.Float64, "users": pl.Int64})


@dataclass(frozen=True)
class Stretch:
    """The days on which a version has served without a break.

    Attributes:
        changed_on: The first of them; a version that has served for longer than it is looked back has no such day.
        since: From when on it is judged: `changed_on`, or the beginning of the newest block of trailing days.
        until: The newest of them.
    """

    changed_on: date | None
    since: date
    until: date


def final_days(rows: pl.DataFrame, until: date) -> pl.DataFrame:
    """The rows over all surfaces and arms, of days up to `until` to which no more clicks and purchases can come.

    Args:
        rows: As in `monitoring/online_metrics`.
        until: The newest day.
    """
    overall = pl.col("surface").is_null() & pl.col("arm").is_null()
    return rows.filter(overall, pl.col("is_final"), pl.col("ds") <= until, pl.col("family") != POOLED)


def days_of(rows: pl.DataFrame, guardrail: Guardrail) -> pl.DataFrame:
    """One row for each day that has enough impressions and users, as `DAYS_SCHEMA`, oldest first.

    Args:
        rows: As `final_days` returns them, of whatever is taken together.
        guardrail: Which metric, and how much is enough.
    """
    name, weight = guardrail.metric, pl.col(SHOWN_IN[guardrail.metric])
    error = (weight * pl.col(f"{name}_se")).pow(2).sum().sqrt() / weight.sum()
    return (
        rows.filter(pl.col(name).is_not_null())
        .group_by("ds")
        .agg(
            value=(weight * pl.col(name)).sum() / weight.sum(),
            error=error,
            users=pl.col("users").sum(),
            impressions=pl.col("impressions").sum(),
        )
        .filter(pl.col("impressions") >= guardrail.min_impressions, pl.col("users") >= guardrail.min_users)
        .select(pl.col(column).cast(dtype) for column, dtype in DAYS_SCHEMA.items())
        .sort("ds")
    )


def newest_stretch(served: Sequence[date], any_version: Sequence[date], trailing_days: int) -> Stretch | None:
    """Since when a version has served, and since when it is judged.

    A version is judged from its first day on. One that has served for longer than `trailing_days` is judged from the
    newest multiple of them on, counted from the beginning of the calendar, so that it begins anew once in so many days.

    Args:
        served: Days of the version, ascending.
        any_version: Days of the family, ascending; a day on which only another version served breaks the stretch.
        trailing_days: Days that are looked back.

    Returns:
        None where the version did not serve on the family's newest day.
    """
    days, until = set(served), any_version[-1] if any_version else None
    if until is None or until not in days:
        return None
    first = until
    for day in reversed(any_version):
        if day not in days:
            break
        first = day
    if (until - first).days < trailing_days:
        return Stretch(first, first, until)
    return Stretch(None, until - timedelta(until.toordinal() % trailing_days), until)


def usual_and_new(usual: pl.DataFrame, new: pl.DataFrame) -> Days:
    """Days before a change beside the days since, as evidence is drawn from them.

    What is usual is one level for each weekday, where there are two of each among the days before; else one level.
    The variance of a day is that between usual days, which is estimated by moments (DerSimonian and Laird, 1986), plus
    the average variance of a user over the day's users. So a day on few users counts less, and a day counts no more
    for being low, as it would by its own standard error.

    Args:
        usual: As `days_of` returns them, at least two.
        new: The same, later ones.
    """
    together = pl.concat([usual, new])
    weekday = together["ds"].dt.weekday().to_numpy() - 1
    levels = np.eye(WEEK)[weekday]
    is_new = np.arange(together.height) >= usual.height
    is_weekly = bool((levels[~is_new].sum(axis=0) >= 2).all())  # noqa: PLR2004 - one says nothing of the spread
    patterns = levels if is_weekly else np.ones((together.height, 1))
    values, users = together["value"].to_numpy(), together["users"].to_numpy().astype(np.float64)
    errors = together["error"].fill_null(0.0).to_numpy()[~is_new]
    of_user = float((users[~is_new] * errors**2).mean())
    coefficients = np.linalg.lstsq(patterns[~is_new], values[~is_new], rcond=None)[0]
    residuals = values[~is_new] - patterns[~is_new] @ coefficients
    freedom = max(usual.height - patterns.shape[1], 1)
    between = max(float(residuals @ residuals) / freedom - float((of_user / users[~is_new]).mean()), 0.0)
    variances = between + of_user / users
    precisions = np.ones_like(variances) if not variances.all() else variances[~is_new].mean() / variances
    return Days(values, precisions, patterns, is_new)
