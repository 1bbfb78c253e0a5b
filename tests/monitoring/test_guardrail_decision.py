"""What follows from a guardrail: nothing, a message, or a rollback, and why not the rollback."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.family_days import Stretch
from recsys_assets.monitoring.guardrail import Fall, Judgement
from recsys_assets.monitoring.guardrail_decision import Alert, Nothing, Rollback, Serving, decide

TODAY = date(2026, 4, 10)
CHANGED = TODAY - timedelta(4)
FELL = Fall(0.03, 0.05, -0.4, (-0.5, -0.3), is_certain=True)
BELOW = Judgement(
    "als", "5", "ctr", Stretch(CHANGED, CHANGED, TODAY - timedelta(1)), 3, 28, FELL, None, None, "below", 0.1
)
ROLLBACK = Guardrail(action="rollback", cooldown_days=7)
SERVING = Serving(in_use=5, previous=4, in_arms=frozenset(), taken_back={})


def test_a_version_in_use_that_is_certainly_below_is_taken_back_to_the_approved_one_before() -> None:
    decided = decide(BELOW, ROLLBACK, SERVING, TODAY)
    assert decided == Rollback("als", 5, 4, BELOW.sentence)


@pytest.mark.parametrize("state", ["inside", "too early"])
def test_what_is_not_certain_leads_to_nothing(state: Any) -> None:
    assert isinstance(decide(replace(BELOW, state=state), ROLLBACK, SERVING, TODAY), Nothing)


def test_a_version_that_serves_nobody_any_more_is_past() -> None:
    decided = decide(BELOW, ROLLBACK, replace(SERVING, in_use=4, taken_back={5: TODAY}), TODAY)
    assert decided == Nothing("als version 5 does not serve any more")
    assert isinstance(decide(BELOW, ROLLBACK, replace(SERVING, in_use=None), TODAY), Nothing)


@pytest.mark.parametrize(
    ("guardrail", "judgement", "serving", "why"),
    [
        (Guardrail(), BELOW, SERVING, "alert only"),
        (ROLLBACK, BELOW, replace(SERVING, in_use=6, in_arms=frozenset({5})), "end the arm in recsys.yaml"),
        (
            ROLLBACK,
            replace(BELOW, stretch=replace(BELOW.stretch, changed_on=None)),
            SERVING,
            "served for more than 28 days",
        ),
        (ROLLBACK, replace(BELOW, others=FELL), SERVING, "everything else that is shown has fallen as well"),
        (ROLLBACK, BELOW, replace(SERVING, taken_back={3: TODAY - timedelta(6)}), "less than 7 days ago"),
        (ROLLBACK, BELOW, replace(SERVING, taken_back={5: TODAY - timedelta(60)}), "a person has put it in use again"),
        (ROLLBACK, BELOW, replace(SERVING, previous=None), "no other approved version"),
    ],
)
def test_a_person_has_to_decide_and_is_told_why(
    guardrail: Guardrail, judgement: Judgement, serving: Serving, why: str
) -> None:
    decided = decide(judgement, guardrail, serving, TODAY)
    assert isinstance(decided, Alert)
    assert why in decided.reason
    assert judgement.sentence in decided.reason


def test_the_cool_down_ends_with_its_last_day() -> None:
    serving = replace(SERVING, taken_back={3: TODAY - timedelta(7)})
    assert isinstance(decide(BELOW, ROLLBACK, serving, TODAY), Rollback)
