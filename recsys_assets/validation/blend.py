"""The asset `validation/final`: the blend that would serve, through the same composition, on the same holdout.

It depends on the candidates and not on their reports, whose blocking checks would stop it exactly when it matters.
Nothing depends on it: weights that it refuses are not put in force, and everything else goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import BLENDS, TRAINING_SET, report_table
from recsys_assets.composing import BlendRule
from recsys_assets.features.assortment import assortment_of
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.composition import final_lists
from recsys_assets.models.ranking import rank
from recsys_assets.models.versions import CANDIDATE, load_version, newest_of_slot
from recsys_assets.operating import TRAINING_POOL
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import described, slot_of
from recsys_assets.slot_window import SlotWindow, slot_window
from recsys_assets.validation.comparison import relative_change
from recsys_assets.validation.evaluation import LIST_LENGTH, Holdout
from recsys_assets.validation.gate import judge_candidate
from recsys_assets.validation.measurement import (
    allowed_lists,
    holdout_of,
    lists_beside,
    lists_of,
    measure,
    popular_lists,
    surroundings_of,
)
from recsys_assets.validation.metrics import CUTOFFS
from recsys_assets.validation.report import Lists, Report, report_metrics, report_on
from recsys_assets.validation.rivals import rivals_of
from recsys_assets.validation.segments import accuracy
from recsys_assets.validation.shown import picture, stored_curves
from recsys_assets.validation.stored_reports import seed_of, store_report
from recsys_assets.validation.stored_weights import (
    JudgedBlend,
    blend_recipe,
    store_weights,
    stored_rules,
    stored_weights,
)
from recsys_assets.validation.verdicts import check_results, check_specs
from recsys_assets.validation.weights import (
    CHECK,
    CHECK_MEANING,
    FIRST_RULE,
    OTHER_RULE,
    Weights,
    are_alike,
    configured_weights,
    in_words,
    judge_rule,
    judge_weights,
    weights_at,
)
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

Ranked = Mapping[str, pl.DataFrame]
"""Family to lists of some users."""
Compose = Callable[[Ranked, Weights, BlendRule], pl.DataFrame]
"""From the lists of the families to the final ones, blended with these weights by this rule."""
FINAL = "final"
TOLERATED_LOSS = 0.05
WARNING = "blend_not_below_its_best_family"
WARNING_MEANING = "NDCG at 10 of the blend is not clearly below that of the best family in it."


@dataclass(frozen=True)
class Serving:
    """What would serve of one family.

    Attributes:
        version: Its registry version.
        artifact: Its candidate.
        ndcg_at_10: Of that alone; None where it could not be measured.
    """

    version: int
    artifact: Artifact
    ndcg_at_10: float | None


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The report of the blend."""
    families = configured_families(platform)
    table = report_table(FINAL, report_metrics())
    key = dg.AssetKey(table.key)
    warning = dg.AssetCheckSpec(WARNING, asset=key, description=WARNING_MEANING)

    @dg.asset(
        **described(table),
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(TRAINING_SET.key), *(dg.AssetKey(["models", name]) for name in families)],
        check_specs=[warning, *check_specs(key, {CHECK: CHECK_MEANING})],
        kinds={"deltalake"},
        pool=TRAINING_POOL,
    )
    def final(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        store = FeatureStore(platform, lake, engine.of("features"))
        holdout = holdout_of(store, window)
        serving = _would_serve(families, model_registry, lake, holdout, window)
        ranked, cold = (_ranked(families, serving, holdout, users) for users in (holdout.users, holdout.cold_users))
        compose = _composing(store, holdout, window)
        judged = _judge(platform, lake, window.slot, ranked, holdout, compose)
        known = pl.concat([one.artifact.model.item_ids for one in serving.values()]).unique()
        served, for_cold = (compose(some, judged.in_force, judged.rule) for some in (ranked, cold))
        lists = Lists(served, for_cold, known)
        surroundings = surroundings_of(store, window)
        report = report_on(lists, holdout, surroundings, seed_of(window.slot))
        label = ", ".join(f"{name}={one.version}" for name, one in sorted(serving.items()))
        store_report(lake, window.slot, FINAL, label, report, is_only=True)
        store_weights(lake, window.slot, blend_recipe(platform), judged)
        if not judged.verdict.passed:
            context.log.warning(judged.verdict.sentence)
        refused = {} if judged.verdict.passed else {"configured": compose(ranked, judged.configured, judged.rule)}
        beside = {"in force": lists.served, **refused, FALLBACK_FAMILY: ranked[FALLBACK_FAMILY]}
        curves = stored_curves(lake, FINAL, window.slot, beside, holdout, surroundings)
        shown = {**_shown(lake, window.slot, judged), "picture": picture(curves, FINAL, window.slot)}
        return dg.MaterializeResult(
            metadata={"versions": label, **shown, **report.numbers},
            check_results=[_warning(key, report, serving), *check_results(key, [judged.verdict])],
        )

    return [final]


def _would_serve(
    families: dict[str, ConfiguredFamily],
    registry: ModelRegistry,
    lake: DeltaLake,
    holdout: Holdout,
    window: SlotWindow,
) -> dict[str, Serving]:
    """What would serve after the slot.

    A candidate that the gate lets pass serves; in place of a refused one goes on the approved version that it is
    compared with, which has not seen the holdout. The fallback family always takes part: it fills the lists up.
    """
    newest = {name: newest_of_slot(registry, name, window.slot) for name in families}
    candidates = {
        name: load_version(registry, families[name].family, version, CANDIDATE) for name, version in newest.items()
    }
    fallback = (families[FALLBACK_FAMILY], candidates[FALLBACK_FAMILY])
    popular = popular_lists(*fallback, holdout)
    serving: dict[str, Serving] = {}
    for name, family in families.items():
        lists, forbidden = allowed_lists(lists_of(family, candidates[name], fallback[1], holdout), holdout)
        rivals = rivals_of(registry, lake, family, newest[name], window)
        beside = lists_beside(popular, fallback[1], holdout, rivals)
        measured = measure(lists.served, beside, candidates[name], holdout, rivals=rivals, forbidden=forbidden)
        verdicts = judge_candidate(name, measured, family.settings.gate)
        if name == FALLBACK_FAMILY or all(verdict.passed for verdict in verdicts):
            serving[name] = Serving(newest[name].version, candidates[name], measured.ndcg_at_10)
        elif rivals.approved is not None and rivals.approved.artifact is not None:
            serving[name] = Serving(rivals.approved.version, rivals.approved.artifact, None)
    return serving


def _ranked(
    families: dict[str, ConfiguredFamily], serving: dict[str, Serving], holdout: Holdout, users: pl.Series
) -> dict[str, pl.DataFrame]:
    """Family to the lists that it would give to some users, as daily inference makes them."""
    return {
        name: rank(
            one.artifact.model,
            holdout.histories.within(families[name].settings.ranked_days),
            users,
            holdout.exclusions,
            holdout.eligible,
            n=LIST_LENGTH,
        ).with_columns(is_fallback=pl.lit(value=False))
        for name, one in serving.items()
    }


def _composing(store: FeatureStore, holdout: Holdout, window: SlotWindow) -> Compose:
    """The composition that serves, with what its rules know on the last day before the holdout."""
    composition, day = store.platform.recommendations.composition, window.candidate_through
    catalogue = store.catalogue(day)
    assortment = assortment_of(composition, catalogue, holdout.eligible, holdout.exclusions, day)

    def compose(ranked: Ranked, weights: Weights, rule: BlendRule) -> pl.DataFrame:
        return final_lists(
            ranked, weights, FALLBACK_FAMILY, LIST_LENGTH, rule=rule, composition=composition, assortment=assortment
        )

    return compose


def _judge(
    platform: Platform, lake: DeltaLake, slot: date, ranked: Ranked, holdout: Holdout, compose: Compose
) -> JudgedBlend:
    """Judge the configured weights against those in force, then the rules: the same versions, on the same users."""
    asked = configured_weights(platform)
    before = weights_at(stored_weights(lake), slot, platform)
    rules = stored_rules(lake)
    rule = rules[max((one for one in rules if one <= slot), default=min(rules))] if rules else FIRST_RULE

    def ndcg(weights: Weights, rule: BlendRule) -> pl.Series:
        lists = compose(ranked, weights, rule)
        return accuracy(lists, holdout.hits, holdout.users, min(CUTOFFS))["ndcg_at_10"]

    new = ndcg(asked, rule)
    old = new if before is None or are_alike(asked, before) else ndcg(before, rule)
    change = None if old is new else relative_change(new, old, seed_of(slot))
    verdict = judge_weights(asked, before, set(ranked), change, new.len(), platform.blend)
    judged = JudgedBlend(asked, before, _mean(new), None if before is None else _mean(old), verdict)
    served = new if verdict.passed or before is None else old
    other = ndcg(judged.in_force, OTHER_RULE[rule])
    chosen = judge_rule(rule, relative_change(other, served, seed_of(slot)), served.len(), platform.blend)
    by_rule = {rule: _mean(served), OTHER_RULE[rule]: _mean(other)}
    return replace(judged, rule=chosen, ndcg_by_rule=by_rule)


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return mean if isinstance(mean, float) else None


def _shown(lake: DeltaLake, slot: date, judged: JudgedBlend) -> dict[str, Any]:
    """Metadata: both blends, and which of them serves."""
    newest = max(stored_weights(lake), default=slot)
    figures = {
        "ndcg_at_10_configured": judged.ndcg_configured,
        "ndcg_at_10_in_force": judged.ndcg_before,
        **{f"ndcg_at_10_{rule}": ndcg for rule, ndcg in judged.ndcg_by_rule.items()},
    }
    return {
        "weights": judged.verdict.sentence,
        "configured_weights": in_words(judged.configured),
        "weights_in_force": in_words(judged.in_force),
        "rule_in_force": judged.rule,
        "weights_table": BLENDS.name,
        **{name: value for name, value in figures.items() if value is not None},
        **({"decided_by": f"slot {newest} is newer: what it left in force serves"} if newest > slot else {}),
    }


def _warning(key: dg.AssetKey, report: Report, serving: dict[str, Serving]) -> dg.AssetCheckResult:
    """A warning: which families are blended is the owner's choice, made with these figures in view."""
    best = max((one.ndcg_at_10 or 0.0 for one in serving.values()), default=0.0)
    actual, threshold = report.figures["ndcg_at_10"], best * (1 - TOLERATED_LOSS)
    return dg.AssetCheckResult(
        passed=actual is not None and actual >= threshold,
        asset_key=key,
        check_name=WARNING,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"NDCG at 10 of the blend is {actual}, of its best family {best:.6g}",
        metadata={"actual": actual, "threshold": threshold},
    )
