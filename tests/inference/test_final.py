"""`recommendations/final` blends with the weights in force, whatever is configured meanwhile, and says so."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import FINAL_RECOMMENDATIONS, recommendations_table
from recsys_assets.features.specification import lists_hash
from recsys_assets.inference.assets import build_assets
from recsys_assets.platform import Platform
from recsys_assets.validation.gate import Verdict
from recsys_assets.validation.stored_weights import JudgedBlend, serving_weights, store_weights
from recsys_assets.validation.weights import Weights
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

DAY, SLOT = date(2026, 3, 1), date(2026, 3, 2)
ALS, EASE = {"als": 1.0}, {"ease": 1.0}
LISTS = {"popularity": "xyz", "als": "abc", "ease": "efg"}
Configured = Callable[[Weights], Platform]


@pytest.fixture
def configured(tiny_platform: Platform) -> Configured:
    def platform(weights: Weights) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["families"] |= {name: {"weight": weights.get(name, 0.0)} for name in ("als", "ease")}
        return Platform.model_validate(content)

    return platform


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """A day on which each family has a list for one user."""
    lake = DeltaLake(root=str(tmp_path))
    for family, items in LISTS.items():
        table = recommendations_table(family)
        row = [DAY, "ann", list(items), [3.0, 2.0, 1.0], "1", False]
        lake.replace(table, pl.DataFrame([row], schema=table.schema, orient="row"), (DAY, DAY))
    return lake


def in_force(lake: DeltaLake, weights: Weights, slot: date = SLOT) -> None:
    verdict = Verdict("", None, -0.05, True, "the first")
    store_weights(lake, slot, "recipe", JudgedBlend(weights, None, None, None, verdict))


def final(lake: DeltaLake, platform: Platform) -> tuple[str, dict[str, Any]]:
    """The list of the user, and what the asset says of itself."""
    key = dg.AssetKey(FINAL_RECOMMENDATIONS.key)
    result = dg.materialize(
        build_assets(platform),
        selection=[key],
        partition_key=str(DAY),
        resources={"lake": lake, "engine": PolarsEngine(), "model_registry": ModelRegistry(tracking_uri="unused")},
    )
    metadata = result.asset_materializations_for_node("recommendations__final")[0].metadata
    items = lake.scan(FINAL_RECOMMENDATIONS).collect()["item_ids"].item().to_list()
    return "".join(items), {name: entry.value for name, entry in metadata.items()}


def test_before_any_weights_are_in_force_the_configured_ones_blend(lake: DeltaLake, configured: Configured) -> None:
    items, metadata = final(lake, configured(EASE))
    assert items == "efgxyz"
    assert metadata["weights"] == "ease 1"
    assert "weights_waiting" not in metadata


def test_weights_that_are_not_in_force_do_not_blend_and_the_asset_says_how_to_get_them_in(
    lake: DeltaLake, configured: Configured
) -> None:
    in_force(lake, ALS)
    items, metadata = final(lake, configured(EASE))
    assert items == "abcxyz"
    assert metadata["weights"] == "als 1"
    assert "blended with als 1, not with ease 1" in metadata["weights_waiting"]
    assert "materialize validation/final" in metadata["weights_waiting"]


def test_once_they_are_in_force_they_blend(lake: DeltaLake, configured: Configured) -> None:
    in_force(lake, {"ease": 3.0})
    items, metadata = final(lake, configured(EASE))
    assert items == "efgxyz"
    assert "weights_waiting" not in metadata


def test_a_family_in_force_that_is_configured_no_more_drops_out(lake: DeltaLake, tiny_platform: Platform) -> None:
    in_force(lake, ALS)
    assert final(lake, tiny_platform)[0] == "xyz"


def test_weights_of_a_slot_that_has_seen_later_days_do_not_blend_an_older_day(
    lake: DeltaLake, configured: Configured
) -> None:
    in_force(lake, EASE, date(2026, 2, 27))
    in_force(lake, ALS, date(2026, 3, 4))
    assert final(lake, configured(ALS))[0] == "efgxyz"


def test_lists_are_due_again_when_other_weights_are_in_force_and_not_when_they_are_only_configured(
    lake: DeltaLake, configured: Configured
) -> None:
    def state(platform: Platform) -> str:
        return lists_hash(platform, serving_weights(lake, platform, date.max))

    in_force(lake, ALS)
    before = state(configured(ALS))
    assert state(configured(EASE)) == before
    in_force(lake, EASE)
    assert state(configured(EASE)) != before
