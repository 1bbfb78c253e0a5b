"""The report of an experiment: who is in it, who is not, and how the arms differ."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import EXPERIMENTS, USER_OUTCOMES
from recsys_assets.exposure import Arm, Experiment
from recsys_assets.monitoring.experiment_report import METRICS, as_rows, report_on_experiment

FIRST = date(2026, 3, 2)
LAST = FIRST + timedelta(6)
EXPERIMENT = Experiment(first_day=FIRST, last_day=LAST, arms={"control": Arm(share=0.5), "wide": Arm(share=0.5)})


def rows_of(day: date, arm: str, users: list[str], clicks: list[int], family: str = "final") -> pl.DataFrame:
    """Ten impressions of each user."""
    frame = pl.DataFrame({"user_id": users, "clicks": clicks}).with_columns(
        ds=pl.lit(day), arm=pl.lit(arm), family=pl.lit(family), impressions=pl.lit(10), ndcg_requests="clicks"
    )
    zeros = [name for name in USER_OUTCOMES.schema.names() if name not in frame.columns]
    full = frame.with_columns(pl.lit(None if name == "version" else 0).alias(name) for name in zeros)
    return full.select(USER_OUTCOMES.schema.names()).cast(USER_OUTCOMES.schema)


def many(seed: int, sizes: tuple[int, int] = (3_000, 3_000)) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.concat(
        rows_of(FIRST, arm, [f"{arm}{user}" for user in range(size)], rng.binomial(10, rate, size).tolist())
        for (arm, rate), size in zip({"control": 0.05, "wide": 0.08}.items(), sizes, strict=True)
    )


def test_the_arms_of_all_days_are_compared_with_the_first_one() -> None:
    report = report_on_experiment("blend", EXPERIMENT, many(0).lazy(), LAST)
    assert report.users == {"control": 3_000, "wide": 3_000}
    assert report.differences["ctr", "wide"].verdict == "higher"
    assert report.differences["ctr", "wide"].change == pytest.approx(0.6, abs=0.15)
    assert report.differences["revenue_per_impression", "wide"].verdict == "too few"
    assert set(report.differences) == {(metric, "wide") for metric in METRICS}
    assert not report.has_mismatch
    assert (report.first_day, report.last_day) == (FIRST, FIRST)


def test_arms_that_do_not_hold_the_users_that_they_should_are_called_out() -> None:
    assert report_on_experiment("blend", EXPERIMENT, many(0, (3_000, 2_400)).lazy(), LAST).has_mismatch


def test_other_days_other_arms_and_rows_of_families_do_not_count() -> None:
    own = many(0)
    noise = [
        rows_of(FIRST - timedelta(1), "wide", ["before"], [10]),
        rows_of(LAST + timedelta(1), "wide", ["after"], [10]),
        rows_of(FIRST, "default", ["nobody"], [10]),
        rows_of(FIRST, "wide", ["wide1"], [10], family="als"),
    ]
    one, other = (
        report_on_experiment("blend", EXPERIMENT, frame.lazy(), LAST + timedelta(9))
        for frame in (own, pl.concat([own, *noise]))
    )
    assert as_rows(one, LAST).equals(as_rows(other, LAST))
    assert report_on_experiment("blend", EXPERIMENT, own.lazy(), FIRST - timedelta(1)).first_day is None


def test_users_who_were_seen_in_several_arms_are_counted_and_left_out() -> None:
    moved = [rows_of(FIRST + timedelta(1), arm, ["mover"], [9]) for arm in ("control", "wide")]
    report = report_on_experiment("blend", EXPERIMENT, pl.concat([many(0), *moved]).lazy(), LAST)
    assert report.moved == 1
    without = report_on_experiment("blend", EXPERIMENT, many(0).lazy(), LAST)
    assert as_rows(report, LAST).drop("moved_users").equals(as_rows(without, LAST).drop("moved_users"))


def test_the_days_of_one_user_are_one_user() -> None:
    days = [rows_of(FIRST + timedelta(day), "wide", ["one"], [1]) for day in range(7)]
    report = report_on_experiment("blend", EXPERIMENT, pl.concat(days).lazy(), LAST)
    assert (report.users["wide"], report.estimates["ctr", "wide"].users) == (1, 1)
    assert report.last_day == LAST


def test_the_report_is_stored_with_a_row_for_each_arm_and_metric() -> None:
    rows = as_rows(report_on_experiment("blend", EXPERIMENT, many(0).lazy(), LAST), FIRST)
    assert rows.schema == EXPERIMENTS.schema
    assert rows.height == 8
    assert rows.select(EXPERIMENTS.required).null_count().sum_horizontal().item() == 0
    control = rows.filter(pl.col("arm") == "control", pl.col("metric") == "ctr").row(0, named=True)
    assert control["verdict"] is None
    assert control["low"] < control["value"] < control["high"]
    wide = rows.filter(pl.col("arm") == "wide", pl.col("metric") == "ctr").row(0, named=True)
    assert wide["verdict"] == "higher"
    assert 0 < wide["always_low"] < wide["change"] < wide["always_high"]


def test_an_experiment_that_nobody_has_seen_yet_has_an_empty_report() -> None:
    report = report_on_experiment("blend", EXPERIMENT, pl.LazyFrame(schema=USER_OUTCOMES.schema), LAST)
    assert (report.first_day, report.mismatch, sum(report.users.values())) == (None, 1.0, 0)
    assert as_rows(report, FIRST)["value"].null_count() == 8
