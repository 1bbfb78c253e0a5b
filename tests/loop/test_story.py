"""The closed loop: readers respond to what is published, a bad model gets in, and the guardrail takes it back."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.run import run_to_fixed_point
from recsys_assets.cli.story import Plot, Readers, days_of_family, tell_story
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform
from recsys_assets.registry.decision import GUARDRAIL
from recsys_assets.registry.promotions import Decided, read_decisions
from recsys_assets.simulation import StoreParameters, simulate
from resources import embedded_valkey
from resources.settings import Settings

FIRST_DAY, LAST_DAY = date(2026, 1, 5), date(2026, 2, 15)
PARAMETERS = StoreParameters(first_day=FIRST_DAY, days=42, users=400, items=300, bots=1)


def small_store() -> Platform:
    content = load_platform(BUNDLED_CONFIG).model_dump(mode="json", by_alias=True, exclude_none=True)
    content |= {"first_day": str(FIRST_DAY), "last_day": str(LAST_DAY)}
    for family in content["families"].values():
        family["gate"] |= {"min_holdout_users": 20}
    content["families"]["als"]["parameters"]["factors"] = 16
    content["guardrails"]["als"] |= {"min_impressions": 200, "min_users": 20}
    return Platform.model_validate(content)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Plot]]:
    """The twelve days, lived through day by day by what `recsys run` does."""
    home: Path = tmp_path_factory.mktemp("story")
    settings = Settings(home=home, lake=str(home / "lake"), landing=str(home / "landing"))
    installation = Installation(settings, small_store())
    plot = Plot.of(installation.platform)
    live_through(installation, plot)
    yield installation, plot
    embedded_valkey.stop(home / "valkey")
    installation.instance.dispose()


def live_through(installation: Installation, plot: Plot) -> None:
    readers = Readers(installation, plot)

    def on_day(day: date) -> None:
        if readers.is_shown_lists_after(day):
            readers.live(day)

    simulate(PARAMETERS, Path(installation.settings.landing), on_day, readers.lists_of)


def decisions(installation: Installation) -> list[Decided]:
    """On ALS, the oldest first."""
    return list(read_decisions(installation.instance, "als"))[::-1]


def test_the_guardrail_takes_the_bad_model_back_and_the_readers_come_back(lived: tuple[Installation, Plot]) -> None:
    installation, plot = lived
    (rollback,) = (one for one in decisions(installation) if one.kind == "rollback")
    assert rollback.by == GUARDRAIL
    assert "ctr" in rollback.reason
    approved = {one.version: one for one in decisions(installation) if one.kind == "promotion"}
    bad, good = approved[rollback.previous], approved[rollback.version]
    assert date.fromisoformat(bad.as_of) == plot.mistake
    assert good.as_of < bad.as_of
    assert plot.mistake < date.fromisoformat(rollback.as_of) <= plot.mistake + timedelta(days=4)

    days = days_of_family(installation.lake, plot).with_columns(is_bad=pl.col("version") == str(bad.version))
    by_version = {is_bad: rows["ctr"].mean() for (is_bad,), rows in days.group_by("is_bad")}
    assert by_version[True] < 0.6 * by_version[False]
    after = days.filter(pl.col("ds") > date.fromisoformat(rollback.as_of))
    assert after["version"].unique().to_list() == [str(good.version)]
    assert after["ctr"].mean() > 0.8 * by_version[False]


def test_what_was_taken_back_is_rejected_and_its_successors_wait_for_a_person(
    lived: tuple[Installation, Plot],
) -> None:
    installation, _ = lived
    (rollback,) = (one for one in decisions(installation) if one.kind == "rollback")
    versions = {one.version: one for one in installation.model_registry.versions("als")}
    assert installation.model_registry.approved("als") == versions[rollback.version]
    assert versions[rollback.previous].status == "Rejected"
    later = [one for one in versions.values() if one.version > rollback.previous]
    assert len(later) >= 2  # one while the version in use was in question, the others during the cool-down
    assert {one.status for one in later} <= {"PendingManualApproval", "Rejected"}
    assert later[-1].status == "PendingManualApproval" or later[0].status == "PendingManualApproval"


def test_the_story_is_told_from_what_was_measured_and_decided(lived: tuple[Installation, Plot]) -> None:
    installation, plot = lived
    console = Console(width=160)
    with console.capture() as capture:
        tell_story(installation, plot, console)
    told = capture.get()
    assert "the guardrail went back to version" in told
    assert f"{plot.last:%d %b}" in told
    assert (installation.settings.home / "story.png").stat().st_size > 10_000


def test_living_the_same_days_again_changes_nothing(lived: tuple[Installation, Plot]) -> None:
    installation, plot = lived
    before = decisions(installation)
    files = {path: path.read_bytes() for path in Path(installation.settings.landing).rglob("*.*")}
    live_through(installation, plot)
    assert run_to_fixed_point(installation)
    assert decisions(installation) == before
    assert {path: path.read_bytes() for path in Path(installation.settings.landing).rglob("*.*")} == files
