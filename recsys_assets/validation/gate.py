"""The gate: every threshold between a trained candidate and approval, as pure verdicts with actual and threshold.

Measuring stays out (`evaluation`, `metrics`, `comparison`), and so does what follows from a verdict (`registry`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from recsys_assets.platform import FALLBACK_FAMILY, Gate
from recsys_assets.validation.comparison import Change, detectable

Stage = Literal["candidate", "release"]

CANDIDATE_CHECKS = {
    "ndcg_above_floor": "NDCG at 10 on the holdout reaches the family's floor.",
    "beats_popularity": "NDCG at 10 exceeds that of the slot's popularity candidate by the family's margin.",
    "ndcg_not_below_approved": "NDCG at 10 has not clearly dropped by more than is allowed, on the same users, against "
    "the approved version and against the best approved version of late.",
    "catalogue_coverage_above_floor": "Enough of the eligible items are recommended to somebody.",
    "no_excluded_item_recommended": "No list holds what its user must not see, or what nobody may be recommended.",
    "parameters_are_finite": "Every parameter of the artifact is a finite number.",
    "enough_holdout_users": "Enough users with a history had a hit in the holdout for the figures to mean something.",
}
RELEASE_CHECKS = {
    "release_is_finite": "Every parameter of the release artifact is a finite number.",
    "release_overlaps_candidate": "The release recommends to the same users much of what the judged candidate did.",
}
NOT_FOR_THE_FALLBACK = {"beats_popularity", "catalogue_coverage_above_floor"}
"""What popularity cannot meet; it is exempt, so that there is always a fallback."""


@dataclass(frozen=True)
class Verdict:
    """What one check says of one version.

    Attributes:
        check: Name of the check.
        actual: What was measured; None when it could not be.
        threshold: What was asked for.
        passed: Whether the version may go on.
        sentence: The verdict in words.
        smallest_detectable_drop: The relative drop, from what it is compared with, that so many users would have
            shown four times out of five (above 1: they cannot show any); None where nothing is left to chance, or
            nothing could be measured.
    """

    check: str
    actual: float | None
    threshold: float
    passed: bool
    sentence: str
    smallest_detectable_drop: float | None = None


@dataclass(frozen=True)
class Compared:
    """How a candidate does against one approved version, on the same users.

    Attributes:
        who: The version, in words.
        change: Of NDCG at 10; None where the version found nothing, or could not be ranked with.
        problem: Why it could not be ranked with, and what to do.
    """

    who: str
    change: Change | None = None
    problem: str = ""


@dataclass(frozen=True)
class Measured:
    """What the gate looks at.

    Attributes:
        ndcg_at_10: Of the candidate, mean over the holdout users; None without users.
        popularity_ndcg_at_10: Of the slot's popularity candidate, on the same users.
        holdout_users: Users with a history and at least one hit.
        is_finite: Whether every parameter of the artifact is finite.
        ndcg_error: Standard error of `ndcg_at_10`; None with fewer than two users.
        to_popularity: Change of NDCG at 10 against popularity; None where popularity found nothing.
        to_approved: The same against the approved versions, by name; empty where there is nothing to compare with.
        coverage: Share of the eligible items that somebody is recommended; None without users or items.
        forbidden: How many items lie in lists where they must not be.
    """

    ndcg_at_10: float | None
    popularity_ndcg_at_10: float | None
    holdout_users: int
    is_finite: bool
    ndcg_error: float | None = None
    to_popularity: Change | None = None
    to_approved: Mapping[str, Compared] = field(default_factory=dict)
    coverage: float | None = None
    forbidden: int = 0

    @property
    def changes(self) -> dict[str, Change | None]:
        """Every change of NDCG at 10 that was measured, by whom it is against."""
        return {"popularity": self.to_popularity} | {name: one.change for name, one in self.to_approved.items()}


def candidate_checks(family: str) -> dict[str, str]:
    """Name and meaning of the checks that a family's candidate must pass."""
    exempt = NOT_FOR_THE_FALLBACK if family == FALLBACK_FAMILY else set()
    return {name: meaning for name, meaning in CANDIDATE_CHECKS.items() if name not in exempt}


def required_checks(family: str) -> set[str]:
    """Every check that must have a stored, passing verdict before a version may be approved."""
    return {*candidate_checks(family), *RELEASE_CHECKS}


def judge_candidate(family: str, measured: Measured, gate: Gate) -> list[Verdict]:
    """Judge a candidate by every check of its family."""
    judges: dict[str, Callable[[], Verdict]] = {
        "ndcg_above_floor": lambda: _above_floor(measured, gate),
        "beats_popularity": lambda: _beats_popularity(measured, gate),
        "ndcg_not_below_approved": lambda: _not_below_approved(measured, gate),
        "catalogue_coverage_above_floor": lambda: _at_least(
            "the share of the catalogue that is recommended", measured.coverage, gate.min_catalogue_coverage
        ),
        "no_excluded_item_recommended": lambda: _nothing_forbidden(measured.forbidden),
        "parameters_are_finite": lambda: _finite(is_finite=measured.is_finite),
        "enough_holdout_users": lambda: _at_least(
            "the number of holdout users", float(measured.holdout_users), float(gate.min_holdout_users)
        ),
    }
    return [replace(judges[check](), check=check) for check in candidate_checks(family)]


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
    return [replace(verdict, check=check) for check, verdict in verdicts.items()]


def _above_floor(measured: Measured, gate: Gate) -> Verdict:
    floor, actual, error = gate.min_ndcg_at_10, measured.ndcg_at_10, measured.ndcg_error
    verdict = _at_least("NDCG at 10", actual, floor)
    if actual is None or error is None or not floor:
        return verdict
    # As in `Change`: whoever finds more also varies more, so the error is scaled back to the floor.
    return _with_drop(verdict, detectable(error / max(actual, floor)))


def _beats_popularity(measured: Measured, gate: Gate) -> Verdict:
    actual, baseline = measured.ndcg_at_10, measured.popularity_ndcg_at_10
    if actual is None or baseline is None:
        return Verdict("", actual, 0.0, passed=False, sentence="NDCG at 10 could not be compared with popularity")
    threshold = baseline * (1 + gate.min_gain_over_popularity)
    passed = actual > threshold
    relation = "above" if passed else "not above"
    sentence = f"NDCG at 10 is {actual:.6g}, {relation} {threshold:.6g} asked by popularity"
    change = measured.to_popularity
    return _with_drop(
        Verdict("", actual, threshold, passed, sentence), None if change is None else change.smallest_detectable_drop(0)
    )


def _not_below_approved(measured: Measured, gate: Gate) -> Verdict:
    """Refused where the whole interval of the change lies below the allowed drop, against any of the versions."""
    allowed = gate.max_ndcg_drop
    if measured.ndcg_at_10 is None:
        sentence = "the change of NDCG at 10 could not be measured: the holdout has no users with a history"
        return Verdict("", None, -allowed, passed=False, sentence=sentence)
    if not measured.to_approved:
        sentence = "nothing to compare: there is no approved version that has not seen the holdout"
        return Verdict("", None, -allowed, passed=True, sentence=sentence)
    compared = measured.to_approved.values()
    changes = [one.change for one in compared if one.change is not None]
    is_compared = allowed >= 1 or not any(one.problem for one in compared)
    passed = is_compared and not any(change.is_below(allowed) for change in changes)
    sentence = "; ".join(_said(one, allowed) for one in compared)
    if not changes:
        return Verdict("", None, -allowed, passed, sentence)
    worst = min(changes, key=lambda change: change.high)
    seen = max(change.smallest_detectable_drop(allowed) for change in changes)
    return _with_drop(Verdict("", worst.estimate, -allowed, passed, sentence), seen)


def _said(compared: Compared, allowed: float) -> str:
    """How the candidate does against one version, in words."""
    change = compared.change
    if compared.problem:
        return f"cannot be compared with {compared.who}: {compared.problem}"
    if change is None:
        return f"{compared.who} finds nothing in this holdout, so there is nothing to lose"
    relation = "clearly more than" if change.is_below(allowed) else "not clearly more than"
    return (
        f"NDCG at 10 changes by {_percent(change.estimate)} against {compared.who} (95 % interval "
        f"{_percent(change.low)} to {_percent(change.high)}), {relation} the allowed drop of {100 * allowed:.3g} %"
    )


def _nothing_forbidden(forbidden: int) -> Verdict:
    sentence = f"{forbidden} items are recommended to users who must not see them, or are not eligible"
    if not forbidden:
        sentence = "no list holds an item that is excluded or not eligible"
    return Verdict("", float(forbidden), 0.0, forbidden == 0, sentence)


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


def _finite(*, is_finite: bool) -> Verdict:
    sentence = "every parameter is finite" if is_finite else "some parameters are not finite numbers"
    return Verdict("", float(is_finite), 1.0, is_finite, sentence)


def _with_drop(verdict: Verdict, drop: float | None) -> Verdict:
    """The verdict with the smallest drop that it could have detected, also in words."""
    if drop is None:
        return verdict
    seen = f"a drop of {100 * drop:.2g} % or more would have shown" if drop <= 1 else "too few users to show any drop"
    return replace(verdict, sentence=f"{verdict.sentence}; {seen}", smallest_detectable_drop=drop)


def _percent(share: float) -> str:
    return f"{100 * share:+.3g} %"
