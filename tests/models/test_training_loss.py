"""The training loss of a fit can be seen per iteration, in MLflow and on the asset; a family without one has none."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import TRAINING_SET
from recsys_assets.models.assets import build_assets
from recsys_assets.platform import Platform
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

SLOT = date(2026, 2, 13)


@dataclass(frozen=True)
class Trained:
    registry: ModelRegistry
    metadata: dict[str, dict[str, Any]]

    def curve(self, family: str) -> dict[int, float]:
        """What MLflow has, step by step."""
        from mlflow import MlflowClient  # its import takes seconds

        run_id = self.metadata[family]["mlflow_run_id"].value
        history = MlflowClient(self.registry.tracking_uri).get_metric_history(run_id, "training_loss")
        return {entry.step: entry.value for entry in history}


@pytest.fixture(scope="module")
def trained(
    tiny_platform: Platform, model_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """ALS and popularity, trained by their assets."""
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"] = {"parameters": {"factors": 4, "iterations": 7}}
    rng = np.random.default_rng(2)
    rows = {
        "ds": [SLOT] * 400,
        "split": ["train"] * 400,
        "user_id": [f"user {user}" for user in rng.integers(30, size=400)],
        "item_id": [f"item {item}" for item in rng.integers(20, size=400)],
        "day": [SLOT - timedelta(days=int(age)) for age in rng.integers(8, 40, size=400)],
        "weight": [1.0] * 400,
        "item_index": [0] * 400,
    }
    training_set = pl.DataFrame(rows, TRAINING_SET.schema).unique(["user_id", "item_id", "day"], maintain_order=True)
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    lake.replace(TRAINING_SET, training_set, (SLOT, SLOT))
    names = ("als", "popularity")
    result = dg.materialize(
        build_assets(Platform.model_validate(content)),
        selection=[dg.AssetKey(["models", name]) for name in names],
        partition_key=str(SLOT),
        resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
    )
    found = {name: result.asset_materializations_for_node(f"models__{name}")[0].metadata for name in names}
    return Trained(model_registry, {name: dict(metadata) for name, metadata in found.items()})


def test_mlflow_has_the_loss_of_each_iteration(trained: Trained) -> None:
    curve = trained.curve("als")
    assert list(curve) == [1, 2, 3, 4, 5, 6, 7]
    assert list(curve.values()) == sorted(curve.values(), reverse=True)


def test_the_asset_shows_the_same_figures_the_last_one_as_a_number_to_plot(trained: Trained) -> None:
    shown, curve = trained.metadata["als"], trained.curve("als")
    table = shown["training_loss_per_iteration"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {row.data["iteration"]: row.data["loss"] for row in table.records} == curve
    assert shown["training_loss"].value == curve[7]


def test_a_family_that_is_counted_and_not_iterated_has_no_loss(trained: Trained) -> None:
    assert trained.curve("popularity") == {}
    assert not {"training_loss", "training_loss_per_iteration"} & trained.metadata["popularity"].keys()
