"""When a version that passed the gate waits for a person all the same: its family is in question online.

What was judged online is read from the lake, and what was taken back from the history; both are decided elsewhere.
"""

from datetime import date, timedelta

import dagster as dg
import polars as pl

from recsys_assets.columns import GUARDRAILS
from recsys_assets.exposure import Guardrail
from recsys_assets.registry.decision import GUARDRAIL
from recsys_assets.registry.promotions import read_approval, read_decisions
from resources.lake import DeltaLake

LOOKS_BACK_DAYS = 7
"""A judgement that is older than this says nothing of today."""


def taken_back(instance: dg.DagsterInstance, family: str) -> dict[int, date]:
    """Version to the newest day on which the guardrail took it back."""
    days: dict[int, date] = {}
    for one in read_decisions(instance, family):
        if one.kind == "rollback" and one.by == GUARDRAIL and one.as_of:
            days.setdefault(one.previous, date.fromisoformat(one.as_of))
    return days


def why_held(
    instance: dg.DagsterInstance, lake: DeltaLake, family: str, guardrail: Guardrail | None, slot: date
) -> str | None:
    """Why a version of a slot is not approved by itself; None where nothing speaks against it.

    After a rollback by the guardrail the family has a cool-down, so that it does not go to and fro. And while it is in
    question whether the version in use does worse, its successor would end the question before it is answered.
    """
    if guardrail is None:
        return None
    last = max(taken_back(instance, family).values(), default=date.min)
    over = last + timedelta(days=guardrail.cooldown_days) if last > date.min else last
    if slot <= over:
        return f"the guardrail took a version of {family} back on {last}; a person decides until {over}"
    if guardrail.action == "rollback":
        return _in_question(instance, lake, family, slot)
    return None


def _in_question(instance: dg.DagsterInstance, lake: DeltaLake, family: str, slot: date) -> str | None:
    """What is said of the version in use, where it may be doing worse and that is not certain yet."""
    in_use = read_approval(instance, family)
    if in_use is None:
        return None
    days = (slot - timedelta(days=LOOKS_BACK_DAYS), slot)
    mine = (pl.col("family") == family) & (pl.col("version") == str(in_use.version))
    is_doubted = pl.col("is_in_question") | (pl.col("state") == "below")
    newest = lake.scan(GUARDRAILS, days).filter(mine).sort("ds").select(is_doubted, "sentence").collect().tail(1)
    return next((f"the version in use is in question: {words}" for doubt, words in newest.iter_rows() if doubt), None)
