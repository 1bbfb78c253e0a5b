"""Every threshold between a trained candidate and approval."""

import math

import pytest

from recsys_assets.platform import Gate
from recsys_assets.validation.gate import (
    CANDIDATE_CHECKS,
    RELEASE_CHECKS,
    Measured,
    Verdict,
    candidate_checks,
    judge_candidate,
    judge_release,
    required_checks,
)

GATE = Gate(min_ndcg_at_10=0.05, min_gain_over_popularity=0.25, min_holdout_users=50, min_release_overlap=0.5)


def verdicts(
    family: str = "als",
    *,
    ndcg: float | None = 0.1,
    popularity: float | None = 0.04,
    users: int = 200,
    is_finite: bool = True,
) -> dict[str, Verdict]:
    judged = judge_candidate(family, Measured(ndcg, popularity, users, is_finite), GATE)
    return {one.check: one for one in judged}


def failed(judged: dict[str, Verdict]) -> set[str]:
    return {check for check, verdict in judged.items() if not verdict.passed}


def test_a_good_candidate_passes_every_check_of_its_family() -> None:
    assert list(verdicts()) == list(CANDIDATE_CHECKS)
    assert failed(verdicts()) == set()


@pytest.mark.parametrize(("ndcg", "passes"), [(0.05, True), (0.0499, False), (0.0, False), (math.nan, False)])
def test_the_floor_itself_is_high_enough_and_anything_below_is_not(ndcg: float, *, passes: bool) -> None:
    verdict = verdicts(ndcg=ndcg)["ndcg_above_floor"]
    assert verdict.passed is passes
    assert verdict.threshold == 0.05


@pytest.mark.parametrize(("ndcg", "passes"), [(0.1001, True), (0.1, False), (0.09, False), (math.nan, False)])
def test_popularity_must_be_beaten_by_more_than_the_margin(ndcg: float, *, passes: bool) -> None:
    verdict = verdicts(ndcg=ndcg, popularity=0.08)["beats_popularity"]  # 0.08 and a quarter of it are 0.1
    assert verdict.passed is passes
    assert verdict.threshold == pytest.approx(0.1)


def test_what_ranks_as_badly_as_a_popularity_of_zero_does_not_beat_it() -> None:
    assert failed(verdicts(ndcg=0.0, popularity=0.0)) == {"ndcg_above_floor", "beats_popularity"}


@pytest.mark.parametrize(("users", "passes"), [(50, True), (49, False), (0, False)])
def test_a_verdict_from_too_few_users_is_no_verdict(users: int, *, passes: bool) -> None:
    verdict = verdicts(users=users)["enough_holdout_users"]
    assert (verdict.passed, verdict.actual, verdict.threshold) == (passes, users, 50)


def test_one_parameter_that_is_not_finite_fails_alone() -> None:
    judged = verdicts(is_finite=False)
    assert failed(judged) == {"parameters_are_finite"}
    assert judged["parameters_are_finite"].sentence == "some parameters are not finite numbers"


def test_what_could_not_be_measured_has_not_passed() -> None:
    judged = verdicts(ndcg=None, popularity=None, users=0)
    assert failed(judged) == {"ndcg_above_floor", "beats_popularity", "enough_holdout_users"}
    assert judged["ndcg_above_floor"].actual is None
    assert "could not be" in judged["beats_popularity"].sentence


def test_popularity_need_not_beat_itself_and_must_do_everything_else() -> None:
    judged = verdicts("popularity", ndcg=0.05, popularity=0.05)
    assert set(CANDIDATE_CHECKS) - set(judged) == {"beats_popularity"}
    assert failed(judged) == set()
    assert required_checks("als") - required_checks("popularity") == {"beats_popularity"}


def test_a_sentence_says_what_was_measured_and_what_was_asked_for() -> None:
    judged = verdicts(ndcg=0.02, popularity=0.02)
    assert judged["ndcg_above_floor"].sentence == "NDCG at 10 is 0.02, below 0.05"
    assert judged["beats_popularity"].sentence == "NDCG at 10 is 0.02, not above 0.025 asked by popularity"
    assert judged["enough_holdout_users"].sentence == "the number of holdout users is 200, at least 50"


def test_approval_needs_the_checks_of_both_stages() -> None:
    assert required_checks("als") == {*CANDIDATE_CHECKS, *RELEASE_CHECKS}
    assert set(candidate_checks("als")).isdisjoint(RELEASE_CHECKS)


@pytest.mark.parametrize(("overlap", "passes"), [(0.5, True), (1.0, True), (0.49, False), (None, False)])
def test_a_release_must_resemble_its_candidate(overlap: float | None, *, passes: bool) -> None:
    judged = {one.check: one.passed for one in judge_release(is_finite=True, overlap=overlap, gate=GATE)}
    assert judged == {"release_is_finite": True, "release_overlaps_candidate": passes}


def test_a_release_that_is_not_finite_is_refused_whatever_it_resembles() -> None:
    judged = judge_release(is_finite=False, overlap=1.0, gate=GATE)
    assert [one.passed for one in judged] == [False, True]
