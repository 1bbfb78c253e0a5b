"""The sensors, by real ticks: they ask for what is due, once, and say what they wait for."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS
from sensors.state import RANGE_TAGS

Tick = Callable[..., list[dg.RunRequest]]
SENSORS = ("landing_sensor", "training_sensor", "inference_sensor", "approvals_sensor")


@pytest.fixture
def tick() -> Tick:
    """Evaluates a sensor of an installation on an instance; no request means that it skipped with a reason."""

    def evaluate(installation: Installation, name: str, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
        definitions = installation.definitions()
        resources = installation.resources
        with dg.build_sensor_context(instance, definitions=definitions, resources=resources) as context:
            data = definitions.resolve_sensor_def(name).evaluate_tick(context)
        assert bool(data.run_requests) != bool(data.skip_message)
        return list(data.run_requests or ())

    return evaluate


def test_nothing_is_asked_for_when_all_is_done(finished: Installation, tick: Tick) -> None:
    assert [tick(finished, name, finished.instance) for name in SENSORS] == [[], [], [], []]


def test_a_new_landing_is_asked_for_in_one_run(finished: Installation, tick: Tick, tmp_path: Any) -> None:
    empty = Installation(
        type(finished.settings)(home=tmp_path, lake=str(tmp_path / "lake"), landing=finished.settings.landing),
        finished.platform,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        (request,) = tick(empty, "landing_sensor", instance)
        assert [request.tags[tag] for tag in RANGE_TAGS] == ["2026-01-05", "2026-02-16"]
        assert request.job_name == "ingest"
        assert tick(empty, "training_sensor", instance) == []
        assert tick(empty, "inference_sensor", instance) == []


def test_the_newest_slot_is_asked_for_once_and_not_while_it_runs(finished: Installation, tick: Tick) -> None:
    with dg.DagsterInstance.ephemeral() as instance:  # one that has never heard of an approval
        (request,) = tick(finished, "training_sensor", instance)
        assert (request.run_key, request.partition_key, request.job_name) == ("2026-02-18#0", "2026-02-18", "train")
        job = finished.definitions().resolve_job_def("train")
        tags = {"dagster/partition": "2026-02-18"}
        instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert tick(finished, "training_sensor", instance) == []


def test_what_is_in_production_now_asks_for_the_newest_day_again(copied: Installation, tick: Tick) -> None:
    copied.model_registry.remove_approved("als")  # by hand: from now on the fallback serves alone
    assert tick(copied, "inference_sensor", copied.instance) == []
    (recording,) = tick(copied, "approvals_sensor", copied.instance)
    decide = copied.definitions().resolve_job_def(recording.job_name)
    decide.execute_in_process(
        instance=copied.instance, asset_selection=recording.asset_selection, run_config=recording.run_config
    )
    assert tick(copied, "approvals_sensor", copied.instance) == []
    (request,) = tick(copied, "inference_sensor", copied.instance)
    assert request.partition_key == "2026-02-16"
    assert tick(copied, "inference_sensor", copied.instance)[0].run_key == request.run_key
    recommend = copied.definitions().resolve_job_def("recommend")
    recommend.execute_in_process(instance=copied.instance, partition_key=request.partition_key, tags=request.tags)
    assert tick(copied, "inference_sensor", copied.instance) == []
    final = copied.lake.scan(FINAL_RECOMMENDATIONS).select(pl.col("sources").explode().unique()).collect()
    assert final["sources"].to_list() == ["popularity"]
