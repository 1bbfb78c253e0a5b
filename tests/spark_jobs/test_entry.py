"""The program of a job in earnest: PySpark's `spark-submit` runs it from the bundle's package, and it talks by Pipes.

One job ingests three days and one folds them; everything is compared with the same runs on this machine.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from deltalake import write_deltalake
from polars.testing import assert_frame_equal

from recsys_assets.columns import EVENTS, INGESTED_FILES, INTERACTIONS, ITEMS, REJECTED_ROWS, USERS, Table
from recsys_assets.definitions import build_definitions
from recsys_assets.platform import Platform
from recsys_assets.spark_jobs.entry import UnfitSparkError, require_spark
from resources.lake import DeltaLake
from resources.settings import Settings
from resources.spark_jobs import SparkJobs
from resources.wiring import build_resources
from sensors.failures import failures_of

DAYS = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-01-03"}
INGESTED = (EVENTS, ITEMS, REJECTED_ROWS)
WRITTEN = (*INGESTED, INGESTED_FILES, INTERACTIONS)
OF_THE_PLACE = {"computed_by", "dagster/uri"}
Submit = Callable[..., SparkJobs]
pytestmark = [pytest.mark.timeout(900)]  # the first test waits for two runs here and two jobs


@dataclass(frozen=True)
class Home:
    """Where something is computed, and what has happened there."""

    lake: DeltaLake
    definitions: dg.Definitions
    resources: dict[str, Any]

    def run(self, *tables: Table) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [one for one in self.definitions.assets or () if isinstance(one, dg.AssetsDefinition | dg.AssetSpec)],
            selection=[dg.AssetKey(table.key) for table in tables],
            resources=self.resources,
            tags=DAYS,
            raise_on_error=False,
        )


def home(folder: Path, landing: Path, platform: Platform, submit: Callable[..., SparkJobs] | None) -> Home:
    """An installation in a folder; with `submit` its groups are computed by jobs."""
    places = {"RECSYS_LAKE": str(folder / "lake"), "RECSYS_LANDING": str(landing)}
    resources = build_resources(Settings.from_env({**places, "RECSYS_HOME": str(folder)}), platform.engine)
    if submit is not None:
        resources["spark_jobs"] = submit({**places, "RECSYS_ENGINE": "spark"})
    return Home(resources["lake"], build_definitions(platform, resources), resources)


@dataclass(frozen=True)
class Done:
    """A home in which three days were ingested and folded, and the two runs."""

    home: Home
    ingestion: dg.ExecuteInProcessResult
    folding: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
    shop: Path,
    shop_platform: Platform,
    local_submit: Submit,
    unpack: Callable[[], Path],
) -> tuple[Done, Done]:
    """The same on this machine and by jobs."""
    package = unpack()
    done = []
    for submit in (None, lambda places: local_submit(places, package)):
        place = home(tmp_path_factory.mktemp("home"), shop / "landing", shop_platform, submit)
        done.append(Done(place, place.run(*INGESTED), place.run(INTERACTIONS)))
    return done[0], done[1]


def materializations(result: dg.ExecuteInProcessResult) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Asset, partition and metadata of each, without what differs from place to place."""
    events = [event.materialization for event in result.get_asset_materialization_events()]
    return [
        (
            event.asset_key.to_user_string(),
            event.partition,
            {name: value for name, value in event.metadata.items() if name not in OF_THE_PLACE},
        )
        for event in events
    ]


def evaluations(result: dg.ExecuteInProcessResult) -> list[tuple[Any, ...]]:
    return [
        (one.asset_key, one.check_name, one.passed, one.severity, one.blocking, one.description, dict(one.metadata))
        for one in result.get_asset_check_evaluations()
    ]


def stored(lake: DeltaLake, table: Table) -> pl.DataFrame:
    return lake.scan(table).collect()


def test_a_job_writes_the_tables_that_this_machine_writes(both: tuple[Done, Done]) -> None:
    here, there = both
    assert there.ingestion.success
    assert there.folding.success
    for table in WRITTEN:
        found, expected = stored(there.home.lake, table), stored(here.home.lake, table)
        assert not expected.is_empty()
        assert_frame_equal(found, expected, check_row_order=False)
    assert stored(there.home.lake, REJECTED_ROWS)["reason"].value_counts().height == 2


def test_every_event_comes_back_as_if_it_had_happened_here(both: tuple[Done, Done]) -> None:
    here, there = both
    for mine, theirs in ((here.ingestion, there.ingestion), (here.folding, there.folding)):
        assert materializations(theirs) == materializations(mine)
        assert evaluations(theirs) == evaluations(mine)
    computed_by = {
        event.materialization.metadata["computed_by"].value
        for event in there.folding.get_asset_materialization_events()
    }
    assert computed_by == {"spark-submit"}
    assert len(materializations(there.folding)) == 3  # one for each day
    assert all(description for *_, description, _ in evaluations(there.folding))


def test_only_the_selected_tables_are_asked_for(both: tuple[Done, Done]) -> None:
    assert {key for key, *_ in materializations(both[1].ingestion)} == {table.name for table in INGESTED}
    assert both[1].home.lake.table(USERS.name) is None


def test_a_blocking_check_that_fails_in_a_job_blocks_and_says_the_same(
    both: tuple[Done, Done], tmp_path: Path, shop: Path, shop_platform: Platform, local_submit: Submit, unpack: Any
) -> None:
    results, kept = [], []
    for done, submit in zip(both, (None, lambda places: local_submit(places, unpack())), strict=True):
        folder = tmp_path / ("here" if submit is None else "there")
        shutil.copytree(done.home.lake.root, folder / "lake")
        place = home(folder, shop / "landing", shop_platform, submit)
        spoil(place.lake)
        before = stored(place.lake, INTERACTIONS)
        results.append(place.run(INTERACTIONS))
        kept.append(stored(place.lake, INTERACTIONS).equals(before))
    here, there = results
    assert kept == [True, True]
    assert not there.success
    assert evaluations(there) == evaluations(here)
    assert [name for _, name, passed, *_ in evaluations(there) if not passed] == ["keys_are_complete"]
    assert failures_of(there.all_events) == failures_of(here.all_events)
    assert not there.get_asset_materialization_events()
    failure = next(event for event in there.all_events if event.is_step_failure)
    assert "is left as it was" in failure.step_failure_data.error_display_string
    assert "spark-submit for features/interactions 2026-01-01..2026-01-03" in str(failure.step_failure_data.error)


def spoil(lake: DeltaLake) -> None:
    """An event of nobody, as only a damaged lake can hold it."""
    row = stored(lake, EVENTS).head(1).with_columns(user_id=pl.lit(None, pl.String))
    write_deltalake(lake.uri(EVENTS.name), row.to_arrow(), mode="append")


def test_a_bundle_of_other_code_is_refused_before_anything_is_computed(
    tmp_path: Path, shop: Path, shop_platform: Platform, local_submit: Submit, unpack: Callable[[], Path]
) -> None:
    other = unpack()
    with (other / "recsys_assets" / "platform.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    place = home(tmp_path, shop / "landing", shop_platform, lambda places: local_submit(places, other))
    result = place.run(*INGESTED)
    assert not result.success
    ((_, words),) = failures_of(result.all_events).errors
    assert "make the bundle again" in words
    assert not Path(place.lake.root).exists()


@pytest.mark.parametrize("version", ["4.0.1", "4.3.0", "10.0.0.dev1"])
def test_a_spark_that_can_do_what_is_asked_is_taken(version: str) -> None:
    require_spark(version)


def test_a_spark_that_is_too_old_is_refused_with_a_release_that_is_not() -> None:
    with pytest.raises(
        UnfitSparkError, match=r"need Spark 4 or newer, and this is 3\.5\.6; .* such as emr-spark-8\.0\.0"
    ):
        require_spark("3.5.6")
