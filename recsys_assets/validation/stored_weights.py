"""The weights and the rule of the blend in force, as they lie in the lake. `weights` decides on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from recsys_assets.columns import BLENDS
from recsys_assets.composing import BlendRule
from recsys_assets.features.specification import blend_hash
from recsys_assets.platform import Platform
from recsys_assets.slot_window import slot_window
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.weights import FIRST_RULE, Weights, configured_weights, shares, weights_at
from resources.lake import DeltaLake


@dataclass(frozen=True)
class JudgedBlend:
    """What a slot says of the configured weights.

    Attributes:
        configured: The weights that were judged.
        before: The weights that had been in force; None where there were none.
        ndcg_configured: NDCG at 10 of the blend with the first; None without users.
        ndcg_before: The same with the second; None where there were none.
        verdict: Whether the configured ones may be in force.
        rule: The rule in force from this slot on.
        ndcg_by_rule: Rule to NDCG at 10 of the blend by it, with the weights in force; None without users.
    """

    configured: Weights
    before: Weights | None
    ndcg_configured: float | None
    ndcg_before: float | None
    verdict: Verdict
    rule: BlendRule = FIRST_RULE
    ndcg_by_rule: Mapping[BlendRule, float | None] = field(default_factory=dict)

    @property
    def in_force(self) -> Weights:
        """The weights in force from this slot on."""
        return self.configured if self.verdict.passed or self.before is None else self.before


def blend_recipe(platform: Platform) -> str:
    """The fingerprint of the configured weights, and of what is asked of them."""
    return blend_hash(platform, shares(configured_weights(platform)))


def store_weights(lake: DeltaLake, slot: date, recipe: str, judged: JudgedBlend) -> None:
    """Put the weights in force that the slot leaves in force, until a newer slot says otherwise."""
    row: dict[str, Any] = {
        "ds": slot,
        "recipe": recipe,
        "configured": _as_rows(judged.configured),
        "in_force": _as_rows(judged.in_force),
        "ndcg_at_10_configured": judged.ndcg_configured,
        "ndcg_at_10_in_force": judged.ndcg_before,
        "actual": judged.verdict.actual,
        "threshold": judged.verdict.threshold,
        "passed": judged.verdict.passed,
        "sentence": judged.verdict.sentence,
        "rule": judged.rule,
        **{f"ndcg_at_10_{rule}": ndcg for rule, ndcg in judged.ndcg_by_rule.items()},
    }
    lake.replace(BLENDS, pl.DataFrame([row], schema=BLENDS.schema), (slot, slot))


def stored_weights(lake: DeltaLake) -> dict[date, Weights]:
    """Slot to the weights in force once it was judged."""
    rows = lake.scan(BLENDS).select("ds", "in_force").collect()
    return {slot: {one["family"]: one["weight"] for one in weights} for slot, weights in rows.iter_rows()}


def stored_recipes(lake: DeltaLake) -> dict[date, str]:
    """Slot to the recipe that weights were judged by."""
    return dict(lake.scan(BLENDS).select("ds", "recipe").collect().iter_rows())


def serving_weights(lake: DeltaLake, platform: Platform, day: date) -> Weights:
    """The weights that blend the lists of a day.

    They are those in force after the newest slot that had seen no later day; for a day before all slots, those of
    the first; and the configured ones as long as none are in force.
    """
    stored = stored_weights(lake)
    if not stored:
        return configured_weights(platform)
    found = weights_at(stored, _slot_of_day(stored, platform, day), platform)
    return configured_weights(platform) if found is None else found


def serving_rule(lake: DeltaLake, platform: Platform, day: date) -> BlendRule:
    """The rule that blends the lists of a day: the configured one, or the one in force, by slot as the weights are."""
    if platform.blend.rule != "best":
        return platform.blend.rule
    stored = stored_rules(lake)
    return stored[_slot_of_day(stored, platform, day)] if stored else FIRST_RULE


def stored_rules(lake: DeltaLake) -> dict[date, BlendRule]:
    """Slot to the rule of the blend in force once it was judged."""
    return dict(lake.scan(BLENDS).select("ds", pl.col("rule").fill_null(FIRST_RULE)).collect().iter_rows())


def _slot_of_day(stored: Iterable[date], platform: Platform, day: date) -> date:
    """The newest slot that had seen no day after `day`; the first one where all have."""
    slots = sorted(stored)
    return max((slot for slot in slots if slot_window(platform, slot).last <= day), default=slots[0])


def _as_rows(weights: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"family": name, "weight": weight} for name, weight in sorted(weights.items())]
