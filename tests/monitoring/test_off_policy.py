"""What a policy would have got: closed cases, what a log cannot say, and how often the truth lies inside."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.monitoring.off_policy import NoEstimateError, estimate, item_frequencies, with_targets


def log(*rows: tuple[str, bool, float | None, float]) -> pl.DataFrame:
    """Unit, clicked, propensity, target."""
    schema = {"unit": pl.String, "is_clicked": pl.Boolean, "propensity": pl.Float64, "target": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_clicks_count_as_much_more_as_the_policy_would_have_shown_them_more_often() -> None:
    found = estimate(
        log(("u", True, 0.5, 1.0), ("v", False, 0.5, 0.0), ("w", True, 0.25, 0.25), ("x", False, 0.5, 0.5))
    )
    assert found.ips.value == pytest.approx((2 + 1) / 4)
    assert found.snips.value == pytest.approx((2 + 1) / (2 + 0 + 1 + 1))
    assert found.logged.value == 0.5
    assert found.weight.value == 1
    assert (found.impressions, found.units, found.matched, found.largest_weight) == (4, 4, 3, 2)
    assert found.effective == pytest.approx(16 / 6)


def test_a_policy_that_is_the_log_itself_gets_what_the_log_got() -> None:
    found = estimate(log(*[(f"u{number}", number % 4 == 0, 0.2, 0.2) for number in range(40)]))
    assert found.ips.value == found.snips.value == found.logged.value == 0.25
    assert found.effective == pytest.approx(40)


def test_clipping_lowers_the_largest_weights_and_says_how_many() -> None:
    rows = log(("u", True, 0.1, 1.0), ("v", False, 0.5, 0.5), ("w", False, 0.5, 0.5), ("x", False, 0.5, 0.5))
    found = estimate(rows, clip=2.0)
    assert (found.largest_weight, found.clipped, found.ips.value) == (2, 1, 0.5)
    assert estimate(rows).ips.value == 2.5
    with pytest.raises(NoEstimateError, match="cannot be clipped at 0"):
        estimate(rows, clip=0.0)


def test_users_are_the_units_and_not_their_impressions() -> None:
    rows = [(f"u{number}", number % 5 == 0, 0.5, 0.5) for number in range(100)]
    once, again = estimate(log(*rows)), estimate(log(*rows, *rows))
    assert again.units == 100
    assert again.snips.high - again.snips.low == pytest.approx(once.snips.high - once.snips.low)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("u", True, None, 0.5), r"1 of 3 impressions have no propensity"),
        (("u", True, float("nan"), 0.5), r"1 of 3 impressions have no propensity"),
        (("u", True, 0.0, 0.5), r"a propensity such as 0; it is a probability, above 0 and at most 1"),
        (("u", True, -0.1, 0.5), r"a propensity such as -0.1"),
        (("u", True, 1.5, 0.5), r"a propensity such as 1.5"),
        (("u", True, 0.5, 1.5), r"a target such as 1.5; it is a probability, from 0 to 1"),
    ],
)
def test_what_is_no_probability_is_said(row: tuple[str, bool, float, float], message: str) -> None:
    with pytest.raises(NoEstimateError, match=message):
        estimate(log(("v", True, 0.5, 0.5), ("w", True, 0.5, 0.5), row))


def test_a_single_user_and_an_empty_log_say_nothing() -> None:
    for rows in ([], [("u", True, 0.5, 0.5)] * 3):
        with pytest.raises(NoEstimateError, match="an interval needs at least two"):
            estimate(log(*rows))


def test_a_log_that_never_shows_what_the_policy_would_cannot_say() -> None:
    with pytest.raises(NoEstimateError, match=r"the weights of the policy are 0.000 on average, at most 0.000"):
        estimate(log(*[(f"u{number}", True, 0.5, 0.0) for number in range(50)]))
    half = [(f"u{number}", True, 0.5, 0.5 * (number % 2)) for number in range(200)]  # half of it was never shown
    with pytest.raises(NoEstimateError, match="should be 1"):
        estimate(log(*half))


def shown(*rows: tuple[int, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"position": pl.Int64, "item_id": pl.String}, orient="row")


def test_the_policy_of_a_log_is_how_often_it_shows_each_item_at_each_place() -> None:
    policy = item_frequencies(shown((1, "a"), (1, "a"), (1, "b"), (2, "b")))
    assert policy.rows() == [(1, "a", pytest.approx(2 / 3)), (1, "b", pytest.approx(1 / 3)), (2, "b", 1.0)]
    assert with_targets(shown((2, "b"), (1, "b"), (1, "a")), policy)["target"].to_list() == [
        1.0,
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
    ]


def test_a_policy_that_shows_what_the_log_never_does_is_refused_by_name() -> None:
    policy = item_frequencies(shown((1, "a"), (1, "new"), (2, "b")))
    with pytest.raises(NoEstimateError, match=r"never shows 25% of what the policy would show, such as new at place 1"):
        with_targets(shown((1, "a"), (2, "b")), policy)
    assert with_targets(shown((2, "b"), (2, "c")), policy)["target"].to_list() == [1.0, 0.0]  # places never logged


def test_the_truth_lies_inside_19_of_20_times() -> None:
    rng = np.random.default_rng(3)
    clicks, target = np.array([0.02, 0.05, 0.1, 0.2]), np.array([0.1, 0.1, 0.2, 0.6])
    truth, runs, inside = float(clicks @ target), 300, {"ips": 0, "snips": 0}
    for _ in range(runs):
        users = np.repeat(np.arange(800), rng.integers(1, 4, 800))
        item = rng.integers(0, 4, users.size)
        rows = pl.DataFrame(
            {
                "unit": users,
                "is_clicked": rng.random(users.size) < clicks[item],
                "propensity": np.full(users.size, 0.25),
                "target": target[item],
            }
        )
        found = estimate(rows)
        inside["ips"] += int(found.ips.low <= truth <= found.ips.high)
        inside["snips"] += int(found.snips.low <= truth <= found.snips.high)
    assert all(0.92 <= count / runs <= 0.98 for count in inside.values()), inside


probability = st.floats(0.05, 1.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("uvw"), st.booleans(), probability), min_size=2, max_size=20))
def test_where_nothing_is_weighed_anew_both_are_the_rate_of_the_log(rows: list[tuple[str, bool, float]]) -> None:
    same = log(*[(unit, clicked, likely, likely) for unit, clicked, likely in rows], ("x", False, 0.5, 0.5))
    found = estimate(same)
    assert found.ips.value == pytest.approx(found.logged.value)
    assert found.snips.value == pytest.approx(found.logged.value)
