"""Guardrails: whether a version's online metric has left its allowed range, with certainty.

A version is held against the family's own days before it, and, where users of other arms get another version at the
same time, against them. Both are judged so that looking every day costs nothing: over the whole time that a version
serves, a version that stays inside its range is called out with probability alpha at most. Pure; what is done about it
is in `guardrail_decision`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import polars as pl

from recsys_assets.exposure import Guardrail, OnlineMetric
from recsys_assets.monitoring.arm_comparison import Difference
from recsys_assets.monitoring.family_days import Stretch, days_of, newest_stretch, usual_and_new
from recsys_assets.monitoring.sequential import Days, Interval, always_valid_change, evidence

MIN_USUAL_DAYS = 7
MIN_NEW_DAYS = 2
"""One day is one day: it may put a version in question, and never decides."""
SPREAD = 2.0
"""In standard deviations of a usual day: the size of falls that are found soonest."""
CHANGES: Interval = (-1.0, 10.0)
"""From nothing left to eleven times as much."""

State = Literal["inside", "below", "too early"]


@dataclass(frozen=True)
class Fall:
    """A figure since a change, held against what was usual before.

    Attributes:
        actual: Its mean over the new days, a usual day's worth of users counting once.
        usual: What the days before let expect of the same days.
        change: The relative difference of the two.
        interval: Of the relative change; each end is valid at all times at once. None where it was not asked for.
        is_certain: Whether the fall is larger than allowed, with certainty.
    """

    actual: float
    usual: float
    change: float
    interval: Interval | None
    is_certain: bool


@dataclass(frozen=True)
class Judgement:
    """What a guardrail says of a version.

    Attributes:
        family: Its family.
        version: Its number in the registry, as in the online metrics.
        metric: What was judged.
        stretch: The days that it was judged on.
        days: How many of them had enough impressions and users.
        usual_days: The same, of the days before.
        fall: Against the days before; None where there are too few of those. Of one day it has no interval.
        others: What else was shown on the same days, against its own days before; None where there is too little.
        arms: The users of this version against those of other arms who get another one; None without such arms.
        state: Whether the metric has left its range.
        allowed_drop: How far it may fall.
    """

    family: str
    version: str
    metric: OnlineMetric
    stretch: Stretch
    days: int
    usual_days: int
    fall: Fall | None
    others: Fall | None
    arms: Difference | None
    state: State
    allowed_drop: float

    @property
    def is_shared(self) -> bool:
        """Whether everything else that was shown fell as well: then the version is hardly what is wrong."""
        return self.others is not None and self.others.change <= -self.allowed_drop and not self._is_below_arms

    @property
    def is_in_question(self) -> bool:
        """Whether it looks as if the metric had left its range, without certainty yet; one day is enough for that."""
        seen = [self.fall.change] if self.fall is not None else []
        seen += [self.arms.change] if self.arms is not None and self.arms.always is not None else []
        return self.state != "below" and any(change < -self.allowed_drop for change in seen)

    @property
    def _is_below_arms(self) -> bool:
        always = None if self.arms is None else self.arms.always
        return always is not None and always[1] < -self.allowed_drop

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        name = f"{self.family} version {self.version}, {self.metric}"
        parts = [part for part in (self._against_days, self._against_arms) if part]
        if not parts:
            return f"{name}: too early to say ({self.days} days with enough users, {self.usual_days} before them)"
        found = "certainly" if self.state == "below" else "not certainly"
        shared = "; everything else shown fell as well" if self.state == "below" and self.is_shared else ""
        return f"{name}: {'; '.join(parts)}: {found} more than {self.allowed_drop:.0%} below{shared}"

    @property
    def _against_days(self) -> str:
        if self.fall is None:
            return ""
        days = f"{self.days} {'day' if self.days == 1 else 'days'} since {self.stretch.since}"
        return f"{self.fall.actual:.4g} on {days}, {_range(self.fall.change, self.fall.interval)} the days before"

    @property
    def _against_arms(self) -> str:
        if self.arms is None or self.arms.always is None:
            return ""
        return f"{_range(self.arms.change, self.arms.always)} the other arms"


def stretch_of(rows: pl.DataFrame, family: str, version: str, guardrail: Guardrail) -> Stretch | None:
    """The days on which a version is judged; None where it did not serve enough users on the family's newest day.

    Args:
        rows: As `judge` takes them.
        family: The family.
        version: The version.
        guardrail: Its settings.
    """
    own = rows.filter(pl.col("family") == family)
    served, every = (days_of(some, guardrail)["ds"].to_list() for some in (own.filter(version=version), own))
    return newest_stretch(served, every, guardrail.trailing_days)


def judge(
    rows: pl.DataFrame, family: str, version: str, guardrail: Guardrail, stretch: Stretch, arms: Difference | None
) -> Judgement:
    """Judge a version of a family by its days.

    Args:
        rows: As `family_days.final_days` returns them, of all families and at least twice `trailing_days` days.
        family: The family.
        version: The version.
        guardrail: Its settings.
        stretch: The days that it is judged on.
        arms: The version's users against those of other arms, with half of alpha; None without such arms.
    """
    is_own, allowed_drop = pl.col("family") == family, guardrail.allowed_drop
    served = days_of(rows.filter(is_own, version=version), guardrail)
    new = served.filter(pl.col("ds").is_between(stretch.since, stretch.until))
    usual = _before(days_of(rows.filter(is_own), guardrail), stretch, guardrail)
    fall = _fall(usual, new, allowed_drop, guardrail.alpha if arms is None else guardrail.alpha / 2)
    others = days_of(rows.filter(~is_own), guardrail)
    beside = others.join(new.select("ds"), on="ds", how="semi")
    return Judgement(
        family=family,
        version=version,
        metric=guardrail.metric,
        stretch=stretch,
        days=new.height,
        usual_days=usual.height,
        fall=fall,
        others=_fall(_before(others, stretch, guardrail), beside, allowed_drop, None),
        arms=arms,
        state=_state(fall, arms, guardrail),
        allowed_drop=allowed_drop,
    )


def _before(days: pl.DataFrame, stretch: Stretch, guardrail: Guardrail) -> pl.DataFrame:
    first = stretch.since - timedelta(guardrail.trailing_days)
    return days.filter(pl.col("ds").is_between(first, stretch.since, closed="left"))


def _fall(usual: pl.DataFrame, new: pl.DataFrame, allowed_drop: float, alpha: float | None) -> Fall | None:
    """New days against usual ones; without an alpha only the estimate; None where there are too few of them."""
    if usual.height < MIN_USUAL_DAYS or new.is_empty():
        return None
    days = usual_and_new(usual, new)
    actual, expected = _means(days)
    if expected <= 0:
        return None
    change = actual / expected - 1
    if alpha is None:
        return Fall(actual, expected, change, None, is_certain=False)
    if new.height < MIN_NEW_DAYS:
        return Fall(actual, expected, change, None, is_certain=False)
    interval = always_valid_change(days, alpha, SPREAD, CHANGES)
    is_certain = evidence(days, -allowed_drop, SPREAD).of_less >= -np.log(alpha)
    return Fall(actual, expected, change, interval, bool(is_certain))


def _means(days: Days) -> tuple[float, float]:
    """The figure of the new days, and what the days before let expect of them."""
    old, weights = ~days.is_new, days.precisions[days.is_new]
    root = np.sqrt(days.precisions[old])
    levels = np.linalg.lstsq(days.usual[old] * root[:, np.newaxis], days.values[old] * root, rcond=None)[0]
    expected = days.usual[days.is_new] @ levels
    return float(np.average(days.values[days.is_new], weights=weights)), float(np.average(expected, weights=weights))


def _state(fall: Fall | None, arms: Difference | None, guardrail: Guardrail) -> State:
    always = None if arms is None else arms.always
    if (fall is None or fall.interval is None) and always is None:
        return "too early"
    is_below_arms = always is not None and always[1] < -guardrail.allowed_drop
    return "below" if is_below_arms or (fall is not None and fall.is_certain) else "inside"


def _range(change: float, interval: Interval | None) -> str:
    if interval is None or interval[1] >= CHANGES[1]:  # an end that is nowhere says nothing
        return f"{change:+.1%} against"
    return f"{change:+.1%} ({interval[0]:+.1%} to {interval[1]:+.1%}) against"
