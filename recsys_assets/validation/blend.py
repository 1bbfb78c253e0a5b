"""The asset `validation/final`: the blend that would serve, through the same composition, on the same holdout.

It depends on the candidates and not on their reports, whose blocking checks would stop it exactly when it matters.
"""

import dagster as dg
import polars as pl

from recsys_assets.columns import TRAINING_SET, report_table
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.composition import FamilyLists, blend, compose
from recsys_assets.models.ranking import rank
from recsys_assets.models.versions import CANDIDATE, load_version, newest_of_slot
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import described, slot_of
from recsys_assets.slot_window import SlotWindow, slot_window
from recsys_assets.validation.evaluation import LIST_LENGTH, Holdout, lists_for
from recsys_assets.validation.gate import judge_candidate
from recsys_assets.validation.measurement import holdout_of, measure, surroundings_of
from recsys_assets.validation.report import Lists, report_metrics, report_on
from recsys_assets.validation.stored_reports import seed_of, store_report
from resources.engine import Engine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

FINAL = "final"
TOLERATED_LOSS = 0.05
CHECK = "blend_not_below_its_best_family"
CHECK_MEANING = "NDCG at 10 of the blend is not clearly below that of the best family in it."

Blended = dict[str, tuple[ModelVersion, Artifact]]
"""Family to the version and artifact that would serve."""


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The report of the blend."""
    families = configured_families(platform)
    table = report_table(FINAL, report_metrics())
    key = dg.AssetKey(table.key)

    @dg.asset(
        **described(table),
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(TRAINING_SET.key), *(dg.AssetKey(["models", name]) for name in families)],
        check_specs=[dg.AssetCheckSpec(CHECK, asset=key, description=CHECK_MEANING)],
        kinds={"deltalake"},
    )
    def final(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        store = FeatureStore(platform, lake, engine)
        holdout = holdout_of(store, window)
        blended, best = _would_serve(families, model_registry, holdout, window)
        lists = _lists(families, blended, holdout)
        report = report_on(lists, holdout, surroundings_of(store, window), seed_of(window.slot))
        label = ", ".join(f"{name}={version.version}" for name, (version, _) in sorted(blended.items()))
        store_report(lake, window.slot, FINAL, label, report, is_only=True)
        verdict = _verdict(key, report.figures["ndcg_at_10"], best)
        return dg.MaterializeResult(metadata={"versions": label, **report.numbers}, check_results=[verdict])

    return [final]


def blended_lists(
    families: dict[str, ConfiguredFamily], blended: Blended, holdout: Holdout, users: pl.Series
) -> pl.DataFrame:
    """Blend and fill up the lists of some models, as daily inference does.

    Args:
        families: Every configured family.
        blended: The models; the fallback family is among them.
        holdout: Histories, and what may be recommended.
        users: Whom to rank for.

    Returns:
        user_id, item_ids and the rest of what `composition.compose` returns.
    """
    ranked = {
        name: rank(
            artifact.model,
            holdout.histories.within(families[name].settings.ranked_days),
            users,
            holdout.exclusions,
            holdout.eligible,
            n=LIST_LENGTH,
        ).with_columns(is_fallback=pl.lit(value=False))
        for name, (_, artifact) in blended.items()
    }
    weighted = {name: FamilyLists(lists, families[name].settings.weight) for name, lists in ranked.items()}
    return compose(blend(weighted), ranked[FALLBACK_FAMILY], FALLBACK_FAMILY, LIST_LENGTH)


def _lists(families: dict[str, ConfiguredFamily], blended: Blended, holdout: Holdout) -> Lists:
    known = pl.concat([artifact.model.item_ids for _, artifact in blended.values()]).unique()
    served, cold = (blended_lists(families, blended, holdout, users) for users in (holdout.users, holdout.cold_users))
    return Lists(served, cold, known)


def _would_serve(
    families: dict[str, ConfiguredFamily], registry: ModelRegistry, holdout: Holdout, window: SlotWindow
) -> tuple[Blended, float]:
    """What would serve after the slot, and the highest NDCG at 10 among its candidates.

    A candidate that the gate lets pass serves; in place of a refused one the approved version goes on, as long as it
    has not seen the holdout. The fallback family always takes part, because it fills the lists up.
    """
    newest = {name: newest_of_slot(registry, name, window.slot) for name in families}
    candidates = {
        name: load_version(registry, families[name].family, version, CANDIDATE) for name, version in newest.items()
    }
    fallback = (families[FALLBACK_FAMILY], candidates[FALLBACK_FAMILY])
    blended: Blended = {}
    best = 0.0
    for name, family in families.items():
        lists = lists_for(
            candidates[name].model, fallback[1].model, holdout, family.settings.ranked_days, holdout.users
        )
        measured = measure(lists, candidates[name], *fallback, holdout)
        verdicts = judge_candidate(name, measured, family.settings.gate)
        if name == FALLBACK_FAMILY or all(verdict.passed for verdict in verdicts):
            blended[name] = (newest[name], candidates[name])
            best = max(best, measured.ndcg_at_10 or 0.0)
            continue
        approved = registry.approved(name)
        if approved is None:
            continue
        former = load_version(registry, family.family, approved, CANDIDATE)
        if former.provenance.trained_through <= window.candidate_through:
            blended[name] = (approved, former)
    return blended, best


def _verdict(key: dg.AssetKey, actual: float | None, best: float) -> dg.AssetCheckResult:
    """A warning: which families are blended is the owner's choice, made with these figures in view."""
    threshold = best * (1 - TOLERATED_LOSS)
    return dg.AssetCheckResult(
        passed=actual is not None and actual >= threshold,
        asset_key=key,
        check_name=CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"NDCG at 10 of the blend is {actual}, of its best family {best:.6g}",
        metadata={"actual": actual, "threshold": threshold},
    )
