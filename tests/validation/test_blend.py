"""`validation/final` on a real lake and a real registry: which weights it lets in, and what it leaves alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import BLENDS, INTERACTIONS, ITEMS, report_table
from recsys_assets.features.assets import build_assets as feature_assets
from recsys_assets.models.assets import build_assets as model_assets
from recsys_assets.platform import Platform
from recsys_assets.validation.blend import WARNING
from recsys_assets.validation.blend import build_assets as blend_assets
from recsys_assets.validation.report import report_metrics
from recsys_assets.validation.stored_weights import serving_weights
from recsys_assets.validation.weights import CHECK
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

FIRST, OLDER, SLOT = date(2026, 1, 1), date(2026, 2, 11), date(2026, 2, 13)
PERSONAL, MIXED, UNPERSONAL = {"item_item": 1.0}, {"item_item": 1.0, "popularity": 0.01}, {"popularity": 1.0}
Weights = Mapping[str, float]


@dataclass(frozen=True)
class Final:
    """What a materialization of `validation/final` came to."""

    has_succeeded: bool
    metadata: dict[str, Any]
    checks: dict[str, dg.AssetCheckEvaluation]


Judge = Callable[..., Final]


def interactions() -> pl.DataFrame:
    """Purchases of 90 users, each of one taste: only who knows the user knows what they buy next."""
    rng = np.random.default_rng(3)
    rows = {
        (FIRST + timedelta(days=int(day)), f"user {user:02}", f"item {user % 6} {int(item):02}")
        for user in range(90)
        for day, item in zip(rng.integers(43, size=14), rng.integers(25, size=14), strict=True)
    }
    counted = dict.fromkeys(("views", "carts", "wishes", "refunds", "ratings"), 0)
    return pl.DataFrame(
        [
            {
                **counted,
                **dict.fromkeys(("last_at", "last_purchase_at"), datetime(ds.year, ds.month, ds.day, tzinfo=UTC)),
                **dict.fromkeys(("purchases", "quantity"), 1),
                "ds": ds,
                "user_id": user,
                "item_id": item,
                "value": 1.0,
            }
            for ds, user, item in sorted(rows)
        ],
        schema=INTERACTIONS.schema,
    )


def catalogue(bought: pl.DataFrame) -> pl.DataFrame:
    """Every item, on sale since the first day."""
    taste = pl.col("item_id").str.head(6)
    items = (
        bought.select("item_id").unique().with_columns(ds=pl.lit(FIRST), is_adult=pl.lit(value=False), creator=taste)
    )
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in ITEMS.schema.items() if name not in items.columns]
    return items.with_columns(missing).select(ITEMS.schema.names())


@pytest.fixture(scope="module")
def configured(tiny_platform: Platform) -> Callable[..., Platform]:
    """The tiny shop with these weights."""

    def platform(weights: Weights, recommendations: Any = None, **blend: Any) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["families"] = {
            name: {"gate": {"min_holdout_users": 5}, "weight": weights.get(name, 0)}
            for name in ("popularity", "item_item")
        }
        more = {"blend": {"min_holdout_users": 20, **blend}, "recommendations": recommendations or {}}
        return Platform.model_validate(content | more)

    return platform


@pytest.fixture(scope="module")
def trained(
    configured: Callable[..., Platform], model_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A lake with the training sets of two slots, whose candidates are registered."""
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    bought = interactions()
    lake.replace(INTERACTIONS, bought, (FIRST, SLOT))
    lake.replace(ITEMS, catalogue(bought), (FIRST, FIRST))
    platform = configured(PERSONAL)
    assets = [asset for build in (feature_assets, model_assets) for asset in build(platform)]
    for slot in (OLDER, SLOT):
        keys = [["features", "training_set"], ["models", "popularity"], ["models", "item_item"]]
        done = dg.materialize(
            assets,
            selection=[dg.AssetKey(key) for key in keys],
            partition_key=str(slot),
            resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
        )
        assert done.success
    return Path(lake.root)


@pytest.fixture
def lake(trained: Path) -> DeltaLake:
    """The same lake, with no weights in force."""
    lake = DeltaLake(root=str(trained))
    lake.replace(BLENDS, pl.DataFrame(schema=BLENDS.schema), (FIRST, SLOT))
    return lake


@pytest.fixture
def judge(lake: DeltaLake, model_registry: ModelRegistry, configured: Callable[..., Platform]) -> Judge:
    """Materializes `validation/final` with these weights configured."""

    def run(weights: Weights, slot: date = SLOT, **blend: Any) -> Final:
        result = dg.materialize(
            blend_assets(configured(weights, **blend)),
            partition_key=str(slot),
            resources={"lake": lake, "engine": PolarsEngine(), "model_registry": model_registry},
            raise_on_error=False,
        )
        (shown,) = result.asset_materializations_for_node("validation__final")
        checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
        return Final(result.success, {name: entry.value for name, entry in shown.metadata.items()}, checks)

    return run


@pytest.fixture
def serving(lake: DeltaLake, configured: Callable[..., Platform]) -> Callable[[Weights], Weights]:
    """The weights that blend today, with these configured."""
    return lambda weights: serving_weights(lake, configured(weights), SLOT)


def stored(lake: DeltaLake, slot: date = SLOT) -> dict[str, Any]:
    return lake.scan(BLENDS, (slot, slot)).collect().row(0, named=True)


def test_the_first_weights_are_in_force_at_once(lake: DeltaLake, judge: Judge) -> None:
    final = judge(UNPERSONAL)
    assert final.has_succeeded
    assert stored(lake)["in_force"] == [{"family": "popularity", "weight": 1.0}]
    assert final.metadata["weights"] == "the first weights: there is nothing to compare with"


def test_weights_in_force_only_warn_however_badly_they_do(judge: Judge) -> None:
    judge(UNPERSONAL)
    final = judge(UNPERSONAL)
    assert final.has_succeeded
    assert not final.checks[WARNING].passed
    assert final.checks[WARNING].severity == dg.AssetCheckSeverity.WARN
    assert final.checks[CHECK].passed


def test_a_change_that_loses_is_refused_and_the_weights_before_stay(
    lake: DeltaLake, judge: Judge, serving: Callable[[Weights], Weights]
) -> None:
    before = judge(PERSONAL)
    final = judge(UNPERSONAL)
    assert not final.has_succeeded
    check = final.checks[CHECK]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert "the weights popularity 1 are not put in force; item_item 1 stays" in (check.description or "")
    assert serving(UNPERSONAL) == PERSONAL

    row = stored(lake)
    assert row["passed"] is False
    assert row["actual"] < row["threshold"] == -0.05
    assert row["actual"] == pytest.approx(row["ndcg_at_10_configured"] / row["ndcg_at_10_in_force"] - 1)
    assert final.metadata["ndcg_at_10_configured"] == row["ndcg_at_10_configured"]
    # The report is on what serves.
    report = lake.scan(report_table("final", report_metrics())).collect().row(0, named=True)
    assert report["ndcg_at_10"] == final.metadata["ndcg_at_10"] == row["ndcg_at_10_in_force"]
    assert report["ndcg_at_10"] == before.metadata["ndcg_at_10"]


def test_refused_weights_can_be_taken_back_and_asked_again(judge: Judge, serving: Callable[[Weights], Weights]) -> None:
    judge(PERSONAL)
    assert not judge(UNPERSONAL).has_succeeded
    assert judge(PERSONAL).has_succeeded
    assert not judge(UNPERSONAL).has_succeeded  # asking twice changes nothing
    assert serving(UNPERSONAL) == PERSONAL


def test_a_change_that_does_not_clearly_lose_is_in_force(
    lake: DeltaLake, judge: Judge, serving: Callable[[Weights], Weights]
) -> None:
    judge(PERSONAL)
    final = judge(MIXED)
    assert final.has_succeeded
    assert serving(MIXED) == MIXED
    assert final.metadata["ndcg_at_10"] == stored(lake)["ndcg_at_10_configured"]
    assert final.metadata["weights_in_force"] == "item_item 1, popularity 0.01"


def test_an_owner_may_allow_any_drop(judge: Judge, serving: Callable[[Weights], Weights]) -> None:
    judge(PERSONAL)
    assert judge(UNPERSONAL, max_ndcg_drop=1).has_succeeded
    assert serving(UNPERSONAL) == UNPERSONAL


def test_too_few_users_let_no_change_in(judge: Judge, serving: Callable[[Weights], Weights]) -> None:
    judge(PERSONAL)
    assert not judge(MIXED, min_holdout_users=10_000).has_succeeded
    assert serving(MIXED) == PERSONAL


def test_a_backfilled_older_slot_is_judged_and_puts_nothing_in_force_over_the_newer_one(
    judge: Judge, serving: Callable[[Weights], Weights]
) -> None:
    judge(PERSONAL)
    final = judge(MIXED, OLDER)
    assert final.has_succeeded
    assert final.metadata["decided_by"] == f"slot {SLOT} is newer: what it left in force serves"
    assert serving(MIXED) == PERSONAL


def test_both_rules_are_measured_and_the_report_is_on_the_one_in_force(lake: DeltaLake, judge: Judge) -> None:
    for rule in ("reciprocal_ranks", "z_scores"):
        final = judge({"item_item": 1.0, "popularity": 0.5}, rule=rule)
        row = stored(lake)
        measured = {name: row[f"ndcg_at_10_{name}"] for name in ("reciprocal_ranks", "z_scores")}
        assert measured == {name: final.metadata[f"ndcg_at_10_{name}"] for name in measured}
        assert measured["reciprocal_ranks"] != measured["z_scores"]
        assert row["rule"] == final.metadata["rule_in_force"] == rule
        assert final.metadata["ndcg_at_10"] == pytest.approx(measured[rule])


def test_what_is_judged_goes_through_the_rules_of_composition(judge: Judge) -> None:
    plain = judge(PERSONAL).metadata["ndcg_at_10"]
    one_creator = {"max_per_creator": {"items": 1, "within": None}}  # all items of a taste are by one creator
    limited = judge(PERSONAL, recommendations={"composition": one_creator}).metadata["ndcg_at_10"]
    assert limited < plain / 2
