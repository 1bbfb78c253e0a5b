"""`recsys models` on an installation with two versions of a model: the overview, a page, and what differs."""

from collections.abc import Callable

import polars as pl
import pytest
from rich.console import Console

from recsys_assets.cli.decisions_table import decisions_table
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.model_diff import show_differences
from recsys_assets.cli.model_page import show_version
from recsys_assets.cli.models import show_versions
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.promotions import approved_key, read_decisions
from recsys_assets.registry.side_by_side import SHOWN_USERS, spread

SLOT = "2026-02-18"
Shown = Callable[..., str]


def shown(show: Callable[..., None], *arguments: object) -> str:
    """What is printed, 120 columns wide."""
    console = Console(width=120)
    with console.capture() as capture:
        show(*arguments[:1], console, *arguments[1:])
    assert all(len(line) <= 120 for line in capture.get().splitlines())
    return capture.get()


def decide(installation: Installation, **asked: object) -> None:
    installation.definitions().resolve_job_def("decide").execute_in_process(
        instance=installation.instance,
        asset_selection=[approved_key("als")],
        run_config=decision_config("als", **asked),
    )


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def twice(copied: Installation) -> Installation:
    """Version 2 of ALS with other hyper-parameters waits, because approval is manual now."""
    content = copied.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"]["parameters"]["factors"] = 4
    content["families"]["als"]["gate"]["max_ndcg_drop"] = 1.0
    content["families"]["als"]["approval"] = "manual"
    changed = Installation(copied.settings, type(copied.platform).model_validate(content))
    job = changed.definitions().resolve_job_def("train")
    assert job.execute_in_process(instance=changed.instance, partition_key=SLOT).success
    return changed


def test_the_whole_story_of_two_versions(twice: Installation) -> None:
    overview = words(shown(show_versions, twice))
    assert "Waiting (recsys approve FAMILY VERSION --reason WHY)" in overview
    assert "released, waits for approval" in overview

    differences = shown(show_differences, twice, "als", 1, 2)
    assert "parameters factors 16 4" in words(differences)
    assert "the same in both: features" in words(differences)
    assert "regularization" not in differences
    assert differences.count("User U") == SHOWN_USERS
    assert "ndcg_at_10 " in differences
    assert "on average, over 4" in words(differences)
    assert differences == shown(show_differences, twice, "als", 1, 2)
    itself = shown(show_differences, twice, "als", 2, 2)
    assert "In common of the first 50 items: 100% on average" in words(itself)
    assert "Figures that differ" not in itself

    decide(twice, version=2, reason="fewer factors will do", by="ada")
    overview = words(shown(show_versions, twice))
    assert "In production before (recsys rollback FAMILY --to VERSION --reason WHY)" in overview
    decide(twice, decision="rollback", reason="too few after all", by="bob")
    page = words(shown(show_version, twice, "als", 2))
    assert "status Rejected: rolled back to version 1: too few after all in production no" in page
    assert "by ada" in page
    assert "factors 4" in page
    assert "release_overlaps_candidate yes" in page
    assert "rollback 1 2 bob too few after all" in page
    assert "in production since 20" in words(shown(show_version, twice, "als", 1))

    overview = words(shown(show_versions, twice, "als"))
    assert "Refused" in overview
    assert "rolled back to version 1: too few after all" in overview
    assert "popularity" not in overview


def test_a_damaged_artifact_is_said_and_everything_else_is_shown(twice: Installation) -> None:
    registry = twice.model_registry
    with registry.artifact(registry.version("als", 2), "release") as folder:
        (folder / "arrays.npz").write_bytes(b"flipped")
        registry.add_artifact(registry.version("als", 2), folder, "release")
    differences = words(shown(show_differences, twice, "als", 1, 2))
    assert "parameters factors 16 4" in differences
    assert "No lists to compare: als version 2, release: the als artifact has arrays that are not those" in differences
    assert "User U" not in differences
    assert "artifact als version 2, release: the als artifact has arrays" in words(shown(show_version, twice, "als", 2))


def test_decisions_are_listed_newest_first_with_who_and_why(finished: Installation) -> None:
    found = [("als", one) for one in read_decisions(finished.instance, "als")]
    console = Console(width=120)
    with console.capture() as capture:
        console.print(decisions_table("Decisions", found))
    assert "als promotion 1 none the gate passed every check of the gate" in words(capture.get())


def test_users_are_spread_evenly_and_always_the_same() -> None:
    users = pl.Series("user_id", [f"U{number:03}" for number in range(95)])
    chosen = spread(users, 10)
    assert chosen.to_list() == ["U000", "U009", "U019", "U028", "U038", "U047", "U057", "U066", "U076", "U085"]
    assert spread(users[:3], 10).to_list() == ["U000", "U001", "U002"]
    assert spread(users[:0], 10).is_empty()
