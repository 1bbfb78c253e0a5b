"""The assets of the group `releases`: fit what will serve, once its candidate has passed."""

import tempfile
from pathlib import Path

import dagster as dg

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import recipe_hash
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, is_finite, save
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.training import fit_on
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version, unused_version_of_slot
from recsys_assets.operating import TRAINING_POOL
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import slot_of
from recsys_assets.registry.approved import approved_asset
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.slot_window import slot_window
from recsys_assets.validation.evaluation import Holdout, lists_for, mean_overlap
from recsys_assets.validation.gate import RELEASE_CHECKS, candidate_checks, judge_release
from recsys_assets.validation.measurement import holdout_of
from recsys_assets.validation.verdicts import (
    check_results,
    check_specs,
    objections,
    store_verdicts,
    stored_verdicts,
)
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

OVERLAP_USERS = 1_000


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One release and one approval per configured family."""
    families = configured_families(platform).values()
    return [
        *(_release(platform, family) for family in families),
        *(approved_asset(family, platform.guardrails.get(family.name)) for family in families),
    ]


def _release(platform: Platform, family: ConfiguredFamily) -> dg.AssetsDefinition:
    key = dg.AssetKey(["releases", family.name])

    @dg.asset(
        key=key,
        group_name="releases",
        description=f"The release of {family.name}: the recipe that passed, fitted on all days before the slot.",
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(["validation", family.name]), dg.AssetKey(TRAINING_SET.key)],
        check_specs=check_specs(key, RELEASE_CHECKS),
        kinds={"mlflow", "python"},
        pool=TRAINING_POOL,
    )
    def release(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        version = unused_version_of_slot(model_registry, family.name, window.slot)
        _require(lake, version, set(candidate_checks(family.name)))
        candidate = load_version(model_registry, family.family, version, CANDIDATE)
        released = fit_on(platform, family, lake, engine.of("models"), window, "release")
        holdout = holdout_of(FeatureStore(platform, lake, engine.of("features")), window)
        overlap = _overlap(family, candidate, released, holdout)
        verdicts = judge_release(is_finite=is_finite(released.model), overlap=overlap, gate=family.settings.gate)
        _keep_release(model_registry, family, version, released)
        against = objections(family.name, verdicts, set(RELEASE_CHECKS))
        if against:
            model_registry.set_status(version, "Rejected", "; ".join(against))
        else:
            model_registry.set_status(version, "PendingManualApproval", "released, waits for approval")
        store_verdicts(lake, version, recipe_hash(platform, family.name), "release", verdicts)
        metadata = {"version": version.version, "items": released.model.item_ids.len(), "overlap": overlap}
        return dg.MaterializeResult(metadata=metadata, check_results=check_results(key, verdicts))

    return release


def _require(lake: DeltaLake, version: ModelVersion, checks: set[str]) -> None:
    against = objections(version.family, stored_verdicts(lake, version), checks)
    if against:
        raise dg.Failure(f"{version.family} version {version.version} is not released: {'; '.join(against)}")


def _keep_release(registry: ModelRegistry, family: ConfiguredFamily, version: ModelVersion, released: Artifact) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save(released, family.family, Path(folder))
        registry.add_artifact(version, Path(folder), RELEASE)
    registry.set_tags(version, {TRAINED_THROUGH: str(released.provenance.trained_through)})


def _overlap(family: ConfiguredFamily, candidate: Artifact, released: Artifact, holdout: Holdout) -> float | None:
    """How alike the lists of candidate and release are, for some of the holdout users."""
    users = holdout.users.head(OVERLAP_USERS)
    first, second = (
        lists_for(artifact.model, artifact.model, holdout, family.settings.ranked_days, users)
        for artifact in (candidate, released)
    )
    return mean_overlap(first, second)
