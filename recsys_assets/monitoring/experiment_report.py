"""How an experiment stands: its arms, whether they hold the users that they should, and how they differ.

Pure. The comparison of two arms is in `arm_comparison`; storing and printing the report stays out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import get_args

import polars as pl

from recsys_assets.columns import EXPERIMENTS, POOLED
from recsys_assets.exposure import Experiment, OnlineMetric
from recsys_assets.monitoring.arm_comparison import (
    MISMATCH_BELOW,
    NOBODY,
    Difference,
    Estimate,
    difference,
    estimates,
    sample_ratio,
)

METRICS: tuple[OnlineMetric, ...] = get_args(OnlineMetric)


@dataclass(frozen=True)
class ExperimentReport:
    """How an experiment stands after some days.

    Attributes:
        name: The experiment.
        shares: Arm to its share of the users, the control first.
        first_day: The first day with users; None without any.
        last_day: The last one.
        users: Arm to the users who were seen in it, and in no other arm.
        moved: Users who were seen in several arms; they are in no figure.
        estimates: Metric and arm to what it is.
        differences: Metric and arm, other than the control, to how it differs from the control.
        mismatch: The p-value of the users per arm, if they were spread by the shares.
    """

    name: str
    shares: Mapping[str, float]
    first_day: date | None
    last_day: date | None
    users: Mapping[str, int]
    moved: int
    estimates: Mapping[tuple[OnlineMetric, str], Estimate]
    differences: Mapping[tuple[OnlineMetric, str], Difference]
    mismatch: float

    @property
    def has_mismatch(self) -> bool:
        """Whether the arms do not hold the users that they should, so that no difference means anything."""
        return self.mismatch < MISMATCH_BELOW


def report_on_experiment(name: str, experiment: Experiment, outcomes: pl.LazyFrame, until: date) -> ExperimentReport:
    """Compare the arms of an experiment over the lists that were shown since it began.

    Args:
        name: The experiment.
        experiment: Its arms and days.
        outcomes: As in `monitoring/user_outcomes`; rows of other days, and of arms that are none of its, are left out.
        until: Later days are left out.
    """
    arms = list(experiment.arms)
    last = until if experiment.last_day is None else min(until, experiment.last_day)
    is_in_it = pl.col("arm").is_in(arms) & pl.col("ds").is_between(experiment.first_day, last)
    shown = outcomes.filter(is_in_it, pl.col("family") == POOLED)
    days = shown.select(first=pl.col("ds").min(), last=pl.col("ds").max()).collect().row(0)
    seen = shown.group_by("user_id").agg(pl.col("arm").n_unique().alias("arms"), pl.col("arm").first())
    counted = seen.group_by("arm", pl.col("arms") > 1).len().collect(engine="streaming")
    moved = int(counted.filter(pl.col("arms"))["len"].sum())
    stayed = dict(counted.filter(~pl.col("arms")).select("arm", "len").iter_rows())
    if moved:
        shown = shown.join(seen.filter(pl.col("arms") == 1).select("user_id"), on="user_id", how="semi")
    found = {metric: estimates(shown, "arm", metric) for metric in METRICS}
    control, *others = arms
    users = {arm: int(stayed.get(arm, 0)) for arm in arms}
    shares = {arm: settings.share for arm, settings in experiment.arms.items()}
    return ExperimentReport(
        name=name,
        shares=shares,
        first_day=days[0],
        last_day=days[1],
        users=users,
        moved=moved,
        estimates={(metric, arm): found[metric].get(arm, NOBODY) for metric in METRICS for arm in arms},
        differences={
            (metric, arm): difference(found[metric].get(control, NOBODY), found[metric].get(arm, NOBODY))
            for metric in METRICS
            for arm in others
        },
        mismatch=sample_ratio(users, shares),
    )


def as_rows(report: ExperimentReport, day: date) -> pl.DataFrame:
    """The report as rows of `monitoring/experiments`.

    Args:
        report: The report.
        day: The day that it is of.
    """
    rows = [
        {
            "ds": day,
            "experiment": report.name,
            "arm": arm,
            "metric": metric,
            "share": report.shares[arm],
            "users": report.users[arm],
            "moved_users": report.moved,
            "mismatch_p": report.mismatch,
            "value": one.value,
            "low": one.interval[0],
            "high": one.interval[1],
            **_compared(report.differences.get((metric, arm))),
        }
        for (metric, arm), one in report.estimates.items()
    ]
    return pl.DataFrame(rows, schema=EXPERIMENTS.schema).with_columns(pl.col(pl.Float64).fill_nan(None))


def _compared(found: Difference | None) -> dict[str, float | str | None]:
    """The columns that say how an arm differs; of the control they are null."""
    if found is None:
        return dict.fromkeys(("difference", "difference_low", "difference_high", "change", "verdict"))
    always = found.always or (None, None)
    return {
        "difference": found.difference,
        "difference_low": found.interval[0],
        "difference_high": found.interval[1],
        "change": found.change,
        "always_low": always[0],
        "always_high": always[1],
        "verdict": found.verdict,
    }
