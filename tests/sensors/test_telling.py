"""Failed runs and guardrails in Dagster's history are told once, to whom they concern, and without secrets."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_assets.platform import Platform
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.verdicts import store_verdicts
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion
from resources.notifier import Notifier
from sensors.happenings import World
from sensors.telling import GUARDED, guardrail_checks, tell_news


@pytest.fixture
def notifier(slack: Any, tmp_path: Path) -> Notifier:
    return Notifier(token="xoxb-77-of-nobody", api_url=slack.url, folder=str(tmp_path / "reports"))  # noqa: S106


@pytest.fixture
def world(tiny_platform: Platform, model_registry: ModelRegistry, tmp_path: Path, notifier: Notifier) -> Any:
    """Where nothing was trained, and reports have begun."""
    platform = tiny_platform.model_copy(update={"owner": "team:shop"})

    def of(instance: dg.DagsterInstance, guards: Any = ()) -> World:
        return World(platform, instance, DeltaLake(root=str(tmp_path / "lake")), model_registry, guards)

    with dg.DagsterInstance.ephemeral() as empty:
        tell_news(of(empty), notifier, print)
    return of


def test_a_failed_run_is_told_once_with_its_owner_its_step_and_its_error_without_secrets(
    world: Any, notifier: Notifier, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_REDIS_URL", "redis://shop:hunter22@cache:6379/0")

    @dg.asset(key=["features", "broken"])
    def broken() -> None:
        raise ValueError("no answer from\n redis://shop:hunter22@cache:6379/0, password hunter22")

    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/asset_partition_range_start": "2026-02-01", "dagster/asset_partition_range_end": "2026-02-03"}
        assert not dg.materialize([broken], instance=instance, tags=tags, raise_on_error=False).success
        for _ in range(3):
            tell_news(world(instance), notifier, print)
        (run,) = instance.get_runs()
    (message,) = slack.messages
    assert message["text"] == (
        f"❌ {run.job_name} of 2026-02-01 to 2026-02-03 failed: features/broken: ValueError: no answer from "
        "redis://shop:***@cache:6379/0, password ***"
    )
    shown = json.dumps(message["blocks"])
    assert "team:shop" in shown
    assert f"/runs/{run.run_id}" in shown
    assert "hunter22" not in json.dumps(message)


def test_a_run_that_only_a_blocking_check_has_stopped_is_no_failure(world: Any, notifier: Notifier, slack: Any) -> None:
    key = dg.AssetKey(["validation", "als"])

    @dg.asset(key=key, check_specs=[dg.AssetCheckSpec("floor", asset=key, blocking=True)])
    def report() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False, check_name="floor")])

    with dg.DagsterInstance.ephemeral() as instance:
        assert not dg.materialize([report], instance=instance, raise_on_error=False).success
        tell_news(world(instance), notifier, print)
        (run,) = instance.get_runs()
    assert slack.messages == []
    assert notifier.outbox.knows(f"run:{run.run_id}")  # and it is not looked at again


def test_a_run_whose_process_is_gone_is_told_too(world: Any, notifier: Notifier, slack: Any) -> None:
    @dg.op
    def rank() -> None:
        """Never run here."""

    @dg.job
    def recommend() -> None:
        rank()

    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": "2026-02-16"}
        run = instance.create_run_for_job(recommend, tags=tags, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(run, "the process that ran it is gone")
        tell_news(world(instance), notifier, print)
    (message,) = slack.messages
    assert message["text"] == "❌ recommend of 2026-02-16 failed: the process that ran it is gone"


def test_a_guardrail_that_fails_is_told_once_a_day(world: Any, notifier: Notifier, slack: Any) -> None:
    days = dg.StaticPartitionsDefinition(["2026-02-15", "2026-02-16"])

    @dg.asset(key=GUARDED, partitions_def=days, check_specs=[dg.AssetCheckSpec("als_ctr", asset=GUARDED)])
    def metrics(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        is_well = context.partition_key == "2026-02-15"
        found = dg.AssetCheckResult(
            passed=is_well,
            check_name="als_ctr",
            description="CTR fell",
            metadata={"ctr": 0.012345, "judged": dg.MetadataValue.md("- at length")},
        )
        return dg.MaterializeResult(check_results=[found])

    guards = guardrail_checks(dg.Definitions(assets=[metrics]).resolve_asset_graph())
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("2026-02-15", "2026-02-16", "2026-02-16"):
            assert dg.materialize([metrics], instance=instance, partition_key=day).success
            tell_news(world(instance, guards), notifier, print)
    (message,) = slack.messages
    assert message["text"] == "⚠️ Alert: als_ctr failed on 2026-02-16: CTR fell"
    shown = json.dumps(message["blocks"])
    assert "team:shop" in shown
    assert "0.01234" in shown or "0.01235" in shown
    assert "at length" not in shown


def test_a_version_that_somebody_has_deleted_in_mlflow_is_told_without_its_figures(
    world: Any, notifier: Notifier, slack: Any, tmp_path: Path
) -> None:
    verdict = Verdict("ndcg_above_floor", 0.1, 0.05, passed=True, sentence="it is above")
    status = "PendingManualApproval"
    gone = ModelVersion("popularity", 1, "", status, "", date(2026, 3, 2), {}, datetime(2026, 3, 2, tzinfo=UTC))
    store_verdicts(DeltaLake(root=str(tmp_path / "lake")), gone, "recipe", "candidate", [verdict])
    with dg.DagsterInstance.ephemeral() as instance:
        tell_news(world(instance), notifier, print)
    (message,) = slack.messages
    assert message["text"].startswith("🧪 popularity version 1 (slot 2026-03-02) is trained and passed the gate")
