"""The sensor on approvals, by real ticks on a real registry: it asks for what is not recorded, once."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.platform import Platform
from recsys_assets.registry.assets import build_assets
from recsys_assets.registry.deciding import deciding
from recsys_assets.registry.promotions import read_decisions
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion
from sensors.approvals import build_approvals_sensor

Tick = Callable[[], list[dg.RunRequest]]
FAMILY = "popularity"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """One of its own, because the family has the name that every platform has."""
    return ModelRegistry(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        artifact_root=str(tmp_path / "artifacts"),
        lock_folder=str(tmp_path / "locks"),
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def tick(tiny_platform: Platform, registry: ModelRegistry, instance: dg.DagsterInstance) -> Tick:
    """Evaluates the sensor; no request means that it skipped."""
    sensor = build_approvals_sensor(tiny_platform)

    def evaluate() -> list[dg.RunRequest]:
        with dg.build_sensor_context(instance, resources={"model_registry": registry}) as context:
            result = sensor(context)
        return result if isinstance(result, list) else []

    return evaluate


@pytest.fixture
def follow(
    tiny_platform: Platform, registry: ModelRegistry, instance: dg.DagsterInstance, tmp_path: Path
) -> Callable[[dg.RunRequest], bool]:
    """Does what the sensor asks for."""
    lake = DeltaLake(root=str(tmp_path / "lake"))
    resources = {"lake": lake, "model_registry": registry, "engine": PolarsEngine()}
    jobs = [dg.define_asset_job("decide", dg.AssetSelection.groups("approved"))]
    definitions = dg.Definitions(assets=build_assets(tiny_platform), jobs=jobs, resources=resources)

    def done(request: dg.RunRequest) -> bool:
        result = definitions.resolve_job_def("decide").execute_in_process(
            instance=instance, asset_selection=request.asset_selection, run_config=request.run_config, tags=request.tags
        )
        return result.success

    return done


def version(registry: ModelRegistry, folder: Path, slot: date) -> ModelVersion:
    return registry.register(FAMILY, slot, folder, tags={}, params={})


def test_what_is_done_in_mlflow_by_hand_is_recorded_and_asked_for_until_it_is(
    tick: Tick,
    follow: Callable[[dg.RunRequest], bool],
    registry: ModelRegistry,
    instance: dg.DagsterInstance,
    tmp_path: Path,
) -> None:
    (tmp_path / "candidate").mkdir()
    assert tick() == []  # never trained
    first, second = (version(registry, tmp_path / "candidate", date(2026, 3, day)) for day in (2, 4))
    assert tick() == []  # trained, and nothing in use

    registry.point_approved_at(second)
    with deciding(registry, FAMILY):
        assert tick() == []  # whoever decides at this moment records it himself
    (request,) = tick()
    assert request.job_name == "decide"
    assert request.asset_selection == [dg.AssetKey(["approved", FAMILY])]
    assert tick()[0].run_key == request.run_key  # so that Dagster starts it once
    assert follow(request)
    assert tick() == []

    registry.point_approved_at(first)
    (again,) = tick()
    assert again.run_key != request.run_key
    assert follow(again)
    assert tick() == []
    found = [(one.kind, one.version, one.previous) for one in read_decisions(instance, FAMILY)]
    assert found == [("noticed", 1, 2), ("noticed", 2, 0)]
    assert {one.version: one.status for one in registry.versions(FAMILY)} == {1: "Approved", 2: "Rejected"}

    registry.set_status(first, "PendingManualApproval", "clicked")
    (mending,) = tick()
    assert follow(mending)
    assert tick() == []
    assert registry.version(FAMILY, 1).status == "Approved"
