"""The assets of the group `validation`: judge the slot's candidate on its holdout and store report and verdicts."""

import dagster as dg

from recsys_assets.columns import TRAINING_SET, report_table
from recsys_assets.features.specification import feature_spec_hash, recipe_hash
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.versions import (
    CANDIDATE,
    load_version,
    newest_of_slot,
    require_fit,
    unused_version_of_slot,
)
from recsys_assets.operating import TRAINING_POOL
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.presentation import described, slot_of
from recsys_assets.slot_window import slot_window
from recsys_assets.validation.gate import Measured, Verdict, candidate_checks, judge_candidate
from recsys_assets.validation.measurement import (
    allowed_lists,
    holdout_of,
    lists_beside,
    lists_of,
    measure,
    popular_lists,
    surroundings_of,
)
from recsys_assets.validation.report import Report, report_metrics, report_on
from recsys_assets.validation.rivals import CANDIDATE_THROUGH, rivals_of
from recsys_assets.validation.shown import log_pictures, picture, version_curves
from recsys_assets.validation.stored_reports import seed_of, store_report
from recsys_assets.validation.verdicts import check_results, check_specs, objections, store_verdicts
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One report per configured family."""
    families = configured_families(platform)
    return [_report(platform, family, families[FALLBACK_FAMILY]) for family in families.values()]


def _report(platform: Platform, family: ConfiguredFamily, fallback: ConfiguredFamily) -> dg.AssetsDefinition:
    table = report_table(family.name, report_metrics())
    key = dg.AssetKey(table.key)
    needed = dict.fromkeys((family.name, fallback.name))

    @dg.asset(
        **described(table),
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(TRAINING_SET.key), *(dg.AssetKey(["models", name]) for name in needed)],
        check_specs=check_specs(key, candidate_checks(family.name)),
        kinds={"deltalake", "mlflow"},
        pool=TRAINING_POOL,
    )
    def report(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        version = unused_version_of_slot(model_registry, family.name, window.slot)
        candidate = load_version(model_registry, family.family, version, CANDIDATE)
        require_fit(candidate, version, window.candidate_through, feature_spec_hash(platform))
        baseline = candidate
        if family.name != fallback.name:
            newest = newest_of_slot(model_registry, fallback.name, window.slot)
            baseline = load_version(model_registry, fallback.family, newest, CANDIDATE)
        store = FeatureStore(platform, lake, engine.of("features"))
        holdout = holdout_of(store, window)
        rivals = rivals_of(model_registry, lake, family, version, window)
        lists, forbidden = allowed_lists(lists_of(family, candidate, baseline, holdout), holdout)
        popular = lists.served if candidate is baseline else popular_lists(fallback, baseline, holdout)
        beside = lists_beside(popular, baseline, holdout, rivals)
        measured = measure(lists.served, beside, candidate, holdout, rivals=rivals, forbidden=forbidden)
        verdicts = judge_candidate(family.name, measured, family.settings.gate)
        surroundings = surroundings_of(store, window)
        figures = report_on(lists, holdout, surroundings, seed_of(window.slot), measured.changes)
        _keep(lake, model_registry, version, figures, measured)
        curves = version_curves(lake, version, lists.served, beside, rivals, holdout, surroundings)
        log_pictures(model_registry, version, curves)
        model_registry.set_tags(version, {CANDIDATE_THROUGH: str(window.candidate_through)})
        _pronounce(model_registry, version, verdicts)
        store_verdicts(lake, version, recipe_hash(platform, family.name), "candidate", verdicts)
        compared = {f"{name}_version": rival.version for name, rival in rivals.by_name().items()}
        numbers = {"version": version.version, **compared, "holdout_users": measured.holdout_users, **figures.numbers}
        return dg.MaterializeResult(
            metadata={**numbers, "picture": picture(curves, family.name, window.slot)},
            check_results=check_results(key, verdicts),
        )

    return report


def _keep(lake: DeltaLake, registry: ModelRegistry, version: ModelVersion, report: Report, measured: Measured) -> None:
    """Store the report, and the figures with the version."""
    store_report(lake, version.slot, version.family, str(version.version), report)
    registry.log_metrics(version, {**report.numbers, "holdout_users": float(measured.holdout_users)})


def _pronounce(registry: ModelRegistry, version: ModelVersion, verdicts: list[Verdict]) -> None:
    """Set the status that follows from the verdicts; these are stored after it, because they let the version go on."""
    against = objections(version.family, verdicts, set(candidate_checks(version.family)))
    if against:
        registry.set_status(version, "Rejected", "; ".join(against))
    else:
        registry.set_status(version, "PendingManualApproval", "passed the gate, not yet released")
