"""The asset `approved/<family>`: each materialization is a decision on the family's versions."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from recsys_assets.exposure import Guardrail
from recsys_assets.models.artifact import ArtifactError
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.registry.approval import Nothing, RefusedError
from recsys_assets.registry.deciding import Ask, Judge, Wish, carry_out, deciding, forget_intent, plan
from recsys_assets.registry.decision import Decision, Signature, now
from recsys_assets.registry.holds import why_held
from recsys_assets.registry.promotions import Decided, approved_key, read_newest_decision
from recsys_assets.registry.serving_versions import load_release
from recsys_assets.registry.standing import left_undone, read_standing
from recsys_assets.slot_window import ONE_DAY
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, RegistryError

BACKFILL_TAG = "dagster/backfill"
USER_TAG = "user"
"""Tag of a run: who started it, where the UI knows its users."""
DATA_VERSION_TAG = "dagster/data_version"
PASSED = "passed every check of the gate"
_HOW_TO_APPROVE = "`recsys approve {} VERSION --reason ...`"


class DecisionConfig(dg.Config):
    """What somebody asks `approved/<family>` to do."""

    decision: Ask = Field("approve", description="record: only complete and record what was left undone.")
    version: int = Field(0, description="The version. 0: approve the newest that passes, go back to the one before.")
    reason: str = Field("", description="Why, for the registry and the history.")
    by: str = Field("", description="Who.")
    as_of: str = Field("", description="The newest day of the shop that whoever asks knew, as YYYY-MM-DD.")
    seen: int | None = Field(
        None, description="Id of the newest decision that whoever asks had seen; if there is a newer one, he is told."
    )


def approved_asset(family: ConfiguredFamily, guardrail: Guardrail | None = None) -> dg.AssetsDefinition:
    """The decisions on one family; its guardrail may keep a version from being approved by itself."""

    @dg.asset(
        key=approved_key(family.name),
        group_name="approved",
        description=(
            f"The version of {family.name} that serves. Each materialization is a decision: a promotion, a rollback, a "
            "rejection, or one that somebody made in MLflow. Its configuration says what to decide; without one, the "
            "newest version that passed the gate is approved."
        ),
        deps=[dg.AssetKey(["releases", family.name])],
        kinds={"mlflow"},
        output_required=False,
    )
    def approved(
        context: dg.AssetExecutionContext, config: DecisionConfig, lake: DeltaLake, model_registry: ModelRegistry
    ) -> Iterator[dg.MaterializeResult]:
        judge = Judge(lake)
        with deciding(model_registry, family.name):
            settled = _settle(context, model_registry, family.name, judge)
            decision = _plan(context, config, family, model_registry, judge)
            versions = _by_number(model_registry, family.name)
            if _is_automatic(config) and not isinstance(decision, Nothing):
                slot = versions[decision.version].slot
                held = why_held(context.instance, lake, family.name, guardrail, slot)
                decision = decision if held is None else Nothing(f"{held}: {_HOW_TO_APPROVE.format(family.name)}")
            if isinstance(decision, Nothing):
                context.log.info("nothing to decide: %s", decision.reason)
                _allow_nothing(context, family.name, decision, is_excused=settled)
                return
            _require_loadable(model_registry, family, decision, versions)
            carry_out(model_registry, family.name, decision, versions)
            metadata = _metadata(decision, versions)
            yield dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(str(decision.in_use)))
            forget_intent(model_registry, family.name)  # Dagster has stored the result by now

    return approved


def decision_config(family: str, **asked: Any) -> dict[str, Any]:
    """The run configuration that asks for a decision.

    Args:
        family: The family.
        asked: As in `DecisionConfig`.
    """
    return {"ops": {"__".join(approved_key(family).path): {"config": asked}}}


def _settle(context: dg.AssetExecutionContext, registry: ModelRegistry, family: str, judge: Judge) -> bool:
    """Complete and record what was left undone or done in MLflow itself; whether there was anything."""
    versions = _by_number(registry, family)
    is_any = False
    while True:
        standing = read_standing(context.instance, registry, family)
        undone = left_undone(standing, versions, judge.against_approving, now())
        if undone is None:
            break
        carry_out(registry, family, undone, versions)
        tags = {DATA_VERSION_TAG: str(undone.in_use)}
        metadata = _metadata(undone, versions)
        context.log_event(dg.AssetMaterialization(approved_key(family), metadata=metadata, tags=tags))
        versions = _by_number(registry, family)
        is_any = True
    if standing.intent is not None:
        forget_intent(registry, family)
    return is_any


def _plan(
    context: dg.AssetExecutionContext,
    config: DecisionConfig,
    family: ConfiguredFamily,
    registry: ModelRegistry,
    judge: Judge,
) -> Decision | Nothing:
    """What is to be decided now.

    Raises:
        dg.Failure: It cannot be.
    """
    if _is_automatic(config) and family.settings.approval == "manual":
        return Nothing(f"approval is manual: {_HOW_TO_APPROVE.format(family.name)}")
    reason = config.reason or (PASSED if config.decision == "approve" else "")
    slot_key = context.partition_key if context.has_partition_key else None
    as_of = config.as_of or ("" if slot_key is None else str(date.fromisoformat(slot_key) - ONE_DAY))
    signed = Signature(_who(context, config), now(), reason, as_of)
    try:
        _require_seen(config.seen, read_newest_decision(context.instance, family.name))
        return plan(Wish(config.decision, config.version, slot_key), signed, registry, family.name, judge)
    except RefusedError as error:
        raise dg.Failure(f"{family.name}: {error}") from error


def _is_automatic(config: DecisionConfig) -> bool:
    """Whether nobody has named a version."""
    return config.decision == "approve" and not config.version


def _require_loadable(
    registry: ModelRegistry, family: ConfiguredFamily, decision: Decision, versions: Mapping[int, ModelVersion]
) -> None:
    """Make sure that what is to serve is as it was released.

    Raises:
        dg.Failure: Its artifact is damaged or missing; what serves goes on.
    """
    if decision.kind not in ("promotion", "rollback") or not decision.version:
        return
    try:
        load_release(registry, family.family, versions[decision.version])
    except (ArtifactError, RegistryError) as error:
        raise dg.Failure(f"{family.name}: version {decision.version} is not put in use: {error}") from error


def _require_seen(seen: int | None, newest: Decided | None) -> None:
    """Make sure that whoever asks knows of the newest decision.

    Raises:
        RefusedError: Somebody else was faster.
    """
    if seen is None or newest is None or newest.event_id == seen:
        return
    what = "rejected" if newest.kind == "rejection" else f"put in use ({newest.kind})"
    version = f"version {newest.version}" if newest.version else "no version"
    raise RefusedError(
        f"meanwhile {version} was {what} by {newest.by}: {newest.reason}; look at `recsys models` and decide again"
    )


def _who(context: dg.AssetExecutionContext, config: DecisionConfig) -> str:
    if config.by:
        return config.by
    return context.run.tags.get(USER_TAG, "the gate" if _is_automatic(config) else "somebody in the Dagster UI")


def _allow_nothing(context: dg.AssetExecutionContext, family: str, nothing: Nothing, *, is_excused: bool) -> None:
    """Finding nothing is a failure for who asks for it alone; in a slot's own run and in a backfill it is not.

    Raises:
        dg.Failure: It was asked for alone.
    """
    is_alone = not context.has_partition_key and BACKFILL_TAG not in context.run.tags
    if is_alone and not is_excused and not nothing.is_done:
        raise dg.Failure(f"{family}: {nothing.reason}")


def _by_number(registry: ModelRegistry, family: str) -> dict[int, ModelVersion]:
    return {one.version: one for one in registry.versions(family)}


def _metadata(decision: Decision, versions: Mapping[int, ModelVersion]) -> dict[str, Any]:
    version = versions.get(decision.version)
    return {
        "decision": decision.kind,
        "version": decision.version,
        "previous_version": decision.previous,
        "slot": "" if version is None else str(version.slot),
        "reason": decision.reason,
        "by": decision.by,
        "decided_at": decision.at,
        "as_of": decision.as_of,
        "mlflow_run_id": "" if version is None else version.run_id,
    }
