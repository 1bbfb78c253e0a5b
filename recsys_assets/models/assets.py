"""The assets of the group `models`: fit the candidate of a slot and register it as a version."""

import tempfile
from importlib.metadata import version as package_version
from pathlib import Path

import dagster as dg
import polars as pl

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.family import Interactions
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import OWNER, slot_of
from recsys_assets.slot_window import SlotWindow, slot_window
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One asset per configured family."""
    return [_candidate(platform, family) for family in configured_families(platform).values()]


def fit_on(platform: Platform, family: ConfiguredFamily, lake: DeltaLake, window: SlotWindow, split: str) -> Artifact:
    """Fit a family on one split of the slot's training set.

    Args:
        platform: The configuration.
        family: What to fit, with its settings.
        lake: Where `features/training_set` is.
        window: The slot's days.
        split: `train` for the candidate, `release` for the release: the same recipe on other days.
    """
    through = window.candidate_through if split == "train" else window.last
    interactions = Interactions(training_split(lake, window, split), through).within(family.settings.window_days)
    seed = platform.training.seed
    provenance = Provenance(
        slot=window.slot,
        trained_through=through,
        seed=seed,
        training_set_version=lake.version(TRAINING_SET.name),
        feature_spec_hash=feature_spec_hash(platform),
        code_version=package_version("recsys-assets"),
    )
    return Artifact(family.family.fit(interactions, family.parameters, seed), provenance)


def training_split(lake: DeltaLake, window: SlotWindow, split: str) -> pl.DataFrame:
    """user_id, item_id, day, weight of one split of `features/training_set`."""
    rows = lake.scan(TRAINING_SET, (window.slot, window.slot)).filter(pl.col("split") == split)
    return rows.select("user_id", "item_id", "day", "weight").collect()


def _candidate(platform: Platform, family: ConfiguredFamily) -> dg.AssetsDefinition:
    @dg.asset(
        key=["models", family.name],
        group_name="models",
        description=f"The candidate of {family.name}: fitted on the days before the holdout, registered as a version.",
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(TRAINING_SET.key)],
        kinds={"mlflow", "python"},
        owners=[OWNER],
    )
    def candidate(
        context: dg.AssetExecutionContext, lake: DeltaLake, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        artifact = fit_on(platform, family, lake, window, "train")
        version = _register(model_registry, family, artifact)
        return dg.MaterializeResult(
            metadata={
                "version": version.version,
                "mlflow_run_id": version.run_id,
                "items": artifact.model.item_ids.len(),
                "trained_through": str(artifact.provenance.trained_through),
                "parameters": dg.MetadataValue.json(family.parameters.model_dump(mode="json")),
            },
            data_version=dg.DataVersion(str(version.version)),
        )

    return candidate


def _register(registry: ModelRegistry, family: ConfiguredFamily, artifact: Artifact) -> ModelVersion:
    """Register the candidate; unfinished versions of the same slot make way for it."""
    provenance = artifact.provenance
    with tempfile.TemporaryDirectory() as folder:
        save(artifact, family.family, Path(folder))
        version = registry.register(
            family.name,
            provenance.slot,
            Path(folder),
            tags={
                "training_set_version": str(provenance.training_set_version),
                "feature_spec_hash": provenance.feature_spec_hash,
                "code_version": provenance.code_version,
            },
            params={key: str(value) for key, value in family.parameters.model_dump(mode="json").items()},
        )
    for older in registry.versions(family.name):
        is_unfinished = older.status == "PendingManualApproval" and older.slot == version.slot
        if is_unfinished and older.version < version.version:
            registry.set_status(older, "Rejected", f"trained again as version {version.version}")
    return version
