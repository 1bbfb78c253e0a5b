"""The intervals: what they contain, how often they contain the truth, and what decides them."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from recsys_assets.validation import bootstrap
from recsys_assets.validation.bootstrap import mean_intervals, resampled_means


def column(values: NDArray[np.float64] | list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"value": values}, schema={"value": pl.Float64})


def ends(values: NDArray[np.float64] | list[float | None], seed: int = 1, **options: float) -> tuple[float, float]:
    interval = mean_intervals(column(values), seed, **options)["value"]  # type: ignore[arg-type]
    assert interval is not None
    return interval


def test_values_that_are_all_the_same_have_an_interval_without_width() -> None:
    assert ends([0.25] * 40) == pytest.approx((0.25, 0.25))


def test_one_user_is_drawn_every_time() -> None:
    assert ends([0.5]) == (0.5, 0.5)


def test_of_two_users_the_resampled_means_are_a_quarter_a_half_and_a_quarter() -> None:
    means = resampled_means(np.array([[0.0], [1.0]]), seed=3, resamples=20_000)[:, 0]
    shares = [float((means == value).mean()) for value in (0, 0.5, 1)]
    assert shares == pytest.approx([1 / 4, 1 / 2, 1 / 4], abs=0.01)


def test_the_interval_of_many_users_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).random(2_000)
    low, high = ends(values, resamples=4_000)
    width = 1.96 * values.std() / np.sqrt(2_000)
    assert (low, high) == pytest.approx((values.mean() - width, values.mean() + width), abs=0.1 * width)


def test_a_higher_level_is_a_wider_interval() -> None:
    values = np.random.default_rng(2).random(100)
    low, high = ends(values, level=0.5)
    wide_low, wide_high = ends(values, level=0.99)
    assert wide_low < low < values.mean() < high < wide_high


@pytest.mark.parametrize("truth", [0.05, 0.4])
def test_the_interval_contains_the_truth_about_as_often_as_it_says(truth: float) -> None:
    rng = np.random.default_rng(17)
    samples = rng.random((200, 300)) < truth  # 300 users with a hit rate of `truth`, 200 times
    frame = pl.DataFrame({f"sample {number}": row.astype(np.float64) for number, row in enumerate(samples)})
    found = [interval for interval in mean_intervals(frame, seed=5).values() if interval is not None]
    share = sum(low <= truth <= high for low, high in found) / 200
    assert 0.9 <= share <= 0.99  # nominal 0.95; the standard error of 200 samples is 0.015


def test_users_without_the_metric_do_not_count() -> None:
    values = np.random.default_rng(4).random(300)
    alone = ends(values, resamples=4_000)
    among_others = ends([*values, *([None] * 300)], resamples=4_000)
    assert among_others == pytest.approx(alone, abs=0.006)


def test_means_over_users_with_the_metric_are_exact_in_every_resample() -> None:
    values = np.array([[1.0, 0.5], [np.nan, 0.5], [3.0, np.nan]])
    means = resampled_means(values, seed=1, resamples=500)
    possible = {1, 3, 2, 5 / 3, 7 / 3}
    seen = means[~np.isnan(means[:, 0]), 0]
    assert {min(possible, key=lambda one: abs(one - mean)) for mean in seen} == possible
    assert all(min(abs(one - mean) for one in possible) < 1e-12 for mean in seen)
    assert set(means[~np.isnan(means[:, 1]), 1]) == {0.5}


def test_a_metric_that_nobody_has_has_no_interval() -> None:
    frame = pl.DataFrame({"some": [0.5, 0.5], "none": [None, None]}, schema={"some": pl.Float64, "none": pl.Float64})
    assert mean_intervals(frame, 1) == {"some": (0.5, 0.5), "none": None}
    assert mean_intervals(frame.clear(), 1) == {"some": None, "none": None}


def test_the_seed_decides_and_all_columns_see_the_same_users() -> None:
    values = np.random.default_rng(6).random(50)
    frame = pl.DataFrame({"one": values, "other": values})
    first = mean_intervals(frame, 20_260_302)
    assert first == mean_intervals(frame, 20_260_302)
    assert first["one"] == first["other"]
    assert first != mean_intervals(frame, 20_260_304)


def test_memory_is_bounded_and_does_not_change_the_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).random((70, 2))
    at_once = resampled_means(values, seed=9, resamples=100)
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 7 * 70)
    assert np.allclose(resampled_means(values, seed=9, resamples=100), at_once, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("resamples", "level"), [(0, 0.95), (10, 0.0), (10, 1.0)])
def test_intervals_of_nothing_are_refused(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="need a resample"):
        mean_intervals(column([1.0]), 1, resamples=resamples, level=level)
