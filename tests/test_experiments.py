"""Experiments: what may be written, who is in which arm, and what an arm is served."""

import math
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from recsys_assets.configuration import ConfigurationError, checked
from recsys_assets.experiments import (
    UnusableVersionError,
    arm_of,
    arms_of,
    arms_on,
    assigned,
    require_usable,
    running_experiment,
    unusable_versions,
    versions_of_arm,
    weights_of_arm,
)
from recsys_assets.exposure import Arm
from recsys_assets.platform import Platform

FIRST = date(2026, 3, 2)
USERS = pl.Series("user_id", [f"U{number:06d}" for number in range(4_000)])
HALVES = {"control": {"share": 0.5}, "wide": {"share": 0.5, "weights": {"als": 1, "popularity": 0.5}}}
CERTAIN = 1e-4
"""A p-value below it does not happen to a fixed draw by chance."""


def written(experiments: dict[str, Any]) -> Platform:
    content = {
        "first_day": date(2026, 1, 5),
        "sources": {
            "events": {
                "path": "{date}.csv",
                "columns": {"user_id": "who", "item_id": "what", "occurred_at": "when"},
                "event_type": {"default": "purchase"},
            }
        },
        "families": {"popularity": {}, "als": {}},
        "experiments": experiments,
    }
    return checked(Platform, content, "recsys.yaml")


def experiment(**changes: Any) -> dict[str, Any]:
    return {"first_day": FIRST, "arms": HALVES, **changes}


def refusal(experiments: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        written(experiments)
    return str(refused.value)


@pytest.mark.parametrize(("shares", "said"), [((0.6, 0.5), "not 110 %"), ((0.5, 0.4), "not 90 %")])
def test_shares_that_do_not_add_up_are_refused_with_their_sum(shares: tuple[float, float], said: str) -> None:
    arms = {"control": {"share": shares[0]}, "wide": {"share": shares[1]}}
    message = refusal({"blend": experiment(arms=arms)})
    assert "experiments.blend" in message
    assert said in message
    assert f"control {shares[0]}, wide {shares[1]}" in message


def test_thirds_that_are_not_exact_in_binary_add_up_to_one() -> None:
    arms = {name: {"share": 1 / 3} for name in ("control", "one", "other")}
    assert written({"blend": experiment(arms=arms)}).experiments["blend"].arms["other"].share == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"control": {"share": 1.0}}, "at least two arms"),
        ({"control": {"share": 1.0}, "none": {"share": 0.0}}, "greater than 0"),
        ({"Control!": {"share": 0.5}, "wide": {"share": 0.5}}, "'Control!' is no name"),
        ({"default": {"share": 0.5}, "wide": {"share": 0.5}}, "without an experiment"),
        ({"control": {"share": 0.5}, "wide": {"share": 0.5, "family": "alls"}}, "did you mean 'als'?"),
        ({"control": {"share": 0.5}, "wide": {"share": 0.5, "weights": {"ease": 1}}}, "'ease' is no configured"),
        ({"control": {"share": 0.5}, "wide": {"share": 0.5, "weights": {"als": 0}}}, "weight above 0"),
        ({"control": {"share": 0.5}, "wide": {"share": 0.5, "versions": {"als": 0}}}, "versions.als"),
        ({"control": {"share": 0.5}, "wide": {"share": 0.5, "versions": {}}}, "leave the key out"),
        (
            {"control": {"share": 0.5}, "wide": {"share": 0.5, "family": "als", "versions": {"als": 3}}},
            "at most one of weights, family and versions",
        ),
    ],
)
def test_an_arm_that_makes_no_sense_is_refused_with_what_would_be_right(arms: dict[str, Any], said: str) -> None:
    assert said in refusal({"blend": experiment(arms=arms)})


def test_two_experiments_on_one_day_are_refused_by_both_names_and_the_day() -> None:
    message = refusal(
        {"blend": experiment(last_day=FIRST + timedelta(9)), "length": experiment(first_day=FIRST + timedelta(9))}
    )
    assert "blend and length both run on 2026-03-11" in message


def test_an_experiment_that_ends_before_it_begins_is_refused() -> None:
    assert "swap them" in refusal({"blend": experiment(last_day=FIRST - timedelta(1))})


def test_an_experiment_runs_from_its_first_to_its_last_day() -> None:
    platform = written(
        {"blend": experiment(last_day=FIRST + timedelta(6)), "next": experiment(first_day=FIRST + timedelta(7))}
    )
    days = {offset: running_experiment(platform, FIRST + timedelta(offset)) for offset in (-1, 0, 6, 7, 900)}
    assert days == {-1: None, 0: "blend", 6: "blend", 7: "next", 900: "next"}


def test_without_an_experiment_everybody_is_in_the_default_arm_and_gets_what_is_in_force() -> None:
    platform, before = written({"blend": experiment()}), FIRST - timedelta(1)
    assert arms_of(platform, USERS, before).unique().to_list() == ["default"]
    (arm,) = arms_on(platform, before).values()
    assert weights_of_arm(arm, {"als": 2.0}) == {"als": 2.0}
    assert versions_of_arm(arm, {"als": 4}) == {"als": 4}


def test_one_user_is_in_the_same_arm_as_among_all_on_every_day() -> None:
    platform = written({"blend": experiment()})
    among_all = arms_of(platform, USERS, FIRST)
    assert set(among_all) == {"control", "wide"}
    for place in (0, 7, 3_999):
        assert arm_of(platform, USERS[place], FIRST + timedelta(30)) == among_all[place]


def test_the_arm_of_a_user_never_changes_between_releases_of_the_code() -> None:
    users = pl.Series(["U1", "U2", "", "Ünïcode 😀", "U3", "U4"])
    expected = ["control", "control", "control", "wide", "control", "control"]
    assert assigned("blend", {"control": 0.5, "wide": 0.5}, users).to_list() == expected


@given(shares=st.lists(st.integers(1, 9), min_size=2, max_size=5), salt=st.text(max_size=8))
def test_arms_are_balanced_by_their_shares_for_every_salt(shares: list[int], salt: str) -> None:
    by_arm = {f"arm{number}": share / sum(shares) for number, share in enumerate(shares)}
    counts = assigned(salt, by_arm, USERS).value_counts()
    expected = [by_arm[arm] * USERS.len() for arm in counts["arm"]]
    assert chisquare(counts["count"].to_numpy(), expected).pvalue > CERTAIN / 100  # a hundred looks


@given(shares=st.lists(st.integers(1, 9), min_size=2, max_size=5), grown=st.integers(0, 4), factor=st.integers(2, 5))
def test_when_an_arm_grows_users_move_into_it_and_nowhere_else(shares: list[int], grown: int, factor: int) -> None:
    grown %= len(shares)
    later = [share * (factor if place == grown else 1) for place, share in enumerate(shares)]
    before, after = (
        assigned("ramp", {f"arm{number}": share / sum(one) for number, share in enumerate(one)}, USERS)
        for one in (shares, later)
    )
    moved = before != after
    assert after.filter(moved).unique().to_list() in ([f"arm{grown}"], [])


def test_the_order_in_which_arms_are_written_moves_nobody() -> None:
    one = assigned("blend", {"control": 0.3, "wide": 0.7}, USERS)
    assert one.equals(assigned("blend", {"wide": 0.7, "control": 0.3}, USERS))


def test_experiments_with_different_salts_are_independent_and_with_the_same_salt_alike() -> None:
    shares = {"control": 0.5, "wide": 0.5}
    one, other = assigned("one", shares, USERS), assigned("other", shares, USERS)
    together = pl.DataFrame({"one": one, "other": other}).group_by("one", "other").len().sort("one", "other")
    assert chi2_contingency(together["len"].to_numpy().reshape(2, 2)).pvalue > CERTAIN
    platform = written({"again": experiment(salt="one")})
    assert arms_of(platform, USERS, FIRST).equals(one)


def test_an_arm_is_served_its_own_blend_or_family_or_version() -> None:
    in_force = {"als": 2.0, "popularity": 1.0}
    assert weights_of_arm(Arm(share=0.5, weights={"als": 1, "popularity": 0}), in_force) == {"als": 1.0}
    assert weights_of_arm(Arm(share=0.5, family="popularity"), in_force) == {"popularity": 1.0}
    assert weights_of_arm(Arm(share=0.5, versions={"als": 3}), in_force) == in_force
    assert versions_of_arm(Arm(share=0.5, versions={"als": 3}), {"als": 4, "popularity": 2}) == {
        "als": 3,
        "popularity": 2,
    }


def test_an_arm_may_name_only_an_approved_version() -> None:
    arms = {"control": Arm(share=0.5), "old": Arm(share=0.5, versions={"als": 3, "popularity": 1})}
    statuses = {("als", 3): "Approved", ("popularity", 1): "Approved"}
    require_usable(arms, lambda *version: statuses.get(version))
    statuses[("als", 3)] = "Rejected"
    del statuses[("popularity", 1)]
    assert unusable_versions(arms, lambda *version: statuses.get(version)) == [
        "arm old: version 3 of als is Rejected; an arm may name only a version that is Approved",
        "arm old: version 1 of popularity does not exist; an arm may name only a version that is Approved",
    ]
    with pytest.raises(UnusableVersionError, match="version 3 of als is Rejected"):
        require_usable(arms, lambda *version: statuses.get(version))


def test_nobody_is_assigned_where_there_is_nobody() -> None:
    assert assigned("blend", {"control": 0.5, "wide": 0.5}, pl.Series([], dtype=pl.String)).len() == 0
    assert math.isclose(sum(arm.share for arm in arms_on(written({}), FIRST).values()), 1)
