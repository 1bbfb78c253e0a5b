"""What the API lands is read with whatever else has landed for the day, and by nobody else's mapping."""

from datetime import date

import pytest

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.ingestion.api_files import API_SOURCES, api_file, fed_tables
from recsys_assets.ingestion.landing_days import landed_days
from recsys_assets.jobs import build_jobs
from recsys_assets.platform import Platform
from resources.landing import LandedFile

DAY = date(2026, 1, 9)


def landed(platform: Platform, *paths: str) -> dict[str, tuple[str, ...]]:
    files = [LandedFile(path, 10, "stamp") for path in paths]
    days = landed_days(files, platform)
    return {} if DAY not in days else dict(days[DAY].paths)


def test_files_of_the_shop_and_of_the_api_feed_the_same_table(tiny_platform: Platform) -> None:
    theirs, ours = f"events/{DAY}.csv", api_file("events", DAY)
    assert ours == "api/2026-01-09.events.jsonl.gz"
    assert landed(tiny_platform, theirs, ours) == {"events": (theirs, ours)}
    assert landed(tiny_platform, ours) == {"events": (ours,)}


def test_impressions_of_the_api_are_read_where_nobody_mapped_any(tiny_platform: Platform) -> None:
    assert landed(tiny_platform, api_file("impressions", DAY)) == {"impressions": (api_file("impressions", DAY),)}


def test_a_wide_path_of_the_shop_does_not_take_in_the_files_of_the_api(tiny_platform: Platform) -> None:
    wide = tiny_platform.sources["events"].model_copy(update={"path": "*/{date}*"})
    platform = tiny_platform.model_copy(update={"sources": {**tiny_platform.sources, "events": wide}})
    ours = [api_file(table, DAY) for table in API_SOURCES]
    assert landed(platform, *ours) == {"events": (ours[0],), "impressions": (ours[1],)}


def test_a_replay_of_old_days_has_nothing_of_the_api(tiny_platform: Platform) -> None:
    replay = tiny_platform.model_copy(update={"last_day": DAY})
    assert landed(replay, api_file("events", DAY)) == {}
    assert fed_tables(replay) == list(tiny_platform.sources)
    assert fed_tables(tiny_platform) == [*tiny_platform.sources, "impressions"]


def test_ingestion_materializes_what_is_fed(tiny_platform: Platform) -> None:
    (ingest,) = [job for job in build_jobs(tiny_platform) if job.name == "ingest"]
    assert "impressions" in str(ingest.selection)


@pytest.mark.parametrize("table", list(API_SOURCES))
def test_every_column_of_the_table_is_read(table: str) -> None:
    mapping = API_SOURCES[table]
    mapping.check_columns(table)
    assert {*mapping.columns, "ds", "event_type"} >= set(SOURCE_TABLES[table].schema)
