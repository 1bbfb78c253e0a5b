"""Which weights of the families, and which rule, blend what is served: pure decisions, kept in `stored_weights`."""

from collections.abc import Collection, Mapping
from datetime import date

from recsys_assets.composing import Blend, BlendRule
from recsys_assets.platform import Platform
from recsys_assets.validation.comparison import Change
from recsys_assets.validation.gate import Verdict

CHECK = "weights_not_below_those_in_force"
CHECK_MEANING = "NDCG at 10 of the blend has not clearly dropped by more than is allowed by a change of weights."

FIRST_RULE: BlendRule = "reciprocal_ranks"
"""In force until a slot says otherwise."""
OTHER_RULE: Mapping[BlendRule, BlendRule] = {"reciprocal_ranks": "z_scores", "z_scores": "reciprocal_ranks"}

Weights = Mapping[str, float]
"""Family to its weight in the blend, above zero; whoever is missing takes no part."""


def configured_weights(platform: Platform) -> Weights:
    """The weights in `recsys.yaml`."""
    return {name: settings.weight for name, settings in platform.families.items() if settings.weight > 0}


def weights_at(stored: Mapping[date, Weights], slot: date, platform: Platform) -> Weights | None:
    """The weights in force once a slot was judged.

    A family that is not configured any more has dropped out: nothing ranks for it.

    Args:
        stored: Slot to the weights in force once it was judged.
        slot: Newer slots say nothing about it.
        platform: The configuration.

    Returns:
        The weights; None where no slot has put any in force yet, or nothing is left of them.
    """
    newest = max((one for one in stored if one <= slot), default=None)
    if newest is None:
        return None
    left = {name: weight for name, weight in stored[newest].items() if name in platform.families}
    return None if stored[newest] and not left else left


def shares(weights: Weights) -> dict[str, float]:
    """Each weight as a share of their sum, to nine digits, so that rounding is no change."""
    total = sum(weights.values())
    return {name: round(weight / total, 9) for name, weight in weights.items()}


def are_alike(one: Weights, other: Weights) -> bool:
    """Whether two sets of weights blend alike: only the ratios between the families matter."""
    return shares(one) == shares(other)


def judge_weights(
    asked: Weights,
    before: Weights | None,
    taking_part: Collection[str],
    change: Change | None,
    users: int,
    settings: Blend,
) -> Verdict:
    """Judge the weights that are configured against those in force.

    Refused are weights under which the blend loses clearly more than is allowed, and weights of which that cannot be
    said: by too few users, or because a family that is to count for more has nothing to show yet.

    Args:
        asked: The configured weights.
        before: The weights in force; None where there are none.
        taking_part: The families with a version that would serve.
        change: Of NDCG at 10 against the blend with the weights in force, both of the same versions, on the same
            users; None where that one found nothing, or where nothing is compared.
        users: Users of the holdout.
        settings: The thresholds.
    """
    allowed = settings.max_ndcg_drop
    if before is None:
        return _verdict(allowed, "the first weights: there is nothing to compare with", passed=True)
    if are_alike(asked, before):
        return _verdict(allowed, f"the weights are those in force: {in_words(before)}", passed=True)
    passed, finding = _finding(asked, before, taking_part, change, users, settings)
    passed = passed or allowed >= 1
    outcome = "are in force now" if passed else f"are not put in force; {in_words(before)} stays"
    sentence = f"the weights {in_words(asked)} {outcome}: {finding}"
    if change is None:
        return _verdict(allowed, sentence, passed=passed)
    seen = change.smallest_detectable_drop(allowed)
    return Verdict(CHECK, change.estimate, -allowed, passed, sentence, smallest_detectable_drop=seen)


def judge_rule(before: BlendRule, change: Change | None, users: int, settings: Blend) -> BlendRule:
    """Choose the rule of the blend: the configured one, or the one in force until the other is clearly better.

    Args:
        before: The rule in force.
        change: Of NDCG at 10 from the rule in force to the other one, both with the weights in force, of the same
            versions, on the same users; None where the first found nothing.
        users: Users of the holdout.
        settings: What is configured.
    """
    if settings.rule != "best":
        return settings.rule
    is_better = change is not None and change.low > 0 and users >= settings.min_holdout_users
    return OTHER_RULE[before] if is_better else before


def why_not_in_force(asked: Weights, in_force: Weights) -> str:
    """What to tell whoever sees lists blended by other weights than those configured, and how to change that."""
    return (
        f"blended with {in_words(in_force)}, not with {in_words(asked)} of recsys.yaml: those have not passed "
        "validation/final. Each new slot judges them again; materialize validation/final of the newest slot to judge "
        "them now, or set blend.max_ndcg_drop to allow what they lose"
    )


def in_words(weights: Weights) -> str:
    """The weights as a person reads them: `als 1, ease 0.5`."""
    return ", ".join(f"{name} {weight:g}" for name, weight in sorted(weights.items())) or "no family"


def _finding(
    asked: Weights,
    before: Weights,
    taking_part: Collection[str],
    change: Change | None,
    users: int,
    settings: Blend,
) -> tuple[bool, str]:
    """Whether nothing speaks against a change of weights, and what was found."""
    absent = _rising(asked, before) - set(taking_part)
    if absent:
        names = ", ".join(sorted(absent))
        return False, f"{names} is to count for more and has no version that would serve, so nothing can be compared"
    if users < settings.min_holdout_users:
        return False, f"{users} users of the holdout are too few to judge by, {settings.min_holdout_users} are asked"
    if change is None:
        return True, "the blend in force finds nothing in this holdout, so there is nothing to lose"
    passed = not change.is_below(settings.max_ndcg_drop)
    relation = "not clearly more than" if passed else "clearly more than"
    return passed, (
        f"NDCG at 10 changes by {change.estimate:+.3%} (95 % interval {change.low:+.3%} to {change.high:+.3%}), "
        f"{relation} the allowed drop of {settings.max_ndcg_drop:.3g}"
    )


def _rising(asked: Weights, before: Weights) -> set[str]:
    """The families whose share in the blend grows."""
    new, old = shares(asked), shares(before)
    return {name for name, share in new.items() if share > old.get(name, 0.0)}


def _verdict(allowed: float, sentence: str, *, passed: bool) -> Verdict:
    return Verdict(CHECK, None, -allowed, passed, sentence)
