"""Which approved versions a candidate is compared with, in a real registry and on a real lake."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import report_table
from recsys_assets.models import popularity
from recsys_assets.models.artifact import ARRAYS, MANIFEST, Artifact, Provenance, save
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.platform import FamilySettings
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.report import change_to, report_metrics
from recsys_assets.validation.rivals import CANDIDATE_THROUGH, Rivals, rivals_of
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion, Status

SLOT = date(2026, 3, 30)
WINDOW = SlotWindow(SLOT, first=date(2026, 1, 1), holdout=date(2026, 3, 23), last=date(2026, 3, 29))
ONE_WEEK = timedelta(days=7)
Breaks = Callable[[Path], object]


@dataclass(frozen=True)
class Versions:
    """The versions of one family."""

    registry: ModelRegistry
    lake: DeltaLake
    family: ConfiguredFamily
    folder: Path

    def add(
        self,
        slot: date,
        *,
        status: Status = "Approved",
        through: date | None = None,
        gain: float | None = None,
        breaks: Breaks | None = None,
    ) -> ModelVersion:
        """Register a version, with what its report said against popularity; its artifact may be broken first."""
        through = slot - timedelta(days=8) if through is None else through
        model = PopularityModel(pl.Series("item_id", ["a"]), PopularityParameters(), np.ones(1, np.float32))
        folder = self.folder / f"{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        save(Artifact(model, Provenance(slot, through, 0, 0, "", "")), self.family.family, folder)
        if breaks is not None:
            breaks(folder)
        version = self.registry.register(self.family.name, slot, folder, tags={}, params={})
        self.registry.set_status(version, status, "")
        if gain is not None:
            table = report_table(self.family.name, report_metrics())
            row = {"ds": slot, "version": str(version.version), "holdout_users": 9, change_to("popularity"): gain}
            nulls = dict.fromkeys(name for name in table.schema.names() if name not in row)
            self.lake.replace(
                table, pl.DataFrame([{**row, **nulls}], schema=table.schema), (slot, slot), {"version": row["version"]}
            )
        return version

    def use(self, version: ModelVersion) -> ModelVersion:
        self.registry.point_approved_at(version)
        return version

    def rivals(self, judged: ModelVersion | None = None) -> Rivals:
        judged = self.add(SLOT, status="PendingManualApproval") if judged is None else judged
        return rivals_of(self.registry, self.lake, self.family, judged, WINDOW)

    def compared(self) -> dict[str, int]:
        return {name: rival.version for name, rival in self.rivals().by_name().items()}


@pytest.fixture
def versions(model_registry: ModelRegistry, family: str, tmp_path: Path) -> Versions:
    configured = ConfiguredFamily(
        replace(popularity.FAMILY, name=family), FamilySettings(history_days=90), PopularityParameters()
    )
    (tmp_path / "artifacts").mkdir()
    return Versions(model_registry, DeltaLake(root=str(tmp_path / "lake")), configured, tmp_path / "artifacts")


def test_the_first_candidate_has_nothing_to_be_compared_with(versions: Versions) -> None:
    versions.add(SLOT - ONE_WEEK, status="Rejected")
    versions.add(SLOT - ONE_WEEK, status="PendingManualApproval")
    assert versions.compared() == {}


def test_a_candidate_is_compared_with_the_candidate_of_the_version_in_use(versions: Versions) -> None:
    in_use = versions.use(versions.add(SLOT - ONE_WEEK))
    versions.add(SLOT - timedelta(days=2))  # newer, approved once, and not in use
    rival = versions.rivals().approved
    assert rival is not None
    assert (rival.version, rival.ranked_days) == (in_use.version, 90)
    assert rival.artifact is not None
    assert rival.artifact.provenance.trained_through == SLOT - ONE_WEEK - timedelta(days=8)
    assert rival.who == f"version {in_use.version} of slot 2026-03-23 (in use)"


def test_a_version_is_not_compared_with_itself(versions: Versions) -> None:
    in_use = versions.use(versions.add(SLOT, gain=1.0))
    assert versions.rivals(in_use).by_name() == {}


def test_a_version_of_the_same_slot_is_a_rival_because_it_has_not_seen_the_holdout_either(versions: Versions) -> None:
    in_use = versions.use(versions.add(SLOT, through=WINDOW.candidate_through))
    assert versions.compared() == {"approved": in_use.version}


@pytest.mark.parametrize("is_tagged", [True, False], ids=["known by its tag", "known by its artifact"])
def test_a_version_that_has_seen_the_holdout_makes_way_for_the_newest_that_has_not(
    versions: Versions, *, is_tagged: bool
) -> None:
    older, newest_unaware = versions.add(SLOT - 3 * ONE_WEEK), versions.add(SLOT - 2 * ONE_WEEK)
    in_use = versions.use(versions.add(SLOT + ONE_WEEK, through=WINDOW.holdout))
    if is_tagged:
        versions.registry.set_tags(in_use, {CANDIDATE_THROUGH: str(WINDOW.holdout)})
    assert older.version != versions.compared()["approved"] == newest_unaware.version


def test_where_every_version_has_seen_the_holdout_there_is_nothing_to_compare(versions: Versions) -> None:
    versions.use(versions.add(SLOT + ONE_WEEK, through=WINDOW.last, gain=1.0))
    assert versions.compared() == {}


def overwrite(folder: Path) -> None:
    (folder / ARRAYS).write_bytes(b"not what was written")


def change_manifest(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps({**manifest, "item_ids": ["b", "a"]}), encoding="utf-8")


def remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize("breaks", [overwrite, change_manifest, remove])
def test_a_damaged_version_in_use_is_not_passed_over_and_says_what_to_do(versions: Versions, breaks: Breaks) -> None:
    versions.add(SLOT - 2 * ONE_WEEK)
    in_use = versions.use(versions.add(SLOT - ONE_WEEK, breaks=breaks))
    rival = versions.rivals().approved
    assert rival is not None
    assert (rival.version, rival.artifact) == (in_use.version, None)
    assert "put another version in use" in rival.problem


def test_a_damaged_version_that_does_not_serve_is_passed_over(versions: Versions) -> None:
    intact = versions.add(SLOT - 3 * ONE_WEEK, gain=0.1)
    versions.add(SLOT - 2 * ONE_WEEK, gain=0.9, breaks=overwrite)
    versions.use(versions.add(SLOT + ONE_WEEK, through=WINDOW.last))
    assert versions.compared() == {"approved": intact.version}


def test_against_a_slow_decline_the_best_version_of_late_is_a_rival_too(versions: Versions) -> None:
    versions.add(SLOT - 3 * ONE_WEEK, gain=0.3)
    best = versions.add(SLOT - 2 * ONE_WEEK, gain=0.5)
    versions.add(SLOT - 2 * ONE_WEEK, gain=0.9, status="Rejected")
    in_use = versions.use(versions.add(SLOT - ONE_WEEK, gain=0.2))
    assert versions.compared() == {"approved": in_use.version, "best": best.version}


def test_the_best_version_is_compared_once_when_it_is_the_one_in_use(versions: Versions) -> None:
    versions.add(SLOT - 2 * ONE_WEEK, gain=0.1)
    in_use = versions.use(versions.add(SLOT - ONE_WEEK, gain=0.2))
    assert versions.compared() == {"approved": in_use.version}


def test_of_late_is_28_days_and_a_version_whose_report_compared_nothing_was_not_the_best(versions: Versions) -> None:
    versions.add(SLOT - timedelta(days=29), gain=0.9)
    on_the_edge = versions.add(SLOT - timedelta(days=28), gain=0.5)
    versions.add(SLOT - ONE_WEEK)
    in_use = versions.use(versions.add(SLOT - ONE_WEEK))
    assert versions.compared() == {"approved": in_use.version, "best": on_the_edge.version}


def test_the_best_version_must_not_have_seen_the_holdout(versions: Versions) -> None:
    versions.add(SLOT, through=WINDOW.last, gain=0.9)
    second = versions.add(SLOT - 2 * ONE_WEEK, gain=0.5)
    in_use = versions.use(versions.add(SLOT - ONE_WEEK, gain=0.2))
    assert versions.compared() == {"approved": in_use.version, "best": second.version}
