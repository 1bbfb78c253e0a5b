"""Daily inference by the sensor: each change leads to one run and one publication; older days stay in their time."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_assets.cli.driver import Finished, Limits
from recsys_assets.cli.installation import Installation
from recsys_assets.columns import recommendations_table
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.promotions import approved_key
from recsys_assets.serving.assets import ONLINE_STORE_KEY
from recsys_assets.serving.generations import current
from resources import embedded_valkey

Tick = Callable[[Installation], list[dg.RunRequest]]
SLOT, NEWEST_DAY = "2026-02-18", "2026-02-16"


@pytest.fixture
def tick() -> Tick:
    """One tick of the sensor, as a daemon that was started a moment ago would evaluate it."""

    def evaluate(installation: Installation) -> list[dg.RunRequest]:
        definitions = installation.definitions()
        with dg.build_sensor_context(
            installation.instance, definitions=definitions, resources=installation.resources
        ) as context:
            data = definitions.resolve_sensor_def("inference_sensor").evaluate_tick(context)
        return list(data.run_requests or ())

    return evaluate


def run(installation: Installation, request: dg.RunRequest) -> None:
    job = installation.definitions().resolve_job_def("recommend")
    assert job.execute_in_process(
        instance=installation.instance, partition_key=request.partition_key, tags=request.tags
    ).success


def use(installation: Installation, version: int) -> None:
    """What a rollback or an approval by a person does."""
    job = installation.definitions().resolve_job_def("decide")
    assert job.execute_in_process(
        instance=installation.instance,
        asset_selection=[approved_key("als")],
        run_config=decision_config("als", version=version, reason="to see what happens"),
    ).success


def served(installation: Installation) -> tuple[date, str]:
    """Day of the lists in use, and the version of ALS that made them."""
    generation = current(installation.online_store.connect())
    assert generation is not None
    return generation.as_of, generation.versions["als"]


def publications(installation: Installation) -> int:
    return len(installation.instance.fetch_materializations(ONLINE_STORE_KEY, limit=100).records)


@pytest.fixture
def approved_twice(copied: Installation) -> Installation:
    """Version 2 of ALS has just been approved and is not served yet."""
    job = copied.definitions().resolve_job_def("train")
    assert job.execute_in_process(instance=copied.instance, partition_key=SLOT).success
    assert copied.model_registry.approved("als").version == 2
    return copied


def test_there_and_back_again_on_one_day_is_one_publication_each_however_often_the_sensor_ticks(
    approved_twice: Installation, tick: Tick
) -> None:
    installation = approved_twice
    before = publications(installation)
    keys = set()
    for count, version in enumerate((2, 1), start=1):
        if version == 1:
            use(installation, version)
        (request,), (again,) = tick(installation), tick(installation)
        assert (request.run_key, request.partition_key) == (again.run_key, NEWEST_DAY)
        keys.add(request.run_key)
        run(installation, request)
        assert served(installation) == (date.fromisoformat(NEWEST_DAY), str(version))
        assert publications(installation) == before + count
        assert tick(installation) == []
    assert len(keys) == 2


def test_changes_between_two_ticks_are_one_publication_of_what_is_approved_in_the_end(
    approved_twice: Installation, tick: Tick
) -> None:
    use(approved_twice, 1)  # nobody has looked while version 2 was approved
    (request,) = tick(approved_twice)
    run(approved_twice, request)
    assert served(approved_twice)[1] == "1"
    assert tick(approved_twice) == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_an_approval_during_a_run_waits_for_its_end_and_is_not_lost(
    approved_twice: Installation, tick: Tick, status: dg.DagsterRunStatus
) -> None:
    installation = approved_twice
    (first,) = tick(installation)
    tags = {**first.tags, "dagster/partition": NEWEST_DAY}
    job = installation.definitions().resolve_job_def("recommend")
    under_way = installation.instance.create_run_for_job(job, tags=tags, status=status)
    use(installation, 1)
    assert tick(installation) == []
    installation.instance.report_run_failed(under_way, "killed")
    (second,) = tick(installation)
    assert second.run_key != first.run_key
    run(installation, second)
    assert served(installation)[1] == "1"
    assert tick(installation) == []


@pytest.fixture(scope="module")
def two_slots(
    tmp_path_factory: pytest.TempPathFactory, finished: Installation, run_all: Callable[..., list[Finished]]
) -> Iterator[Installation]:
    """An installation that was up to date on February 9th, with a model of that day, and is up to date again."""
    home: Path = tmp_path_factory.mktemp("two-slots")
    settings: Any = finished.settings
    installation = Installation(
        type(settings)(home=home, lake=str(home / "lake"), landing=settings.landing), finished.platform
    )
    run_all(installation, Limits(last=date(2026, 2, 9)))
    run_all(installation)
    yield installation
    embedded_valkey.stop(home / "valkey")
    installation.instance.dispose()


def test_an_older_day_is_ranked_by_the_version_approved_then_and_never_published(
    two_slots: Installation, tick: Tick
) -> None:
    registry = two_slots.model_registry
    newest, older = registry.versions("als")
    assert (registry.approved("als"), older.status, str(older.slot)) == (newest, "Approved", "2026-02-09")
    before = current(two_slots.online_store.connect())
    job = two_slots.definitions().resolve_job_def("recommend")
    assert job.execute_in_process(instance=two_slots.instance, partition_key="2026-02-11").success
    day = date(2026, 2, 11)
    lists = two_slots.lake.scan(recommendations_table("als"), (day, day)).collect()
    assert lists["version"].unique().to_list() == [str(older.version)]
    assert current(two_slots.online_store.connect()) == before
    assert tick(two_slots) == []
