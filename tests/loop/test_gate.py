"""The gate in the graph: what it refuses is visible, explained, and never served, whichever way somebody tries."""

from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS, VERDICTS
from recsys_assets.registry.promotions import read_approval

SLOT = "2026-02-18"
APPROVED_ALS = dg.AssetKey(["approved", "als"])
SLOT_DAYS = (date(2026, 2, 18), date(2026, 2, 18))


def materialize_approval(installation: Installation, config: dict[str, Any] | None = None, **tags: str) -> Any:
    """Materialize `approved/als` alone, as the UI does it."""
    job = installation.definitions().resolve_implicit_global_asset_job_def()
    run_config = {"ops": {"approved__als": {"config": config}}} if config else None
    return job.execute_in_process(
        asset_selection=[APPROVED_ALS],
        instance=installation.instance,
        run_config=run_config,
        tags=tags,
        raise_on_error=False,
    )


def run_slot(installation: Installation, slot: str) -> Any:
    """Train one slot as a backfill does it: everything but the approvals, which have no partition."""
    job = installation.definitions().resolve_implicit_global_asset_job_def()
    groups = {"models", "validation", "releases"}
    keys = [key for key in job.asset_layer.executable_asset_keys if key.path[0] in groups]
    return job.execute_in_process(
        asset_selection=[*keys, dg.AssetKey(["features", "training_set"])],
        instance=installation.instance,
        partition_key=slot,
        raise_on_error=False,
    )


def test_a_refused_candidate_is_kept_with_its_reason_and_the_fallback_serves(
    refused: tuple[Installation, list[Any]],
) -> None:
    installation, runs = refused
    registry = installation.model_registry
    assert [(one.start.job, one.errors) for one in runs] == [("ingest", ()), ("train", ()), ("recommend", ())]
    assert [refusal.split(":")[0] for refusal in runs[1].refusals] == ["validation/als ndcg_above_floor"]
    assert registry.approved("als") is None
    assert [(one.version, one.status) for one in registry.versions("als")] == [(1, "Rejected")]
    assert "below 0.9" in registry.versions("als")[0].status_reason
    assert registry.approved("popularity") is not None
    assert installation.lake.scan(FINAL_RECOMMENDATIONS).select(pl.col("is_fallback").all()).collect().item()

    # Nobody can approve it: not alone, not by its number, and a backfill passes it over.
    for config in (None, {"version": 1, "reason": "because I say so"}):
        result = materialize_approval(installation, config)
        assert not result.success
        assert registry.approved("als") is None
    assert materialize_approval(installation, **{"dagster/backfill": "ui"}).success
    assert read_approval(installation.instance, "als") is None
    assert [one.status for one in registry.versions("als")] == ["Rejected"]


def test_a_version_without_stored_verdicts_is_refused(copied: Installation) -> None:
    registry = copied.model_registry
    before = registry.approved("als")
    empty = pl.DataFrame(schema=VERDICTS.schema)
    copied.lake.replace(VERDICTS, empty, SLOT_DAYS, {"family": "als", "stage": "candidate"})
    result = materialize_approval(copied, {"version": 1, "reason": "it was fine yesterday"})
    failure = result.filter_events(lambda event: event.is_step_failure)[0]
    assert "there is no stored verdict" in str(failure.step_failure_data.error)
    assert registry.approved("als") == before


def test_a_backfill_over_slots_approves_the_newest_that_passes_and_not_the_one_that_fails(
    copied: Installation, with_gate: Callable[..., Installation]
) -> None:
    loose = with_gate(copied, min_ndcg_at_10=0.0, min_gain_over_popularity=-1.0)
    slots = ["2026-02-13", "2026-02-16"]
    figures = {slot: _ndcg(run_slot(loose, slot)) for slot in slots}
    bad, good = sorted(slots, key=lambda slot: figures[slot])
    strict = with_gate(copied, min_ndcg_at_10=(figures[bad] + figures[good]) / 2, min_gain_over_popularity=-1.0)
    registry = strict.model_registry
    before = registry.approved("als")
    results = {slot: run_slot(strict, slot) for slot in slots}
    assert {slot: result.success for slot, result in results.items()} == {bad: False, good: True}
    by_slot = {str(one.slot): one.status for one in reversed(registry.versions("als"))}
    assert by_slot[bad] == "Rejected"
    assert materialize_approval(strict, **{"dagster/backfill": "ui"}).success
    assert registry.approved("als") == before  # of slot 2026-02-18: newer than any of the backfill


def test_what_has_served_is_never_judged_or_fitted_again(copied: Installation) -> None:
    job = copied.definitions().resolve_implicit_global_asset_job_def()
    before = copied.model_registry.approved("als")
    for group in ("validation", "releases"):
        result = job.execute_in_process(
            asset_selection=[dg.AssetKey([group, "als"])],
            instance=copied.instance,
            partition_key=SLOT,
            raise_on_error=False,
        )
        failure = result.filter_events(lambda event: event.is_step_failure)[0]
        assert "was approved already" in str(failure.step_failure_data.error)
    assert copied.model_registry.approved("als") == before


def test_going_back_to_an_older_version_refuses_the_newer_one_for_good(copied: Installation) -> None:
    registry = copied.model_registry
    job = copied.definitions().resolve_job_def("train")
    assert job.execute_in_process(instance=copied.instance, partition_key=SLOT).success
    assert registry.approved("als").version == 2
    assert materialize_approval(copied, {"version": 1, "reason": "version 2 sells less"}).success
    assert registry.approved("als").version == 1
    newer = registry.versions("als")[0]
    assert (newer.version, newer.status) == (2, "Rejected")
    assert "version 2 sells less" in newer.status_reason
    assert not materialize_approval(copied).success
    assert registry.approved("als").version == 1


def _ndcg(result: Any) -> float:
    metadata = result.asset_materializations_for_node("validation__als")[0].metadata
    return float(metadata["ndcg_at_10"].value)


def test_a_bare_release_is_refused_after_a_failed_gate(refused: tuple[Installation, list[Any]]) -> None:
    installation, _ = refused
    job = installation.definitions().resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        asset_selection=[dg.AssetKey(["releases", "als"])],
        instance=installation.instance,
        partition_key=SLOT,
        raise_on_error=False,
    )
    assert not result.success
    assert installation.model_registry.approved("als") is None
