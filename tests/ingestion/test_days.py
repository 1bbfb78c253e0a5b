"""Which path belongs to which day."""

from datetime import date

import pytest

from recsys_assets.ingestion.days import files_by_day
from recsys_assets.mapping import SourceMapping


def mapping_of(path: str) -> SourceMapping:
    return SourceMapping.model_validate({"path": path, "columns": {}})


def test_files_are_sorted_by_day_and_name() -> None:
    paths = [
        "b/2026-01-06.csv",
        "a/2026-01-06.csv",
        "a/2026-01-05.csv",
        "a/2026-01-05.csv.gz",
        "a/readme.csv",
    ]
    assert list(files_by_day(paths, mapping_of("*/{date}.csv")).items()) == [
        (date(2026, 1, 5), ["a/2026-01-05.csv"]),
        (date(2026, 1, 6), ["a/2026-01-06.csv", "b/2026-01-06.csv"]),
    ]


def test_a_day_that_does_not_exist_is_ignored() -> None:
    assert files_by_day(["2011-02-31.csv", "2011-13-01.csv", "0000-01-01.csv"], mapping_of("{date}.csv")) == {}


@pytest.mark.parametrize(
    "path",
    ["x/y/2026-01-05.csv", "2026-01-05.csv", "x/2026-01-05.csv.tmp", "x/2026-01-05xcsv", "x/12026-01-05.csv"],
)
def test_a_template_matches_whole_paths_and_a_star_stays_in_its_folder(path: str) -> None:
    assert files_by_day([path], mapping_of("*/{date}.csv")) == {}


def test_several_files_make_one_day() -> None:
    paths = ["dt=2026-01-05/part-1.parquet", "dt=2026-01-05/part-0.parquet"]
    assert files_by_day(paths, mapping_of("dt={date}/part-*.parquet")) == {date(2026, 1, 5): sorted(paths)}
