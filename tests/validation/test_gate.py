"""Every threshold between a trained candidate and approval."""

import math
from dataclasses import replace

import pytest

from recsys_assets.platform import Gate
from recsys_assets.validation.comparison import Change
from recsys_assets.validation.gate import (
    CANDIDATE_CHECKS,
    RELEASE_CHECKS,
    Compared,
    Measured,
    Verdict,
    candidate_checks,
    judge_candidate,
    judge_release,
    required_checks,
)

GATE = Gate(
    min_ndcg_at_10=0.05,
    min_gain_over_popularity=0.25,
    max_ndcg_drop=0.05,
    min_catalogue_coverage=0.1,
    min_holdout_users=50,
    min_release_overlap=0.5,
)
MEASURED = Measured(0.1, 0.04, holdout_users=200, is_finite=True, coverage=0.5)
IN_USE, BEST = (
    "version 4 of slot 2026-03-02 (in use)",
    "version 2 of slot 2026-02-20 (the best approved one of 28 days)",
)


def verdicts(
    family: str = "als",
    *,
    ndcg: float | None = 0.1,
    popularity: float | None = 0.04,
    users: int = 200,
    is_finite: bool = True,
) -> dict[str, Verdict]:
    measured = replace(
        MEASURED, ndcg_at_10=ndcg, popularity_ndcg_at_10=popularity, holdout_users=users, is_finite=is_finite
    )
    return judged_as(measured, family)


def judged_as(measured: Measured, family: str = "als", gate: Gate = GATE) -> dict[str, Verdict]:
    return {one.check: one for one in judge_candidate(family, measured, gate)}


def change(estimate: float, low: float, high: float) -> Change:
    return Change(estimate, low, high, error=0.02)


def against(*changes: Change | None, problem: str = "", gate: Gate = GATE) -> Verdict:
    """What is said of a candidate that changes so much against the version in use, and against the best one."""
    names = zip(("approved", "best"), (IN_USE, BEST), changes, strict=False)
    compared = {name: Compared(who, one, problem) for name, who, one in names}
    return judged_as(replace(MEASURED, to_approved=compared), gate=gate)["ndcg_not_below_approved"]


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
    judged = judged_as(Measured(None, None, holdout_users=0, is_finite=True))
    assert set(judged) - failed(judged) == {"parameters_are_finite", "no_excluded_item_recommended"}
    assert judged["enough_holdout_users"].sentence == "the number of holdout users is 0, below 50"
    for check in failed(judged) - {"enough_holdout_users"}:
        assert judged[check].actual is None
        assert "could not be" in judged[check].sentence


def test_popularity_need_not_beat_itself_nor_show_the_catalogue_and_must_do_everything_else() -> None:
    judged = judged_as(replace(MEASURED, ndcg_at_10=0.05, popularity_ndcg_at_10=0.05, coverage=0.001), "popularity")
    exempt = {"beats_popularity", "catalogue_coverage_above_floor"}
    assert set(CANDIDATE_CHECKS) - set(judged) == exempt
    assert failed(judged) == set()
    assert required_checks("als") - required_checks("popularity") == exempt


@pytest.mark.parametrize(("coverage", "passes"), [(0.1, True), (0.0999, False), (0.0, False), (None, False)])
def test_enough_of_the_catalogue_must_be_shown_to_somebody(coverage: float | None, *, passes: bool) -> None:
    verdict = judged_as(replace(MEASURED, coverage=coverage))["catalogue_coverage_above_floor"]
    assert (verdict.passed, verdict.actual, verdict.threshold) == (passes, coverage, 0.1)


def test_one_item_that_must_not_be_there_is_too_many() -> None:
    for forbidden, passes in ((0, True), (1, False), (7, False)):
        verdict = judged_as(replace(MEASURED, forbidden=forbidden))["no_excluded_item_recommended"]
        assert (verdict.passed, verdict.actual, verdict.threshold) == (passes, forbidden, 0)


def test_a_drop_is_refused_only_when_its_whole_interval_lies_below_the_allowed_one() -> None:
    clearly = against(change(-0.2, -0.3, -0.06))
    assert not clearly.passed
    assert (clearly.actual, clearly.threshold) == (-0.2, -0.05)
    assert clearly.sentence == (
        f"NDCG at 10 changes by -20 % against {IN_USE} (95 % interval -30 % to -6 %), "
        "clearly more than the allowed drop of 5 %; a drop of 11 % or more would have shown"
    )
    for unclear in (change(-0.2, -0.4, -0.04), change(-0.06, -0.07, -0.05), change(0.1, 0.0, 0.2)):
        verdict = against(unclear)
        assert verdict.passed
        assert "not clearly more than the allowed drop" in verdict.sentence


def test_the_version_in_use_and_the_best_of_late_must_both_be_reached() -> None:
    good, bad = change(0.01, -0.04, 0.06), change(-0.2, -0.3, -0.1)
    for pair in ((bad, good), (good, bad)):
        verdict = against(*pair)
        assert not verdict.passed
        assert verdict.actual == -0.2
        assert IN_USE in verdict.sentence
        assert BEST in verdict.sentence
    assert against(good, good).passed


def test_without_an_approved_version_there_is_nothing_to_compare_and_the_others_decide() -> None:
    verdict = against()
    assert (verdict.passed, verdict.actual, verdict.smallest_detectable_drop) == (True, None, None)
    assert verdict.sentence.startswith("nothing to compare")


def test_an_approved_version_that_finds_nothing_leaves_nothing_to_lose() -> None:
    verdict = against(None)
    assert verdict.passed
    assert verdict.sentence == f"{IN_USE} finds nothing in this holdout, so there is nothing to lose"


def test_what_cannot_be_compared_with_the_version_in_use_is_refused_and_says_what_to_do() -> None:
    verdict = against(None, problem="its artifact is damaged. Put it back")
    assert not verdict.passed
    assert verdict.sentence == f"cannot be compared with {IN_USE}: its artifact is damaged. Put it back"


def test_an_owner_who_allows_any_drop_is_not_kept_from_it() -> None:
    anything = GATE.model_copy(update={"max_ndcg_drop": 1.0})
    assert against(None, problem="its artifact is damaged", gate=anything).passed
    assert against(change(-0.99, -1.0, -0.98), gate=anything).passed


def test_a_verdict_says_which_drop_it_could_have_detected() -> None:
    measured = replace(MEASURED, ndcg_at_10=0.05, ndcg_error=0.005, to_popularity=Change(-0.1, -0.4, 0.2, error=0.2))
    judged = judged_as(measured)
    assert judged["ndcg_above_floor"].smallest_detectable_drop == pytest.approx(2.8 * 0.005 / 0.05, rel=0.01)
    assert judged["ndcg_above_floor"].sentence.endswith("; a drop of 28 % or more would have shown")
    assert judged["beats_popularity"].smallest_detectable_drop == pytest.approx(2.8 * 0.2, rel=0.01)
    assert against(change(0.0, -0.1, 0.1)).smallest_detectable_drop == pytest.approx(0.05 + 2.8 * 0.02, rel=0.01)
    for exact in ("parameters_are_finite", "no_excluded_item_recommended", "catalogue_coverage_above_floor"):
        assert judged[exact].smallest_detectable_drop is None


def test_so_few_users_that_even_a_total_loss_need_not_show_are_told_apart() -> None:
    verdict = against(Change(0.0, -0.9, 1.2, error=0.5))
    assert verdict.sentence.endswith("; too few users to show any drop")
    assert verdict.smallest_detectable_drop == pytest.approx(1.45, rel=0.01)


def test_without_a_floor_no_drop_below_it_can_be_detected() -> None:
    measured = replace(MEASURED, ndcg_error=0.005)
    assert judged_as(measured, gate=Gate())["ndcg_above_floor"].smallest_detectable_drop is None


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
