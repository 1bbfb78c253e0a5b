"""The assets of the group `models`: fit the candidate of a slot and register it as a version."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from recsys_assets.columns import TRAINING_SET
from recsys_assets.models.artifact import Artifact, save
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.training import fit_on
from recsys_assets.operating import TRAINING_POOL
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import slot_of
from recsys_assets.slot_window import slot_window
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion
from resources.quiet_mlflow import quiet_mlflow


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One asset per configured family."""
    return [_candidate(platform, family) for family in configured_families(platform).values()]


def _candidate(platform: Platform, family: ConfiguredFamily) -> dg.AssetsDefinition:
    @dg.asset(
        key=["models", family.name],
        group_name="models",
        description=f"The candidate of {family.name}: fitted on the days before the holdout, registered as a version.",
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetKey(TRAINING_SET.key)],
        kinds={"mlflow", "python"},
        pool=TRAINING_POOL,
    )
    def candidate(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        artifact = fit_on(platform, family, lake, engine.of("models"), window, "train")
        version = _register(model_registry, family, artifact)
        return dg.MaterializeResult(
            metadata={
                "version": version.version,
                "mlflow_run_id": version.run_id,
                "items": artifact.model.item_ids.len(),
                "trained_through": str(artifact.provenance.trained_through),
                "parameters": dg.MetadataValue.json(family.parameters.model_dump(mode="json")),
                **_told(artifact.model.losses),
            },
            data_version=dg.DataVersion(str(version.version)),
        )

    return candidate


def _told(losses: Sequence[float]) -> dict[str, Any]:
    """The training loss for the UI: the last one, which is plotted over slots, and one row per iteration."""
    if not losses:
        return {}
    rows = [dg.TableRecord({"iteration": number, "loss": loss}) for number, loss in enumerate(losses, start=1)]
    columns = [dg.TableColumn("iteration", "int"), dg.TableColumn("loss", "float")]
    table = dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))
    return {"training_loss": losses[-1], "training_loss_per_iteration": table}


def _register(registry: ModelRegistry, family: ConfiguredFamily, artifact: Artifact) -> ModelVersion:
    """Register the candidate; unfinished versions of the same slot make way for it."""
    provenance = artifact.provenance
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as wrapper:
        save(artifact, family.family, Path(folder))
        with quiet_mlflow():
            from recsys_assets.models.pyfunc import write_wrapper

            write_wrapper(family.name, Path(wrapper))
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
            wrapper=Path(wrapper),
        )
    registry.log_steps(version, "training_loss", artifact.model.losses)
    for older in registry.versions(family.name):
        is_unfinished = older.status == "PendingManualApproval" and older.slot == version.slot
        if is_unfinished and older.version < version.version:
            registry.set_status(older, "Rejected", f"trained again as version {version.version}")
    return version
