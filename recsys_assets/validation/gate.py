"""The gate: every threshold between a trained candidate and approval, as pure verdicts with actual and threshold.

Measuring stays out (`evaluation`, `metrics`), and so does what follows from a verdict (`registry`).
"""

from dataclasses import dataclass
from typing import Literal

from recsys_assets.platform import FALLBACK_FAMILY, Gate

Stage = Literal["candidate", "release"]

CANDIDATE_CHECKS = {
    "ndcg_above_floor": "NDCG at 10 on the holdout reaches the family's floor.",
    "beats_popularity": "NDCG at 10 exceeds that of the slot's popularity candidate by the family's margin.",
    "parameters_are_finite": "Every parameter of the artifact is a finite number.",
    "enough_holdout_users": "Enough users with a history had a hit in the holdout for the figures to mean something.",
}
RELEASE_CHECKS = {
    "release_is_finite": "Every parameter of the release artifact is a finite number.",
    "release_overlaps_candidate": "The release recommends to the same users much of what the judged candidate did.",
}


@dataclass(frozen=True)
class Verdict:
    """What one check says of one version.

    Attributes:
        check: Name of the check.
        actual: What was measured; None when it could not be.
        threshold: What was asked for.
        passed: Whether the version may go on.
        sentence: The verdict in words.
    """

    check: str
    actual: float | None
    threshold: float
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Measured:
    """What the gate looks at.

    Attributes:
        ndcg_at_10: Of the candidate, mean over the holdout users; None without users.
        popularity_ndcg_at_10: Of the slot's popularity candidate, on the same users.
        holdout_users: Users with a history and at least one hit.
        is_finite: Whether every parameter of the artifact is finite.
    """

    ndcg_at_10: float | None
    popularity_ndcg_at_10: float | None
    holdout_users: int
    is_finite: bool


def candidate_checks(family: str) -> dict[str, str]:
    """Name and meaning of the checks that a family's candidate must pass.

    Popularity is exempt from beating itself, so that there is always a fallback.
    """
    exempt = {"beats_popularity"} if family == FALLBACK_FAMILY else set()
    return {name: meaning for name, meaning in CANDIDATE_CHECKS.items() if name not in exempt}


def required_checks(family: str) -> set[str]:
    """Every check that must have a stored, passing verdict before a version may be approved."""
    return {*candidate_checks(family), *RELEASE_CHECKS}


def judge_candidate(family: str, measured: Measured, gate: Gate) -> list[Verdict]:
    """Judge a candidate by every check of its family."""
    baseline = measured.popularity_ndcg_at_10
    verdicts = {
        "ndcg_above_floor": _at_least("NDCG at 10", measured.ndcg_at_10, gate.min_ndcg_at_10),
        "beats_popularity": _more_than(
            "NDCG at 10",
            measured.ndcg_at_10,
            None if baseline is None else baseline * (1 + gate.min_gain_over_popularity),
        ),
        "parameters_are_finite": _finite(is_finite=measured.is_finite),
        "enough_holdout_users": _at_least(
            "the number of holdout users", float(measured.holdout_users), float(gate.min_holdout_users)
        ),
    }
    return [_named(check, verdicts[check]) for check in candidate_checks(family)]


def judge_release(*, is_finite: bool, overlap: float | None, gate: Gate) -> list[Verdict]:
    """Judge a release.

    Args:
        is_finite: Whether every parameter is finite.
        overlap: Mean share of the first 50 items that release and candidate have in common.
        gate: The family's thresholds.
    """
    verdicts = {
        "release_is_finite": _finite(is_finite=is_finite),
        "release_overlaps_candidate": _at_least("the overlap with the candidate", overlap, gate.min_release_overlap),
    }
    return [_named(check, verdict) for check, verdict in verdicts.items()]


def _at_least(what: str, actual: float | None, threshold: float) -> Verdict:
    if actual is None:
        return Verdict("", None, threshold, passed=False, sentence=f"{what} could not be measured")
    passed = actual >= threshold
    return Verdict(
        "",
        actual,
        threshold,
        passed,
        f"{what} is {actual:.6g}, {'at least' if passed else 'below'} {threshold:.6g}",
    )


def _more_than(what: str, actual: float | None, baseline: float | None) -> Verdict:
    if actual is None or baseline is None:
        return Verdict(
            "",
            actual,
            baseline or 0.0,
            passed=False,
            sentence=f"{what} could not be compared with popularity",
        )
    passed = actual > baseline
    relation = "above" if passed else "not above"
    return Verdict(
        "", actual, baseline, passed, f"{what} is {actual:.6g}, {relation} {baseline:.6g} asked by popularity"
    )


def _finite(*, is_finite: bool) -> Verdict:
    sentence = "every parameter is finite" if is_finite else "some parameters are not finite numbers"
    return Verdict("", float(is_finite), 1.0, is_finite, sentence)


def _named(check: str, verdict: Verdict) -> Verdict:
    return Verdict(check, verdict.actual, verdict.threshold, verdict.passed, verdict.sentence)
