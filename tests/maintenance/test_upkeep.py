"""The upkeep of a real lake: what goes, what stays, and what can still be read afterwards."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import (
    EXCLUSIONS,
    FINAL_RECOMMENDATIONS,
    INGESTED_FILES,
    INTERACTION_DAYS,
    TRAINING_SET,
    VIEW_DAYS,
    Table,
    recommendations_table,
)
from recsys_assets.features.materialized import stale_days
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.maintenance import upkeep
from recsys_assets.maintenance.assets import build_assets
from recsys_assets.maintenance.upkeep import keep_up, remove_left_over
from recsys_assets.platform import Platform
from resources.lake import DeltaLake

NEWEST = date(2026, 6, 30)
KEPT = 40


def day(age: int) -> date:
    return NEWEST - timedelta(days=age)


@pytest.fixture
def platform(tiny_platform: Platform) -> Platform:
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Platform.model_validate(content | {"keep_days": {"recommendations": KEPT, "features": KEPT}})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Lists and exclusions of days of which every second one is past its days, and what is kept for ever."""
    lake = DeltaLake(root=str(tmp_path / "lake"))
    days = [day(age) for age in (90, 41, 40, 39, 1, 0)]
    for ds in days:
        exclusions = (ds, "ann", ["a"], ["owned"], [], [], False)
        popular = (ds, "ann", ["a"], [1.0], "1", False)
        final = (ds, "ann", ["a"], [1.0], "default", [], ["popularity"], False, [["popularity"]], ["blend"])
        write(lake, EXCLUSIONS, [exclusions], ds)
        write(lake, VIEW_DAYS, [(ds, "exclusions", "of something"), (ds, "user_profile", "of something")], ds)
        write(lake, recommendations_table("popularity"), [popular], ds)
        write(lake, FINAL_RECOMMENDATIONS, [final], ds)
        write(lake, INTERACTION_DAYS, [(ds, "", "")], ds)
    return lake


def write(lake: DeltaLake, table: Table, rows: Sequence[tuple[object, ...]], ds: date) -> None:
    lake.replace(table, pl.DataFrame(list(rows), schema=table.schema, orient="row"), (ds, ds))


def test_days_that_need_not_be_kept_are_dropped_and_all_others_stay(lake: DeltaLake, platform: Platform) -> None:
    done = keep_up(lake, platform)
    names = ("recommendations/final", "recommendations/popularity", "features/exclusions")
    assert done.dropped == dict.fromkeys(names, 3)
    for name in names:
        assert lake.days(name) == [day(39), day(1), day(0)]
    assert lake.days(INTERACTION_DAYS.name)[0] == day(90)
    assert keep_up(lake, platform).dropped == {}


def test_a_dropped_day_is_no_stored_day_that_somebody_would_compute_again(lake: DeltaLake, platform: Platform) -> None:
    keep_up(lake, platform)
    assert sorted(stale_days(lake, platform, SNAPSHOTS)["exclusions"]) == [day(39), day(1), day(0)]
    assert len(stale_days(lake, platform, SNAPSHOTS)["user_profile"]) == 6  # that one has no rows here


def test_killed_after_any_step_the_next_upkeep_goes_on(
    lake: DeltaLake, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = DeltaLake.replace

    def dies_after_one() -> Callable[..., int]:
        done: list[int] = []

        def replaced(*arguments: Any, **options: Any) -> int:
            if done:
                raise KeyboardInterrupt
            done.append(replace(*arguments, **options))
            return done[-1]

        return replaced

    for _ in range(3):
        monkeypatch.setattr(DeltaLake, "replace", dies_after_one())
        with pytest.raises(KeyboardInterrupt):
            keep_up(lake, platform)
        recorded = lake.scan(VIEW_DAYS).filter(view="exclusions").select("ds").collect()["ds"]
        assert set(recorded) <= set(lake.days(EXCLUSIONS.name))  # no day passes for an empty one
        monkeypatch.undo()
    keep_up(lake, platform)
    assert lake.days(EXCLUSIONS.name) == lake.days(FINAL_RECOMMENDATIONS.name) == [day(39), day(1), day(0)]


def test_too_few_days_are_refused_before_anything_is_dropped(lake: DeltaLake, platform: Platform) -> None:
    wrong = platform.model_copy(update={"keep_days": {"recommendations": KEPT, "features": 3}})
    with pytest.raises(Exception, match=r"needs .* days of features/"):
        keep_up(lake, wrong)
    assert lake.days(FINAL_RECOMMENDATIONS.name)[0] == day(90)
    with pytest.raises(Exception, match=r"needs .* days of features/"):
        build_assets(wrong)


def parts(lake: DeltaLake) -> None:
    """Three small files in one partition."""
    for name in "cab":
        row = (day(0), name, "file", 1, 1, 0, 0, "", None)
        rows = pl.DataFrame([row], schema=INGESTED_FILES.schema, orient="row")
        lake.replace(INGESTED_FILES, rows, (day(0), day(0)), where={"table": name})


def test_small_files_are_put_together_and_the_rows_stay_as_they_were(lake: DeltaLake, platform: Platform) -> None:
    parts(lake)
    before = lake.scan(INGESTED_FILES).sort("table").collect()
    assert keep_up(lake, platform).compacted[INGESTED_FILES.name] == 3
    assert len(lake.files(INGESTED_FILES.name, (day(0), day(0)))) == 1
    assert lake.scan(INGESTED_FILES).sort("table").collect().equals(before)
    assert keep_up(lake, platform).compacted == {}


def test_people_do_not_get_into_the_log_by_compacting(lake: DeltaLake, platform: Platform) -> None:
    table = recommendations_table("popularity")
    for user in ("ann", "bob"):
        rows = pl.DataFrame([(day(0), user, ["a"], [1.0], user, False)], schema=table.schema, orient="row")
        lake.replace(table, rows, (day(0), day(0)), where={"version": user})
    assert keep_up(lake, platform).compacted[table.name] >= 2
    actions = pl.DataFrame(lake.table(table.name).get_add_actions(flatten=True))  # type: ignore[union-attr]
    assert not [name for name in actions.columns if "user_id" in name]


def test_files_that_nothing_has_needed_for_a_week_go_and_younger_ones_stay(
    lake: DeltaLake, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keep_up(lake, platform).removed == {}
    monkeypatch.setattr(upkeep, "UNUSED_HOURS", 0)
    assert set(keep_up(lake, platform).removed) >= {EXCLUSIONS.name, FINAL_RECOMMENDATIONS.name}
    assert lake.scan(EXCLUSIONS).collect().height == 3


def test_what_registered_models_were_trained_on_keeps_every_version_and_its_log(
    lake: DeltaLake, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "UNUSED_HOURS", 0)
    slot = date(2026, 3, 2)
    for item in "ab":
        write(lake, TRAINING_SET, [(slot, "train", "ann", item, slot, 1.0, 0)], slot)
    versions = [lake.scan(TRAINING_SET, (slot, slot), version).collect() for version in (0, 1)]
    for _ in range(2):
        keep_up(lake, platform)
    for version, rows in enumerate(versions):
        assert lake.scan(TRAINING_SET, (slot, slot), version).collect().equals(rows)
    assert lake.table(TRAINING_SET.name).metadata().configuration["delta.logRetentionDuration"]  # type: ignore[union-attr]
    assert lake.version(TRAINING_SET.name) == 2  # said once


def test_folders_of_runs_that_were_killed_go_and_no_others(tmp_path: Path) -> None:
    now = time.time()
    for name, days in {"recsys-ingest-old": 3, "recsys-lists-old": 3, "recsys-ingest-young": 1, "other": 9}.items():
        (tmp_path / name / "rows").mkdir(parents=True)
        (tmp_path / name / "rows" / "0.parquet").touch()
        for path in (tmp_path / name, tmp_path / name / "rows", tmp_path / name / "rows" / "0.parquet"):
            os.utime(path, (now - days * 86_400,) * 2)
    (tmp_path / "recsys-ingest-busy").mkdir()
    (tmp_path / "recsys-ingest-busy" / "now.parquet").touch()
    os.utime(tmp_path / "recsys-ingest-busy", (now - 9 * 86_400,) * 2)
    assert remove_left_over(tmp_path, now) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"recsys-ingest-young", "recsys-ingest-busy", "other"}


def test_the_asset_says_what_it_did(lake: DeltaLake, platform: Platform) -> None:
    result = dg.materialize(build_assets(platform), resources={"lake": lake})
    (shown,) = result.asset_materializations_for_node("maintenance__lake")
    assert shown.metadata["dropped_days"].value["recommendations/final"] == 3
    assert shown.metadata["kept_days"].value["features/exclusions"] == KEPT


def test_an_empty_lake_needs_no_upkeep(tmp_path: Path, platform: Platform) -> None:
    done = keep_up(DeltaLake(root=str(tmp_path / "none")), platform)
    assert (done.dropped, done.compacted, done.removed) == ({}, {}, {})
