"""What follows when a guardrail finds a version below its range: somebody is told, or the version is taken back.

Pure. Judging is in `guardrail`; whoever calls this tells, and takes back through the same life cycle as a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.guardrail import Judgement


@dataclass(frozen=True)
class Serving:
    """What the registry and its history say of a family.

    Attributes:
        in_use: The version that serves; None for none.
        previous: The version that a rollback goes back to; None where there is none.
        in_arms: Versions that arms of the running experiment name.
        taken_back: Version to the newest day on which the guardrail took it back.
    """

    in_use: int | None
    previous: int | None
    in_arms: frozenset[int]
    taken_back: Mapping[int, date]


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done."""

    reason: str


@dataclass(frozen=True)
class Alert:
    """A person is to be told, and has to decide."""

    family: str
    version: str
    reason: str


@dataclass(frozen=True)
class Rollback:
    """The version is to be taken back, and a person is to be told."""

    family: str
    version: int
    to: int
    reason: str


def decide(judgement: Judgement, guardrail: Guardrail, serving: Serving, today: date) -> Nothing | Alert | Rollback:
    """Decide what to do about a version that was judged.

    It is taken back only if nobody has to think about it: the guardrail is set to, the version is the one in use and
    has come into use inside the window, there is an approved one to go back to, the rest of what is shown does fine,
    the guardrail has not taken anything of the family back for the days of the cool-down, and never this version: one
    that a person has put in use again in spite of it is theirs to take back.

    Args:
        judgement: Of the version.
        guardrail: Its settings.
        serving: What serves.
        today: The day on which it is decided.

    Returns:
        What to do, with the reason in words for a person.
    """
    if judgement.state != "below":
        return Nothing(judgement.sentence)
    version = judgement.version
    named = {str(one) for one in serving.in_arms}
    if version != str(serving.in_use) and version not in named:
        return Nothing(f"{judgement.family} version {version} does not serve any more")
    why_not = _against_taking_back(judgement, guardrail, serving, today)
    if why_not or serving.in_use is None or serving.previous is None:
        return Alert(judgement.family, version, f"{judgement.sentence}. Not taken back: {why_not}")
    return Rollback(judgement.family, serving.in_use, serving.previous, judgement.sentence)


def _against_taking_back(judgement: Judgement, guardrail: Guardrail, serving: Serving, today: date) -> str:
    """The first reason for which a person has to decide; empty where there is none."""
    last = max(serving.taken_back.values(), default=date.min)
    its_own = None if serving.in_use is None else serving.taken_back.get(serving.in_use)
    reasons = {
        "the guardrail is set to alert only": guardrail.action == "alert",
        "only an arm of the running experiment gets it; end the arm in recsys.yaml": judgement.version
        != str(serving.in_use),
        f"it has served for more than {guardrail.trailing_days} days, so that it is hardly what has changed": (
            judgement.stretch.changed_on is None
        ),
        "everything else that is shown has fallen as well, so that it is hardly the version": judgement.is_shared,
        f"it was taken back on {its_own}, and a person has put it in use again": its_own is not None,
        f"a version was taken back on {last}, less than {guardrail.cooldown_days} days ago": (
            last > date.min and today < last + timedelta(guardrail.cooldown_days)
        ),
        "there is no other approved version to go back to": serving.previous is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
