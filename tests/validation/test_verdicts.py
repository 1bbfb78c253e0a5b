"""Stored verdicts, on a real lake: approval believes what is written for the very version, and nothing else."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.columns import VERDICTS
from recsys_assets.validation.gate import Verdict, candidate_checks, required_checks
from recsys_assets.validation.verdicts import check_results, check_specs, objections, store_verdicts, stored_verdicts
from resources.lake import DeltaLake
from resources.model_registry import ModelVersion

VERSION = ModelVersion(
    family="als",
    version=7,
    run_id="run",
    status="PendingManualApproval",
    status_reason="",
    slot=date(2026, 3, 2),
    tags={},
    created_at=datetime(2026, 3, 2, tzinfo=UTC),
)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(root=str(tmp_path))


def verdict(check: str, *, passed: bool = True, actual: float | None = 0.25) -> Verdict:
    return Verdict(check, actual, 0.125, passed, f"{check} in words")


def passing(family: str = "als") -> list[Verdict]:
    return [verdict(check) for check in sorted(required_checks(family))]


def test_verdicts_come_back_as_they_were_stored(lake: DeltaLake) -> None:
    stored = [replace(verdict("a"), smallest_detectable_drop=0.07), verdict("b", passed=False, actual=None)]
    store_verdicts(lake, VERSION, "recipe", "candidate", stored)
    assert stored_verdicts(lake, VERSION) == stored


def test_a_lake_without_verdicts_has_none(lake: DeltaLake) -> None:
    assert stored_verdicts(lake, VERSION) == []


def test_storing_again_replaces_the_stage_and_leaves_the_other_stage(lake: DeltaLake) -> None:
    store_verdicts(lake, VERSION, "recipe", "release", [verdict("r")])
    store_verdicts(lake, VERSION, "recipe", "candidate", [verdict("a"), verdict("b")])
    store_verdicts(lake, VERSION, "recipe", "candidate", [verdict("a", passed=False)])
    assert stored_verdicts(lake, VERSION) == [verdict("a", passed=False), verdict("r")]


def test_storing_the_same_verdicts_twice_changes_nothing(lake: DeltaLake) -> None:
    for _ in range(2):
        store_verdicts(lake, VERSION, "recipe", "candidate", passing())
    assert lake.scan(VERDICTS).collect().height == len(passing())


@pytest.mark.parametrize(
    "other",
    [replace(VERSION, version=70), replace(VERSION, family="ease"), replace(VERSION, slot=date(2026, 3, 4))],
    ids=["version", "family", "slot"],
)
def test_the_verdicts_of_others_are_neither_read_nor_replaced(lake: DeltaLake, other: ModelVersion) -> None:
    store_verdicts(lake, VERSION, "recipe", "candidate", [verdict("mine")])
    store_verdicts(lake, other, "recipe", "candidate", [verdict("theirs")])
    store_verdicts(lake, VERSION, "recipe", "candidate", [verdict("mine again")])
    assert [one.check for one in stored_verdicts(lake, VERSION)] == ["mine again"]
    assert [one.check for one in stored_verdicts(lake, other)] == ["theirs"]


def test_nothing_stands_against_a_version_that_passed_every_check() -> None:
    assert objections("als", passing()) == []


def test_a_failed_verdict_is_an_objection_in_its_own_words() -> None:
    verdicts = [replace(one, passed=one.check != "ndcg_above_floor") for one in passing()]
    assert objections("als", verdicts) == ["ndcg_above_floor: ndcg_above_floor in words"]


@pytest.mark.parametrize("missing", sorted(required_checks("als")))
def test_a_missing_verdict_is_an_objection(missing: str) -> None:
    verdicts = [one for one in passing() if one.check != missing]
    assert objections("als", verdicts) == [f"{missing}: there is no stored verdict"]


def test_a_version_that_was_never_judged_has_an_objection_for_every_check() -> None:
    assert len(objections("als", [])) == len(required_checks("als"))


def test_a_release_is_asked_for_the_checks_of_its_candidate_only() -> None:
    judged = [verdict(check) for check in candidate_checks("als")]
    assert objections("als", judged, set(candidate_checks("als"))) == []
    assert objections("als", judged) != []


def test_a_check_that_is_no_longer_asked_for_does_not_stand_against_a_version() -> None:
    assert objections("als", [*passing(), verdict("abolished", passed=False)]) == []
    assert objections("popularity", [*passing("popularity"), verdict("beats_popularity", passed=False)]) == []


def test_verdicts_of_an_older_release_are_read_and_those_that_it_did_not_know_are_missing(lake: DeltaLake) -> None:
    known = [verdict(check) for check in sorted(required_checks("als")) if check != "ndcg_not_below_approved"]
    store_verdicts(lake, VERSION, "recipe", "candidate", known)
    rows = lake.scan(VERDICTS).collect().drop("smallest_detectable_drop")
    shutil.rmtree(lake.uri(VERDICTS.name))
    rows.write_delta(lake.uri(VERDICTS.name), delta_write_options={"partition_by": ["ds"]})
    assert stored_verdicts(lake, VERSION) == known
    assert objections("als", stored_verdicts(lake, VERSION)) == ["ndcg_not_below_approved: there is no stored verdict"]
    store_verdicts(lake, VERSION, "recipe", "release", [verdict("later")])
    assert len(stored_verdicts(lake, VERSION)) == len(known) + 1


def test_checks_block_and_show_actual_threshold_and_smallest_detectable_drop() -> None:
    key = dg.AssetKey(["validation", "als"])
    assert all(spec.blocking for spec in check_specs(key, candidate_checks("als")))
    failed = replace(verdict("ndcg_above_floor", passed=False), smallest_detectable_drop=0.07)
    (result,) = check_results(key, [failed])
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    shown = {name: entry.value for name, entry in result.metadata.items()}
    assert shown == {"actual": 0.25, "threshold": 0.125, "smallest_detectable_drop": 0.07}


def test_a_verdict_that_could_not_be_measured_can_still_be_shown() -> None:
    (result,) = check_results(dg.AssetKey("any"), [verdict("a", passed=False, actual=None)])
    assert result.metadata["actual"].value is None
