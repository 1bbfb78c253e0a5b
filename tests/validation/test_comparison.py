"""Two models on the same users: what the change is, how sure it is, and how often it is taken for what it is not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from recsys_assets.validation.bootstrap import resampled_means
from recsys_assets.validation.comparison import Change, detectable, relative_change, relative_changes


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """`benchmarks/gate.py`, whose simulated users are judged here a few times and there many times."""
    path = Path(__file__).parents[2] / "benchmarks" / "gate.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_gate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two(benchmark: ModuleType) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Approved and candidate, of which the second is in truth a tenth worse."""
    found = benchmark.ndcg_of_two(np.random.default_rng(3), 4_000, 0.1)
    return found[0], found[1]


def change_of(new: NDArray[np.float64] | list[float], old: NDArray[np.float64] | list[float], seed: int = 1) -> Change:
    found = relative_change(pl.Series(new, dtype=pl.Float64), pl.Series(old, dtype=pl.Float64), seed)
    assert found is not None
    return found


def test_the_change_is_that_of_the_means() -> None:
    assert change_of([0.5, 0.0, 0.1, 0.0], [0.5, 0.3, 0.0, 0.0]).estimate == pytest.approx(0.6 / 0.8 - 1)


def test_a_model_that_finds_the_same_has_not_changed_and_there_is_no_doubt() -> None:
    found = change_of([0.5, 0.0, 0.3, 1.0], [0.5, 0.0, 0.3, 1.0])
    assert (found.estimate, found.low, found.high, found.error) == (0, 0, 0, 0)


def test_half_of_everything_is_half_in_every_resample() -> None:
    old = np.random.default_rng(0).random(50)
    found = change_of(old / 2, old)
    assert (found.estimate, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))


def test_what_two_models_find_in_common_does_not_make_the_change_less_sure(
    two: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    approved, candidate = two
    shuffled = np.random.default_rng(0).permutation(candidate)
    paired, unpaired = change_of(candidate, approved), change_of(shuffled, approved)
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert paired.error < 0.7 * unpaired.error


def test_leaving_out_users_for_whom_nothing_was_found_draws_the_same_ratios(
    two: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    approved, candidate = two
    found = change_of(candidate, approved)
    means = resampled_means(np.column_stack([candidate, approved]), 1, 4_000)
    ratios = means[:, 0] / means[:, 1] - 1
    assert found.error == pytest.approx(ratios.std(), rel=0.05)
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(np.quantile(ratios, (0.025, 0.975)), abs=0.05 * width)


def test_the_seed_decides_the_interval_and_nothing_else(two: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    approved, candidate = two
    assert change_of(candidate, approved) == change_of(candidate, approved)
    other = change_of(candidate, approved, seed=2)
    assert other.estimate == change_of(candidate, approved).estimate
    assert other.low != change_of(candidate, approved).low


def test_one_model_is_compared_with_several_by_the_same_resamples() -> None:
    random = np.random.default_rng(5)
    new, old = pl.Series(random.random(200)), pl.Series(random.random(200))
    found = relative_changes(new, pl.DataFrame({"old": old, "twice": 2 * old, "nothing": 0 * old}), seed=1)
    assert found["nothing"] is None
    assert found["old"] is not None
    assert found["twice"] is not None
    for of_old, of_twice in zip(
        (found["old"].estimate, found["old"].low, found["old"].high),
        (found["twice"].estimate, found["twice"].low, found["twice"].high),
        strict=True,
    ):
        assert of_twice == pytest.approx((1 + of_old) / 2 - 1)


@pytest.mark.parametrize(("new", "old"), [([], []), ([0.0, 0.0], [0.0, 0.0]), ([0.5, 0.0], [0.0, 0.0])])
def test_without_users_or_without_anything_to_lose_there_is_no_change(new: list[float], old: list[float]) -> None:
    assert relative_change(pl.Series(new, dtype=pl.Float64), pl.Series(old, dtype=pl.Float64), 1) is None


def test_a_drop_is_more_than_the_allowed_one_when_its_whole_interval_is() -> None:
    assert Change(-0.2, -0.3, -0.051, 0.05).is_below(0.05)
    assert not Change(-0.2, -0.3, -0.05, 0.05).is_below(0.05)


@pytest.mark.parametrize(
    ("multiple", "users", "simulations", "fewest", "most"),
    [
        (0, 1_000, 100, 0, 2),
        (1, 1_000, 300, binom.ppf(1e-4, 300, 0.025), binom.ppf(1 - 1e-4, 300, 0.025)),
        (4, 3_000, 40, 36, 40),
    ],
    ids=["no difference", "just allowed", "four times the allowed drop"],
)
def test_the_gate_refuses_as_often_as_it_says(
    benchmark: ModuleType, multiple: int, users: int, simulations: int, fewest: float, most: float
) -> None:
    refused, _ = benchmark.refusals(users, multiple * benchmark.ALLOWED, simulations)
    assert fewest <= refused <= most


def test_the_smallest_detectable_drop_is_found_four_times_out_of_five(benchmark: ModuleType) -> None:
    _, smallest = benchmark.refusals(1_000, benchmark.ALLOWED, 20)
    refused, _ = benchmark.refusals(1_000, smallest, 150)
    assert binom.ppf(1e-3, 150, 0.75) <= refused <= binom.ppf(1 - 1e-3, 150, 0.85)


def test_a_model_that_finds_many_times_as_much_does_not_make_a_drop_harder_to_detect() -> None:
    small, large = (Change(gain, gain - 0.1, gain + 0.1, error=0.05 * (1 + gain)) for gain in (0.0, 7.0))
    assert small.smallest_detectable_drop(0) == pytest.approx(large.smallest_detectable_drop(0))


def test_an_effect_of_2_8_standard_errors_shows_four_times_out_of_five() -> None:
    assert detectable(1.0) == pytest.approx(1.96 + 0.84, abs=0.01)
