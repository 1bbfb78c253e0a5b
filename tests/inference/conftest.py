"""Days of lists by families whose versions are in use in a registry, and runs of the assets on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, FINAL_RECOMMENDATIONS, recommendations_table
from recsys_assets.inference.assets import build_assets
from recsys_assets.models import popularity
from recsys_assets.platform import Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.serving.assets import build_assets as serving_assets
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore

FAMILIES = ("popularity", "als", "ease")
SLOT = date(2026, 2, 20)


@pytest.fixture(scope="session")
def approved(tmp_path_factory: pytest.TempPathFactory, tiny_release: Any) -> ModelRegistry:
    """Version 1 of each family is in use. Of als, version 2 is approved and not in use, and version 3 is rejected."""
    folder = tmp_path_factory.mktemp("approved")
    registry = ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))
    (folder / "nothing").mkdir()
    for family in FAMILIES:
        for status in ("Approved", "Approved", "Rejected") if family == "als" else ("Approved",):
            through = SLOT - timedelta(days=1)
            tags = {TRAINED_THROUGH: str(through)}
            version = registry.register(family, SLOT, folder / "nothing", tags=tags, params={})
            registry.set_status(version, status, "for the test")
            if version.version == 1:
                registry.point_approved_at(version)
            if family == "popularity":
                tiny_release(popularity.FAMILY, SLOT, folder / "release")
                registry.add_artifact(version, folder / "release", "release")
    return registry


@dataclass(frozen=True)
class Run:
    """What a run of the assets came to."""

    has_succeeded: bool
    metadata: dict[str, Any]
    checks: dict[str, dg.AssetCheckEvaluation]
    is_published: bool

    @property
    def failed(self) -> set[str]:
        """The checks that did not pass."""
        return {name for name, one in self.checks.items() if not one.passed}


@dataclass(frozen=True)
class Lists:
    """A lake with days of lists."""

    lake: DeltaLake
    registry: ModelRegistry
    online_store: OnlineStore

    def know(self, day: date, users: Sequence[str], on_sale: str, **owned: str) -> None:
        """Write what is known of a day: everybody, what is on sale, and what some users own; a letter is an item."""
        mine = [list(owned.get(user, "")) for user in users]
        exclusions = [
            (day, user, own, ["owned"] * len(own), [], [], False) for user, own in zip(users, mine, strict=True)
        ]
        eligible = [(day, item, None, None, False) for item in on_sale]
        for table, rows in ((EXCLUSIONS, exclusions), (ELIGIBLE_ITEMS, eligible)):
            self.lake.replace(table, pl.DataFrame(rows, schema=table.schema, orient="row"), (day, day))

    def rank(self, family: str, day: date, versions: dict[str, int] | None = None, **items: str) -> None:
        """Write the lists of a family of a day, by version 1 unless said otherwise for a user."""
        table = recommendations_table(family)
        named = versions or {}
        rows = [
            (day, user, list(one), [float(-place) for place in range(len(one))], str(named.get(user, 1)), False)
            for user, one in items.items()
        ]
        self.lake.replace(table, pl.DataFrame(rows, schema=table.schema, orient="row"), (day, day))

    def run(self, platform: Platform, day: date, last: date | None = None) -> Run:
        """Materialize the final lists of a day, or of some days, and publish them."""
        key = dg.AssetKey(FINAL_RECOMMENDATIONS.key)
        ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
        result = dg.materialize(
            [*build_assets(platform), *serving_assets(platform)],
            selection=[key, dg.AssetKey(["serving", "online_store"])],
            partition_key=None if last else str(day),
            tags=dict(zip(ends, (str(day), str(last)), strict=True)) if last else {},
            resources={
                "lake": self.lake,
                "engine": PolarsEngine(),
                "model_registry": self.registry,
                "online_store": self.online_store,
            },
            raise_on_error=False,
        )
        shown = result.asset_materializations_for_node("recommendations__final")
        return Run(
            result.success,
            {name: entry.value for name, entry in shown[0].metadata.items()} if shown else {},
            {one.check_name: one for one in result.get_asset_check_evaluations()},
            bool(result.asset_materializations_for_node("serving__online_store")),
        )

    def final(self, day: date) -> pl.DataFrame:
        """The stored final lists of a day."""
        return self.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).collect().sort("user_id")


@pytest.fixture
def lists(tmp_path: Path, approved: ModelRegistry, valkey_folder: Path, valkey: Any) -> Lists:
    """An empty lake, and an empty online store."""
    del valkey  # emptied
    return Lists(DeltaLake(root=str(tmp_path / "lake")), approved, OnlineStore(folder=str(valkey_folder)))


@pytest.fixture(scope="session")
def configured(tiny_platform: Platform) -> Callable[..., Platform]:
    """The tiny shop with these weights of als and ease, and whatever else."""

    def platform(weights: dict[str, float] | None = None, **more: Any) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        chosen = {"als": 1.0} if weights is None else weights
        content["families"] |= {name: {"weight": chosen.get(name, 0.0)} for name in ("als", "ease")}
        return Platform.model_validate(content | more)

    return platform
