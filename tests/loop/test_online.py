"""What was shown to users of an installation: measured, shown beside the offline figures, and estimated beforehand."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recsys_assets.cli.estimate import show_estimate
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.model_diff import show_differences
from recsys_assets.cli.model_page import show_version
from recsys_assets.cli.models import show_versions
from recsys_assets.columns import IMPRESSIONS, ONLINE_DAYS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import configured_families
from recsys_assets.monitoring.candidate_log import candidate_log, placed_lists
from recsys_assets.monitoring.off_policy import NoEstimateError, estimate
from recsys_assets.registry.online import OnlineDay, keep_online_day, online_day
from recsys_assets.registry.serving_versions import load_release
from resources.model_registry import RegistryError

LAST = date(2026, 2, 16)
NEXT = LAST + timedelta(days=1)
PLACES = 3


def words(show: Callable[..., None], installation: Installation, *arguments: Any) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        show(installation, console, *arguments)
    assert all(len(line) <= 120 for line in capture.get().splitlines())
    return " ".join(capture.get().split())


def shows(installation: Installation, day: date, rows: pl.DataFrame) -> None:
    """Impressions of a day; what the rows do not say is as usual."""
    usual = {
        "request_id": pl.format("r{}", pl.int_range(pl.len())),
        "shown_at": pl.lit(datetime(day.year, day.month, day.day, 3, tzinfo=UTC)),
        "surface": pl.lit("home"),
        "arm": pl.lit("default"),
    }
    full = rows.with_columns(ds=pl.lit(day), **{name: one for name, one in usual.items() if name not in rows.columns})
    missing = [name for name in IMPRESSIONS.schema if name not in full.columns]
    typed = full.with_columns(pl.lit(None).alias(name) for name in missing).select(IMPRESSIONS.schema.names())
    installation.lake.replace(IMPRESSIONS, typed.cast(dict(IMPRESSIONS.schema)), (day, day))


def some_users(installation: Installation, day: date) -> list[str]:
    store = FeatureStore(installation.platform, installation.lake, installation.engine)
    return store.history(day, 60)["user_id"].unique().sort().to_list()


def at_random(installation: Installation, requests: int, seed: int = 0) -> pl.DataFrame:
    """Lists of some eligible items at random, to users with a history; nobody clicks."""
    rng = np.random.default_rng(seed)
    store = FeatureStore(installation.platform, installation.lake, installation.engine)
    items = store.read("eligible_items", LAST)["item_id"].sort().head(8).to_list()
    users = rng.choice(some_users(installation, LAST), requests).tolist()
    rows = [
        (f"r{number}", user, item, place, 1 / len(items))
        for number, user in enumerate(users)
        for place, item in enumerate(rng.choice(items, PLACES), start=1)
    ]
    schema = ["request_id", "user_id", "item_id", "position", "propensity"]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(is_clicked=pl.lit(value=False))


def test_figures_with_real_users_stand_beside_those_of_the_report(copied: Installation, tmp_path: Path) -> None:
    users = some_users(copied, LAST)[:40]
    shows(
        copied,
        LAST,
        pl.DataFrame({"user_id": users}).with_columns(
            item_id=pl.lit("B0000001"), position=pl.lit(1), family=pl.lit("als"), version=pl.lit("1"),
            is_clicked=pl.int_range(pl.len()) < 10,
        ),
    )  # fmt: skip
    job = copied.definitions().resolve_job_def("monitor")
    tags = {f"dagster/asset_partition_range_{end}": str(LAST) for end in ("start", "end")}
    assert job.execute_in_process(instance=copied.instance, tags=tags).success

    overview = words(show_versions, copied)
    assert "CTR online" in overview
    assert " 0.2500 " in overview
    page = words(show_version, copied, "als", 1)
    assert f"With real users on {LAST} (not final), with 95 % intervals" in page
    assert "ctr 0.2500 [0." in page
    assert "impressions 40" in page
    assert "No figures with real users" in words(show_version, copied, "popularity", 1)

    registry = copied.model_registry
    first = online_day(registry.version("als", 1))
    assert first is not None
    (tmp_path / "empty").mkdir()
    second = registry.register("als", NEXT, tmp_path / "empty", tags={"training_set_version": "1"}, params={})
    keep_online_day(registry, second, OnlineDay(NEXT, is_final=True, figures={**first.figures, "ctr": 0.5}))
    differences = words(show_differences, copied, "als", 1, 2)
    assert f"Figures with real users that differ, shown on {LAST} (not final) and {NEXT}" in differences
    assert "+0.25 (+100.0%)" in differences
    assert "impressions" not in differences.split("Figures with real users")[1].split("Verdicts")[0]


def test_a_version_is_estimated_from_what_was_shown_at_random(copied: Installation) -> None:
    registry, version = copied.model_registry, copied.model_registry.version("als", 1)
    store = FeatureStore(copied.platform, copied.lake, copied.engine)
    family = configured_families(copied.platform)["als"]
    shows(copied, NEXT, at_random(copied, 600))
    with pytest.raises(NoEstimateError, match="should be 1"):  # most of what it would show was never shown
        show_estimate(copied, Console(), "als", 1, 7)

    rng, model = np.random.default_rng(1), load_release(registry, family.family, version).model
    rows = at_random(copied, 600)
    own = placed_lists(store, family, model, rows, LAST).rename({"item_id": "own"})
    is_own, clicks = rng.random(rows.height) < 0.25, rng.random(rows.height)
    mixed = rows.join(own, on=["user_id", "position"], how="left", maintain_order="left").with_columns(
        item_id=pl.when(pl.Series(is_own)).then("own").otherwise(pl.lit("other")),
        propensity=pl.Series(np.where(is_own, 0.25, 0.75)),
        is_clicked=pl.Series(clicks < np.where(is_own, 0.4, 0.1)),
    )
    shows(copied, NEXT, mixed.drop("own"))
    found = estimate(candidate_log(store, registry, family, version, 7).log)
    assert found.ips.low < 0.4 < found.ips.high
    assert found.snips.low < 0.4 < found.snips.high
    assert found.logged.high < 0.25
    printed = words(show_estimate, copied, "als", 1, 7)
    assert f"What als version 1 would get, from impressions of {NEXT} to {NEXT}" in printed
    assert f"CTR of als version 1, SNIPS {found.snips.value:.4f}" in printed


def test_what_a_version_has_seen_says_nothing_of_it(copied: Installation) -> None:
    with pytest.raises(NoEstimateError, match="and there are none"):
        show_estimate(copied, Console(), "als", 1, 7)
    shows(copied, LAST, at_random(copied, 5))
    with pytest.raises(NoEstimateError, match=f"trained on days up to {LAST}, .* the newest are of {LAST}"):
        show_estimate(copied, Console(), "als", 1, 7)
    shows(copied, NEXT, at_random(copied, 5).with_columns(propensity=pl.lit(None)))
    with pytest.raises(NoEstimateError, match="15 have no propensity, 0 name no user"):
        show_estimate(copied, Console(), "als", 1, 7)
    with pytest.raises(RegistryError, match="als has no version 9"):
        show_estimate(copied, Console(), "als", 9, 7)


def test_a_day_is_measured_by_the_command_that_does_all_that_is_due(copied: Installation, run_all: Any) -> None:
    shows(copied, LAST, at_random(copied, 5))
    assert [(one.start.job, one.start.first, one.errors) for one in run_all(copied)] == [("monitor", LAST, ())]
    assert run_all(copied) == []
    assert copied.lake.scan(ONLINE_DAYS).collect()["impressions"].to_list() == [15]
