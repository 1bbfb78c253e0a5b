"""The reports as assets, on a real lake and a real registry: what is stored, shown and logged is the same."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import INTERACTIONS, ITEMS, SEGMENT_METRICS, USER_METRICS, report_table
from recsys_assets.features.assets import build_assets as feature_assets
from recsys_assets.models.assets import build_assets as model_assets
from recsys_assets.platform import Platform
from recsys_assets.validation.assets import build_assets as validation_assets
from recsys_assets.validation.blend import build_assets as blend_assets
from recsys_assets.validation.report import MAIN, report_metrics
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

FIRST = date(2026, 1, 1)
SLOT = date(2026, 2, 13)
KEYS = (["features", "training_set"], ["models", "popularity"], ["validation", "popularity"], ["validation", "final"])


@dataclass(frozen=True)
class Judged:
    lake: DeltaLake
    registry: ModelRegistry
    platform: Platform
    results: list[dg.ExecuteInProcessResult]

    def report(self, family: str) -> dict[str, Any]:
        return self.lake.scan(report_table(family, report_metrics())).collect().row(0, named=True)

    def metadata(self, family: str) -> dict[str, Any]:
        (found,) = self.results[-1].asset_materializations_for_node(f"validation__{family}")
        return {name: entry.value for name, entry in found.metadata.items()}


def interactions() -> pl.DataFrame:
    """Purchases of 60 users over 43 days, and of ten who come in the last week only."""
    rng = np.random.default_rng(1)
    rows = {
        (FIRST + timedelta(days=int(day)), f"user {user:02}", f"item {int(item):02}")
        for user in range(70)
        for day, item in zip(rng.integers(37 if user >= 60 else 0, 43, 12), rng.integers(40, size=12), strict=True)
    }
    return pl.DataFrame(
        [
            {
                **dict.fromkeys(("views", "carts", "wishes", "refunds", "ratings"), 0),
                "ds": ds,
                "user_id": user,
                "item_id": item,
                "purchases": 1,
                "quantity": 1,
                "value": 1.0,
                **dict.fromkeys(("last_at", "last_purchase_at"), datetime(ds.year, ds.month, ds.day, tzinfo=UTC)),
            }
            for ds, user, item in sorted(rows)
        ],
        schema=INTERACTIONS.schema,
    )


def catalogue() -> pl.DataFrame:
    """Forty items on three shelves, since the first day."""
    known = [{"item_id": f"item {item:02}", "category": f"shelf {item % 3}"} for item in range(40)]
    rows = pl.DataFrame(known).with_columns(ds=pl.lit(FIRST), is_adult=pl.lit(value=False))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in ITEMS.schema.items() if name not in rows.columns]
    return rows.with_columns(missing).select(ITEMS.schema.names())


@pytest.fixture(scope="module")
def judged(tiny_platform: Platform, model_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["popularity"]["gate"] = {"min_holdout_users": 5}
    platform = Platform.model_validate(content)
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    lake.replace(INTERACTIONS, interactions(), (FIRST, SLOT))
    lake.replace(ITEMS, catalogue(), (FIRST, FIRST))
    builders = (feature_assets, model_assets, validation_assets, blend_assets)
    assets = [asset for build in builders for asset in build(platform)]
    resources = {"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry}
    selections = [[dg.AssetKey(key) for key in keys] for keys in (KEYS, KEYS[2:])]  # the second time judges again
    results = [
        dg.materialize(assets, selection=keys, partition_key=str(SLOT), resources=resources) for keys in selections
    ]
    return Judged(lake, model_registry, platform, results)


def test_a_report_is_stored_shown_and_logged_with_the_same_figures(judged: Judged) -> None:
    report = judged.report("popularity")
    stored = {name: report[name] for name in report_metrics() if report[name] is not None}
    assert {name for name in report_metrics() if name not in stored} == {  # nothing is approved yet
        f"ndcg_at_10_change_to_approved{end}" for end in ("", "_low", "_high")
    }
    shown = judged.metadata("popularity")
    assert shown.keys() - stored.keys() == {"version", "holdout_users", "picture"}
    assert {name: shown[name] for name in stored} == stored
    logged = judged.registry.metrics(judged.registry.versions("popularity")[0])
    assert {name: logged[name] for name in stored} == stored


@pytest.mark.parametrize("family", ["popularity", "final"])
def test_the_tables_behind_a_report_are_stored_once_and_agree_with_it(judged: Judged, family: str) -> None:
    report = judged.report(family)
    mine = [pl.col(name) == report[name] for name in ("ds", "version")]
    users = judged.lake.scan(USER_METRICS).filter(pl.col("family") == family).collect()
    assert users.filter(*mine).height == users.height == report["holdout_users"] > 20
    for name in MAIN:
        assert users[name].mean() == pytest.approx(report[name])
    segments = judged.lake.scan(SEGMENT_METRICS).filter(pl.col("family") == family).collect()
    counts = dict(segments.filter(*mine).select("segment", "users").iter_rows())
    assert len(counts) == segments.height == 6
    assert sum(counts[name] for name in ("none", "light", "middle", "heavy")) == report["holdout_users"]
    assert counts["cold_users"] == 10
    assert dict(users["segment"].value_counts().iter_rows()).items() <= counts.items()


def test_final_shows_what_it_stores(judged: Judged) -> None:
    stored, shown = judged.report("final"), judged.metadata("final")
    assert stored["version"] == shown["versions"]
    assert stored["ndcg_at_10"] == shown["ndcg_at_10"] == judged.report("popularity")["ndcg_at_10"]
    assert shown["ndcg_at_10_low"] < shown["ndcg_at_10"] < shown["ndcg_at_10_high"]


def test_a_report_is_shown_as_a_picture_and_its_pictures_are_kept_with_the_version(judged: Judged) -> None:
    for family in ("popularity", "final"):
        picture = judged.metadata(family)["picture"]
        assert picture.startswith(f"![the report of {family} for slot {SLOT}](data:image/png;base64,")
    with judged.registry.artifact(judged.registry.versions("popularity")[0], "report") as folder:
        names = sorted(path.name for path in folder.iterdir())
    assert names == ["ndcg_by_k.png", "ndcg_by_slot.png", "popularity_bias.png"]
