"""Two groups of users, one metric: what is estimated, and when a difference is certain."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import chisquare

from recsys_assets.monitoring.arm_comparison import (
    MISMATCH_BELOW,
    NOBODY,
    difference,
    estimates,
    sample_ratio,
)


def outcomes(rng: np.random.Generator, users: int, rates: dict[str, float], days: int = 1) -> pl.DataFrame:
    """Daily rows of users who differ in how much they look and click, half of them in each arm."""
    arms = list(rates)
    arm = rng.integers(len(arms), size=users)
    taste = rng.beta(4, 4 * (1 / 0.05 - 1), users)
    factor = np.array([rates[name] for name in arms])[arm] / 0.05
    parts = []
    for day in range(days):
        active = np.flatnonzero(rng.random(users) < 0.4)
        shown = 1 + rng.poisson(rng.gamma(1.0, 8.0, active.size))
        clicks = rng.binomial(shown, np.clip(taste[active] * factor[active], 0, 1))
        columns = {"user_id": active, "arm": np.array(arms)[arm[active]], "impressions": shown, "clicks": clicks}
        parts.append(pl.DataFrame({"day": np.full(active.size, day), **columns}))
    every = pl.concat(parts).with_columns(pl.col("user_id").cast(pl.String))
    money = (pl.col("clicks") * 1.5).alias("revenue")
    bought = pl.min_horizontal("clicks", pl.lit(1)).alias("conversions")
    return every.with_columns(money, bought, ndcg_sum=pl.col("clicks") * 0.5, ndcg_requests="clicks")


def test_an_estimate_is_over_users_with_all_of_their_days() -> None:
    rows = pl.LazyFrame(
        {
            "user_id": ["a", "a", "b", "c"],
            "arm": ["x", "x", "x", "y"],
            "clicks": [1, 1, 0, 1],
            "impressions": [4, 2, 4, 2],
        }
    )
    found = estimates(rows, "arm", "ctr")
    assert (found["x"].users, found["x"].with_any) == (2, 1)
    assert found["x"].value == pytest.approx(0.2)
    residuals = [2 - 0.2 * 6, 0 - 0.2 * 4]
    assert found["x"].error == pytest.approx(math.sqrt(2 / 1 * sum(one**2 for one in residuals)) / 10)
    assert math.isnan(found["y"].error)


def test_a_user_without_any_of_the_denominator_is_no_user_of_the_metric() -> None:
    rows = pl.LazyFrame(
        {"user_id": ["a", "b", "c"], "arm": ["x", "x", "y"], "clicks": [2, 0, 0], "conversions": [1, 0, 0]}
    )
    found = estimates(rows, "arm", "cvr")
    assert found["x"].users == 1
    assert "y" not in found


def test_a_real_difference_is_found_and_its_intervals_hold_it() -> None:
    rows = outcomes(np.random.default_rng(0), 20_000, {"control": 0.05, "better": 0.06}).lazy()
    found = estimates(rows, "arm", "ctr")
    compared = difference(found["control"], found["better"])
    assert compared.verdict == "higher"
    assert compared.always is not None
    assert compared.always[0] < 0.2 < compared.always[1]
    assert compared.interval[0] < 0.01 < compared.interval[1]
    assert difference(found["better"], found["control"]).verdict == "lower"


def test_too_few_users_or_none_are_never_certain() -> None:
    rng = np.random.default_rng(0)
    few = estimates(outcomes(rng, 150, {"control": 0.02, "better": 0.5}).lazy(), "arm", "ctr")
    assert difference(few["control"], few["better"]).verdict == "too few"
    empty = difference(few["control"], NOBODY)
    assert (empty.verdict, math.isnan(empty.difference), math.isnan(empty.change)) == ("too few", True, True)


def test_a_metric_that_nobody_has_any_of_has_no_interval() -> None:
    rows = outcomes(np.random.default_rng(0), 400, {"control": 0.05, "better": 0.05}).with_columns(clicks=0).lazy()
    found = estimates(rows, "arm", "ctr")
    compared = difference(found["control"], found["better"])
    assert (compared.difference, compared.verdict) == (0, "too few")
    assert all(math.isnan(end) for end in compared.interval)


def test_looking_every_day_at_arms_that_are_alike_ends_few_experiments_in_error() -> None:
    rng = np.random.default_rng(11)
    always = naive = 0
    for _ in range(100):
        rows = outcomes(rng, 1_200, {"control": 0.05, "same": 0.05}, days=14)
        looks = []
        for day in range(14):
            found = estimates(rows.lazy().filter(pl.col("day") <= day), "arm", "ctr")
            looks.append(difference(found["control"], found["same"]))
        always += any(look.verdict in ("higher", "lower") for look in looks)
        naive += any(not look.interval[0] <= 0 <= look.interval[1] for look in looks)
    assert always / 100 <= 0.05
    assert naive / 100 > 0.1


def test_users_who_are_spread_as_they_should_be_are_no_mismatch_and_others_are() -> None:
    shares = {"control": 0.8, "better": 0.2}
    assert sample_ratio({"control": 8_010, "better": 1_990}, shares) > 0.5
    assert sample_ratio({"control": 8_300, "better": 1_700}, shares) < MISMATCH_BELOW
    expected = chisquare([8_100, 1_900], [8_000, 2_000]).pvalue
    assert sample_ratio({"control": 8_100, "better": 1_900}, shares) == pytest.approx(expected)
    assert sample_ratio({"control": 900}, shares) < MISMATCH_BELOW
    assert sample_ratio({}, shares) == 1
