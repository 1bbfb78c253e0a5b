"""Guardrails: what is certain, what is noise, and what is too little to say anything."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.arm_comparison import Difference, Estimate
from recsys_assets.monitoring.family_days import Stretch, days_of, final_days, newest_stretch
from recsys_assets.monitoring.guardrail import Judgement, judge, stretch_of

MetricRows = Callable[..., pl.DataFrame]
RATE = 0.05
FIRST = date(2026, 1, 5)
LAST = FIRST + timedelta(365)
GUARDRAIL = Guardrail(min_impressions=500, min_users=50)


def judged(rows: pl.DataFrame, guardrail: Guardrail = GUARDRAIL, arms: Difference | None = None) -> Judgement | None:
    """Version 2 of als, as of its newest day."""
    days = final_days(rows, LAST)
    stretch = stretch_of(days, "als", "2", guardrail)
    return None if stretch is None else judge(days, "als", "2", guardrail, stretch, arms)


def certain(rows: pl.DataFrame, guardrail: Guardrail = GUARDRAIL, arms: Difference | None = None) -> Judgement:
    """The same, where there is something to judge."""
    found = judged(rows, guardrail, arms)
    assert found is not None
    return found


def changed(old: int, new: int) -> list[str]:
    return ["1"] * old + ["2"] * new


def rates(old: int, new: int, change: float) -> list[float]:
    return [RATE] * old + [RATE * (1 + change)] * new


def test_a_version_that_loses_a_fifth_is_below_its_range_within_days(metric_rows: MetricRows) -> None:
    rows = metric_rows(np.random.default_rng(0), rates(28, 6, -0.2), version=changed(28, 6))
    found = certain(rows)
    assert found.state == "below"
    assert found.fall is not None
    assert found.fall.interval is not None
    assert found.fall.change == pytest.approx(-0.2, abs=0.05)
    assert found.fall.interval[0] < -0.2 < found.fall.interval[1] < -0.1
    assert (found.days, found.usual_days, found.stretch.changed_on) == (6, 28, FIRST + timedelta(28))
    assert "als version 2, ctr" in found.sentence
    assert "certainly more than 10% below" in found.sentence


def test_a_fall_that_is_allowed_and_a_rise_are_inside(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    for change in (-0.05, 0.0, 0.5):
        found = certain(metric_rows(rng, rates(28, 14, change), version=changed(28, 14)))
        assert found.state == "inside"
        assert "not certainly" in found.sentence


def test_what_looks_like_a_fall_and_is_not_certain_is_in_question(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    noisy = metric_rows(rng, rates(28, 2, -0.2), version=changed(28, 2), noise=0.15)
    assert (certain(noisy).state, certain(noisy).is_in_question) == ("inside", True)
    fine = metric_rows(rng, rates(28, 2, 0.0), version=changed(28, 2))
    assert not certain(fine).is_in_question
    fallen = metric_rows(rng, rates(28, 6, -0.4), version=changed(28, 6))
    assert (certain(fallen).state, certain(fallen).is_in_question) == ("below", False)


def test_one_terrible_day_is_one_day_even_among_good_ones(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    alone = metric_rows(rng, rates(28, 1, -0.9), version=changed(28, 1))
    assert certain(alone).state == "too early"
    among = metric_rows(rng, [*rates(28, 3, 0.0), RATE * 0.1, RATE], version=changed(28, 5))
    assert certain(among).state == "inside"


def test_days_with_few_impressions_or_few_users_are_not_looked_at(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    users = [2_000] * 28 + [40] * 6
    few = metric_rows(rng, rates(28, 6, -0.6), version=changed(28, 6), users=users)
    assert judged(few) is None
    assert certain(few, Guardrail(min_impressions=100, min_users=20)).days == 6
    assert judged(few, Guardrail(min_impressions=500, min_users=20)) is None


def test_days_that_may_still_earn_clicks_are_not_looked_at(metric_rows: MetricRows) -> None:
    is_final = [True] * 30 + [False] * 4
    rows = metric_rows(np.random.default_rng(0), rates(28, 6, -0.5), version=changed(28, 6), is_final=is_final)
    assert certain(rows).days == 2


def test_a_version_with_few_days_before_it_cannot_be_judged_yet(metric_rows: MetricRows) -> None:
    found = certain(metric_rows(np.random.default_rng(0), rates(5, 6, -0.5), version=changed(5, 6)))
    assert (found.state, found.fall) == ("too early", None)
    assert "too early to say (6 days with enough users, 5 before them)" in found.sentence


def test_a_weekly_rhythm_is_what_is_usual_and_not_a_fall(metric_rows: MetricRows) -> None:
    week = [1.0, 1.0, 1.0, 1.0, 1.0, 0.6, 0.6]
    rhythm = [RATE * week[day % 7] for day in range(40)]
    version = changed(33, 7)  # it begins with a weekend
    found = certain(metric_rows(np.random.default_rng(0), rhythm, version=version).head(35))
    assert found.state == "inside"
    assert found.fall is not None
    assert found.fall.change == pytest.approx(0, abs=0.1)


def test_a_small_share_of_the_users_makes_noisy_days_and_no_alarm(metric_rows: MetricRows) -> None:
    rng, alarms = np.random.default_rng(4), 0
    for _ in range(60):
        rows = metric_rows(rng, rates(28, 12, -0.1), version=changed(28, 12), users=[5_000] * 28 + [100] * 12)
        alarms += any(certain(rows.head(28 + days)).state == "below" for days in range(2, 13, 2))
    assert alarms <= 3


def test_looking_every_day_at_a_version_on_the_edge_raises_few_false_alarms(metric_rows: MetricRows) -> None:
    rng, alarms = np.random.default_rng(6), 0
    for _ in range(60):
        rows = metric_rows(rng, rates(28, 14, -0.1), version=changed(28, 14))
        alarms += any(certain(rows.head(28 + days)).state == "below" for days in range(2, 15, 2))
    assert alarms <= 3


def test_what_everything_else_that_was_shown_lost_too_is_shared(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    own = metric_rows(rng, rates(28, 6, -0.4), version=changed(28, 6))
    alike = metric_rows(rng, rates(28, 6, -0.4), family="popularity")
    fine = metric_rows(rng, rates(28, 6, 0.0), family="popularity")
    assert certain(pl.concat([own, alike])).is_shared
    assert "everything else shown fell as well" in certain(pl.concat([own, alike])).sentence
    assert not certain(pl.concat([own, fine])).is_shared
    assert not certain(own).is_shared


def test_users_of_other_arms_who_click_more_at_the_same_time_are_enough(metric_rows: MetricRows) -> None:
    nothing = Estimate(1_000, 500, 0.05, (0.04, 0.06), 0.005)
    rows = metric_rows(np.random.default_rng(0), rates(0, 6, 0.0), version="2")
    below = Difference(nothing, nothing, -0.01, (-0.02, -0.005), -0.2, (-0.3, -0.12))
    assert certain(rows, arms=below).state == "below"
    inside = Difference(nothing, nothing, -0.01, (-0.02, -0.005), -0.2, (-0.3, -0.08))
    assert certain(rows, arms=inside).state == "inside"
    unsaid = Difference(nothing, nothing, -0.01, (-0.02, -0.005), -0.2, None)
    assert certain(rows, arms=unsaid).state == "too early"


def test_a_metric_that_nobody_has_any_of_is_not_judged(metric_rows: MetricRows) -> None:
    found = certain(metric_rows(np.random.default_rng(0), [0.0] * 34, version=changed(28, 6)))
    assert found.state == "too early"


def test_a_version_that_is_not_on_the_newest_day_is_not_judged(metric_rows: MetricRows) -> None:
    rows = metric_rows(np.random.default_rng(0), rates(28, 6, -0.5), version=[*changed(28, 5), "3"])
    assert judged(rows) is None


def test_versions_of_one_day_are_pooled_by_their_impressions(metric_rows: MetricRows) -> None:
    rng = np.random.default_rng(0)
    parts = [metric_rows(rng, [rate], users=users) for rate, users in ((0.02, 3_000), (0.08, 1_000))]
    pooled = days_of(pl.concat(parts), GUARDRAIL)
    clicks = sum(part["clicks"].item() for part in parts)
    assert pooled["value"].item() == pytest.approx(clicks / 40_000)
    assert pooled["users"].item() == 4_000


def test_a_stretch_ends_where_another_version_served_alone_and_begins_anew_after_it() -> None:
    every = [FIRST + timedelta(day) for day in range(40)]
    again = every[:10] + every[30:]
    assert newest_stretch(again, every, 28) == Stretch(every[30], every[30], every[39])
    assert newest_stretch(every[:20], every, 28) is None
    assert newest_stretch([], [], 28) is None


def test_a_version_that_has_served_for_long_is_judged_in_blocks_and_has_not_changed() -> None:
    every = [FIRST + timedelta(day) for day in range(100)]
    begins = set()
    for until in range(60, 100):
        stretch = newest_stretch(every[: until + 1], every[: until + 1], 28)
        assert stretch is not None
        assert stretch.changed_on is None
        assert stretch.until - stretch.since < timedelta(28)
        begins.add(stretch.since)
    assert {(two - one).days for one, two in zip(sorted(begins), sorted(begins)[1:], strict=False)} == {28}
