"""The assets of the groups `releases` and `approved`: fit what will serve, and decide that it serves."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import recipe_hash
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, is_finite, save
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.training import fit_on
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version, unused_version_of_slot
from recsys_assets.partitions import slot_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import OWNER, slot_of
from recsys_assets.registry.approval import Nothing, RefusedError, choose_version
from recsys_assets.registry.promotions import read_approval
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
from resources.engine import Engine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

OVERLAP_USERS = 1_000
BACKFILL_TAG = "dagster/backfill"


class ApprovalConfig(dg.Config):
    """What somebody asks `approved/<family>` to do.

    Attributes:
        version: The version to approve; 0 stands for the newest one that passes.
        reason: Why, for the registry.
    """

    version: int = 0
    reason: str = ""


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """One release and one approval per configured family."""
    families = configured_families(platform).values()
    return [*(_release(platform, family) for family in families), *(_approved(family) for family in families)]


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
        owners=[OWNER],
    )
    def release(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        version = unused_version_of_slot(model_registry, family.name, window.slot)
        _require(lake, version, set(candidate_checks(family.name)))
        candidate = load_version(model_registry, family.family, version, CANDIDATE)
        released = fit_on(platform, family, lake, window, "release")
        holdout = holdout_of(FeatureStore(platform, lake, engine), window)
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


def _approved(family: ConfiguredFamily) -> dg.AssetsDefinition:
    key = dg.AssetKey(["approved", family.name])

    @dg.asset(
        key=key,
        group_name="approved",
        description=f"The version of {family.name} that serves. Each materialization is a promotion or a rollback.",
        deps=[dg.AssetKey(["releases", family.name])],
        kinds={"mlflow"},
        owners=[OWNER],
        output_required=False,
    )
    def approved(
        context: dg.AssetExecutionContext,
        config: ApprovalConfig,
        lake: DeltaLake,
        model_registry: ModelRegistry,
    ) -> Iterator[dg.MaterializeResult]:
        before = model_registry.approved(family.name)
        chosen = _choose(context, family, config, lake, model_registry, before)
        if isinstance(chosen, ModelVersion):
            reason = config.reason or "passed every check of the gate"
            _put_in_use(model_registry, chosen, before, reason)
            yield _promotion(chosen, before, reason)
        elif before is not None and before.version != _recorded_version(context, family.name):
            yield _promotion(before, None, "in use; an interrupted run had not recorded it")
        else:
            context.log.info("nothing to approve: %s", chosen.reason)

    return approved


def _put_in_use(registry: ModelRegistry, chosen: ModelVersion, before: ModelVersion | None, reason: str) -> None:
    """Move the alias. Going back to an older version is a rollback, and refuses the one that it leaves."""
    registry.set_status(chosen, "Approved", reason)
    if before is not None and (before.slot, before.version) > (chosen.slot, chosen.version):
        registry.set_status(before, "Rejected", f"rolled back to version {chosen.version}: {reason}")
    registry.point_approved_at(chosen)


def _choose(
    context: dg.AssetExecutionContext,
    family: ConfiguredFamily,
    config: ApprovalConfig,
    lake: DeltaLake,
    registry: ModelRegistry,
    before: ModelVersion | None,
) -> ModelVersion | Nothing:
    """The version to approve. A refusal is a failure, and so is finding nothing when run alone."""
    is_slot_run = context.has_partition_key
    chosen: ModelVersion | Nothing
    if family.settings.approval == "manual" and not config.version:
        chosen = Nothing(f"approval is manual: materialize approved/{family.name} with `version` in its configuration")
    else:
        try:
            chosen = choose_version(
                registry.versions(family.name),
                before,
                lambda version: objections(family.name, stored_verdicts(lake, version)),
                asked=config.version or None,
                slot_key=context.partition_key if is_slot_run else None,
            )
        except RefusedError as error:
            raise dg.Failure(f"{family.name}: {error}") from error
    is_alone = not is_slot_run and BACKFILL_TAG not in context.run.tags
    if isinstance(chosen, Nothing) and is_alone:
        raise dg.Failure(f"{family.name}: {chosen.reason}")
    return chosen


def _promotion(version: ModelVersion, before: ModelVersion | None, reason: str) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={
            "version": version.version,
            "slot": str(version.slot),
            "previous_version": before.version if before is not None else 0,
            "reason": reason,
            "mlflow_run_id": version.run_id,
        },
        data_version=dg.DataVersion(str(version.version)),
    )


def _recorded_version(context: dg.AssetExecutionContext, family: str) -> int | None:
    """The version that Dagster's history believes is in use."""
    approval = read_approval(context.instance, family)
    return None if approval is None else approval.version
