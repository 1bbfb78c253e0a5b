"""Running day by day: deadlines of a live store, training beside daily inference, and what is tried again."""

from collections.abc import Callable
from datetime import time
from typing import Any

import dagster as dg
import pytest

from recsys_assets import operating
from recsys_assets.cli.installation import DAGSTER_YAML
from recsys_assets.definitions import build_definitions
from recsys_assets.operating import TRAINING_POOL, fresh_by, tried_again_after
from recsys_assets.platform import Freshness, Platform
from resources.settings import Settings
from resources.wiring import build_resources


@pytest.fixture(scope="module")
def live(tiny_platform: Platform) -> Platform:
    return tiny_platform.model_copy(update={"time_zone": "Asia/Seoul"})


def test_a_live_store_has_its_features_by_six_and_its_lists_by_seven_in_its_own_time_zone(live: Platform) -> None:
    policy = fresh_by(live, live.freshness.features_by)
    assert policy is not None
    assert (policy.deadline_cron, policy.timezone) == ("0 6 * * *", "Asia/Seoul")
    assert policy.lower_bound_delta.total_seconds() == 6 * 3_600  # what was computed before midnight is of yesterday
    assert (live.freshness.features_by, live.freshness.lists_by) == (time(6), time(7))


def test_a_replay_of_the_past_is_never_late(live: Platform) -> None:
    assert fresh_by(live.model_copy(update={"last_day": live.first_day}), time(6)) is None


def test_a_time_that_yaml_reads_as_a_number_is_asked_for_in_quotes() -> None:
    with pytest.raises(ValueError, match='write the time in quotes, such as "17:30"'):
        Freshness.model_validate({"lists_by": 17 * 60 + 30})
    with pytest.raises(ValueError, match="lists are made of features"):
        Freshness.model_validate({"features_by": "08:00"})


def test_one_run_trains_at_a_time_and_daily_inference_waits_for_none(live: Platform, tmp_path: Any) -> None:
    settings = Settings(home=tmp_path, lake=str(tmp_path), landing=str(tmp_path))
    definitions = build_definitions(live, build_resources(settings))
    pools = {
        name: {node.definition.pool for node in definitions.resolve_job_def(name).nodes}
        for name in ("train", "recommend")
    }
    assert TRAINING_POOL in pools["train"]
    assert pools["recommend"] == {None}
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        pool = instance.get_concurrency_config().pool_config
        assert (str(pool.pool_granularity), pool.default_pool_limit) == ("PoolGranularity.RUN", 1)
        assert instance.run_monitoring_enabled


@pytest.fixture
def attempts_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Exception]], int]:
    """Runs a step that meets one error after the other; says how often it was tried."""
    monkeypatch.setattr(operating, "RETRY_SECONDS", 0)

    def run(errors: list[Exception]) -> int:
        tried = []

        @dg.op
        def step() -> None:
            tried.append(1)
            with tried_again_after(ConnectionError):
                if errors:
                    raise errors.pop(0)

        dg.GraphDefinition("steps", node_defs=[step]).to_job().execute_in_process(raise_on_error=False)
        return len(tried)

    return run


def test_only_what_passes_by_itself_is_tried_again(attempts_at: Callable[[list[Exception]], int]) -> None:
    assert attempts_at([]) == 1
    assert attempts_at([ConnectionError("starting"), ConnectionError("starting")]) == 3
    assert attempts_at([ConnectionError("gone")] * 9) == 1 + operating.RETRIES
    assert attempts_at([ValueError("a wrong file stays wrong")] * 9) == 1
