"""Bad candidates, planted as versions and judged by the real assets: each is refused, and everybody can see why."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

from recsys_assets.columns import INTERACTIONS, report_table
from recsys_assets.features.assets import build_assets as feature_assets
from recsys_assets.models import als
from recsys_assets.models.als import AlsModel
from recsys_assets.models.artifact import save
from recsys_assets.models.assets import build_assets as model_assets
from recsys_assets.models.candidates import Excluded
from recsys_assets.models.versions import CANDIDATE, load_version
from recsys_assets.platform import Platform
from recsys_assets.validation.assets import build_assets as validation_assets
from recsys_assets.validation.gate import Verdict, candidate_checks
from recsys_assets.validation.report import report_metrics
from recsys_assets.validation.verdicts import stored_verdicts
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

FIRST, SLOT = date(2026, 1, 1), date(2026, 2, 13)
HOLDOUT = 36
"""The day, counted from the first, on which the holdout begins."""
TASTES, ITEMS_OF_TASTE, USERS = 6, 20, 600
Factors = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Shop:
    """A shop whose ALS of the slot was trained, judged and approved."""

    lake: DeltaLake
    registry: ModelRegistry
    assets: list[dg.AssetsDefinition]

    def materialize(self, *keys: list[str]) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            self.assets,
            selection=[dg.AssetKey(key) for key in keys],
            partition_key=str(SLOT),
            resources={"lake": self.lake, "engine": PolarsEngine(), "model_registry": self.registry},
            raise_on_error=False,
        )

    def newest(self, family: str = "als") -> ModelVersion:
        return self.registry.versions(family)[0]

    def plant(self, factors: Factors, folder: Path) -> None:
        """Register the approved candidate with other factors, as if training had made it."""
        good = load_version(self.registry, als.FAMILY, self.registry.versions("als")[-1], CANDIDATE)
        assert isinstance(good.model, AlsModel)
        model = replace(good.model, item_factors=factors(good.model.item_factors))
        folder.mkdir()
        save(replace(good, model=model), als.FAMILY, folder)
        self.registry.register("als", SLOT, folder, tags={}, params={})

    def judge(self) -> dict[str, Verdict]:
        """Judge the newest version; what is stored, shown and set as its status must agree."""
        result = self.materialize(["validation", "als"])
        verdicts = {one.check: one for one in stored_verdicts(self.lake, self.newest())}
        assert verdicts.keys() == candidate_checks("als").keys()
        shown = {one.check_name: one for one in result.get_asset_check_evaluations()}
        assert {name: one.passed for name, one in shown.items()} == {name: v.passed for name, v in verdicts.items()}
        assert all(shown[name].description == verdict.sentence for name, verdict in verdicts.items())
        refused = refusals(verdicts)
        assert self.newest().status == ("Rejected" if refused else "PendingManualApproval")
        assert all(f"{name}: {verdicts[name].sentence}" in self.newest().status_reason for name in refused)
        return verdicts

    def report(self) -> dict[str, Any]:
        reports = self.lake.scan(report_table("als", report_metrics())).collect()
        return reports.row(by_predicate=pl.col("version") == str(self.newest().version), named=True)


def refusals(verdicts: dict[str, Verdict]) -> set[str]:
    return {check for check, verdict in verdicts.items() if not verdict.passed}


def purchases(users: int, *, come_back: bool = True) -> pl.DataFrame:
    """Everybody has a taste and buys by it, before and in the holdout; or those before it do not come back."""
    random = np.random.default_rng(1)
    rows = set()
    for user in range(users):
        is_early = come_back or user % 2 == 0
        days = random.integers(0, HOLDOUT, 10) if is_early else random.integers(HOLDOUT, HOLDOUT + 7, 10)
        if come_back:
            days = [*days, *random.integers(HOLDOUT, HOLDOUT + 7, 3)]
        shelf = ITEMS_OF_TASTE * (user % TASTES)
        for day in days:
            item = shelf + int(ITEMS_OF_TASTE * random.random() ** 2)  # the first of a shelf sell best
            rows.add((FIRST + timedelta(days=int(day)), f"user {user:03}", f"item {item:03}"))
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


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    """One of its own: the shared one may hold versions of these families."""
    folder = tmp_path_factory.mktemp("mlflow")
    return ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))


def platform_of(tiny_platform: Platform) -> Platform:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["sources"].pop("items")  # every item is on sale from its first event on
    content["families"]["als"] = {"window_days": 60, "parameters": {"factors": 8, "regularization": 1.0}}
    return Platform.model_validate(content)


def shop_of(tiny_platform: Platform, registry: ModelRegistry, lake: DeltaLake, rows: pl.DataFrame) -> Shop:
    lake.replace(INTERACTIONS, rows, (FIRST, SLOT))
    builders = (feature_assets, model_assets, validation_assets)
    return Shop(lake, registry, [asset for build in builders for asset in build(platform_of(tiny_platform))])


@pytest.fixture(scope="module")
def shop(tiny_platform: Platform, registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    made = shop_of(tiny_platform, registry, lake, purchases(USERS))
    made.materialize(["features", "training_set"], ["models", "popularity"], ["models", "als"])
    assert refusals(made.judge()) == set()
    registry.set_status(made.newest(), "Approved", "")
    registry.point_approved_at(made.newest())
    return made


def test_an_equal_candidate_passes_and_shows_what_it_was_compared_with(shop: Shop, tmp_path: Path) -> None:
    shop.plant(lambda factors: factors, tmp_path / "equal")
    verdicts = shop.judge()
    assert refusals(verdicts) == set()
    compared = verdicts["ndcg_not_below_approved"]
    assert (compared.actual, compared.threshold) == (0, -0.05)
    assert "version 1 of slot 2026-02-13 (in use)" in compared.sentence
    report = shop.report()
    assert report["ndcg_at_10_change_to_approved"] == 0
    low, change, high = (report[f"ndcg_at_10_change_to_popularity{end}"] for end in ("_low", "", "_high"))
    popularity = verdicts["beats_popularity"]
    assert popularity.actual is not None
    assert change == pytest.approx(popularity.actual / popularity.threshold - 1)  # the margin is zero
    assert 0 < low < change < high


def test_random_factors_are_refused(shop: Shop, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shop.plant(lambda factors: random.standard_normal(factors.shape).astype(np.float32), tmp_path / "random")
    refused = refusals(shop.judge())
    assert refused == {"beats_popularity", "ndcg_not_below_approved"}


def some_mixed_up(factors: np.ndarray) -> np.ndarray:
    """About a quarter worse: one item in seven has the factors of another."""
    random, mixed = np.random.default_rng(0), factors.copy()
    chosen = random.choice(len(factors), len(factors) // 7, replace=False)
    mixed[chosen] = factors[random.permutation(chosen)]
    return mixed


def test_a_candidate_that_is_a_quarter_worse_is_refused_by_the_comparison_alone(shop: Shop, tmp_path: Path) -> None:
    shop.plant(some_mixed_up, tmp_path / "worse")
    verdicts = shop.judge()
    assert refusals(verdicts) == {"ndcg_not_below_approved"}
    verdict = verdicts["ndcg_not_below_approved"]
    assert verdict.actual is not None
    assert -0.35 < verdict.actual < -0.15
    assert verdict.smallest_detectable_drop is not None
    assert verdict.smallest_detectable_drop < -verdict.actual
    assert "clearly more than the allowed drop of 5 %" in shop.newest().status_reason


def test_a_decline_that_got_into_use_is_not_the_measure_of_the_next_candidate(shop: Shop, tmp_path: Path) -> None:
    best = shop.registry.approved("als")
    assert best is not None
    shop.plant(some_mixed_up, tmp_path / "worse")
    shop.judge()
    worse = shop.newest()
    shop.registry.set_status(worse, "Approved", "somebody insisted")
    shop.registry.point_approved_at(worse)
    shop.plant(some_mixed_up, tmp_path / "as bad")
    verdict = shop.judge()["ndcg_not_below_approved"]
    shop.registry.set_status(worse, "Rejected", "")
    shop.registry.point_approved_at(best)
    assert not verdict.passed
    assert f"changes by +0 % against version {worse.version} of slot 2026-02-13 (in use)" in verdict.sentence
    assert f"version {best.version} of slot 2026-02-13 (the best approved one of 28 days)" in verdict.sentence


def test_factors_that_are_not_finite_are_refused(shop: Shop, tmp_path: Path) -> None:
    shop.plant(lambda factors: np.where(np.arange(len(factors))[:, np.newaxis] == 3, np.nan, factors), tmp_path / "nan")
    assert "parameters_are_finite" in refusals(shop.judge())


def test_a_ranking_that_forgets_what_is_excluded_is_found_out(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.plant(lambda factors: factors, tmp_path / "forgetful")
    monkeypatch.setattr(Excluded, "items", lambda self, users: csr_array((users.size, self.shelf.is_adult.size)))
    verdicts = shop.judge()
    assert "no_excluded_item_recommended" in refusals(verdicts)
    owned = verdicts["no_excluded_item_recommended"].actual
    assert owned is not None
    assert owned > USERS
    assert shop.report()["holdout_users"] > 0


def test_a_damaged_version_in_use_refuses_in_words_what_cannot_be_compared_with_it(shop: Shop, tmp_path: Path) -> None:
    in_use = shop.registry.approved("als")
    assert in_use is not None
    (arrays,) = Path(shop.registry.artifact_root).glob(f"*/{in_use.run_id}/artifacts/candidate/arrays.npz")
    shop.plant(lambda factors: factors, tmp_path / "equal")
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-100])
    try:
        verdicts = shop.judge()
    finally:
        arrays.write_bytes(whole)
    assert refusals(verdicts) == {"ndcg_not_below_approved"}
    sentence = verdicts["ndcg_not_below_approved"].sentence
    assert sentence.startswith("cannot be compared with version 1 of slot 2026-02-13 (in use): ")
    assert "the als artifact has arrays that are not those that were written" in sentence
    assert "put another version in use" in sentence


def test_a_holdout_in_which_nobody_came_back_refuses_and_crashes_nothing(
    tiny_platform: Platform, registry: ModelRegistry, shop: Shop, tmp_path: Path
) -> None:
    del shop  # what this one registers comes after it
    strangers = shop_of(tiny_platform, registry, DeltaLake(root=str(tmp_path)), purchases(60, come_back=False))
    strangers.materialize(["features", "training_set"], ["models", "popularity"], ["models", "als"])
    verdicts = strangers.judge()
    assert refusals(verdicts) == {
        "ndcg_above_floor",
        "beats_popularity",
        "ndcg_not_below_approved",
        "catalogue_coverage_above_floor",
        "enough_holdout_users",
    }
    assert verdicts["enough_holdout_users"].sentence == "the number of holdout users is 0, below 50"
    assert "could not be measured" in verdicts["ndcg_not_below_approved"].sentence
    assert strangers.report()["holdout_users"] == 0
