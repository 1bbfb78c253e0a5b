"""What S3 and networks do to a commit and to a reader: the table holds the old rows or the new ones, each once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from faulty_proxy import Asked, Fault, FaultyProxy, no_faults, once

from recsys_assets.columns import Column, Table
from resources.at_rest import arrow_schema
from resources.lake import DeltaLake, LakeError
from resources.landing import LandingError
from resources.settings import Settings
from resources.staged import StagedFile, StagedRows, Where
from resources.staged_files import TableFolder, write_files
from resources.wiring import build_landing

SALES = Table(
    ("shop", "sales"),
    "What was sold.",
    (
        Column("ds", pl.Date, "the day"),
        Column("shelf", pl.String, "where it stood"),
        Column("pieces", pl.Int64, "how many"),
    ),
)
STORMS = [Fault.SLOW_DOWN, Fault.RESET_BEFORE, Fault.RESET_AFTER]
PASSING = [fault for fault in Fault if fault is not Fault.SLOW]


def day(number: int) -> date:
    return date(2026, 1, number)


def sales(*rows: tuple[int, str, int]) -> pl.DataFrame:
    return pl.DataFrame([(day(ds), *rest) for ds, *rest in rows], schema=SALES.schema, orient="row")


def stored(lake: DeltaLake) -> list[tuple[int, str, int]]:
    return sorted((ds.day, shelf, pieces) for ds, shelf, pieces in lake.scan(SALES).collect().iter_rows())


@dataclass(frozen=True)
class RowsOfHere(StagedRows):
    """Rows that this process has staged, by what Spark's tasks stage them with."""

    def frame(self) -> pl.DataFrame:
        raise NotImplementedError

    def staying(self, paths: Sequence[str], where: Where) -> list[StagedFile]:
        raise NotImplementedError


def stage(lake: DeltaLake, rows: pl.DataFrame, url: str) -> RowsOfHere:
    """Past the proxy: the writer holds the interpreter's lock, which the proxy of this process needs."""
    past = {**lake.addresses, "endpoint_url": url}
    folder = TableFolder(lake.uri(SALES.name), arrow_schema(SALES.schema), addresses=past)
    return RowsOfHere(list(write_files(rows.to_arrow().cast(folder.schema).to_batches(), folder)))


def is_commit(asked: Asked) -> bool:
    return asked.is_conditional


def is_put(asked: Asked) -> bool:
    return asked.method == "PUT"


def is_read(asked: Asked) -> bool:
    return asked.method == "GET"


def always(is_it: Callable[[Asked], bool], fault: Fault) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if is_it(asked) else None


@pytest.fixture
def lake(bucket: Any) -> DeltaLake:
    return DeltaLake(root=f"s3://{bucket.name}/lake")


@pytest.fixture
def is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm outlasts every client after two attempts, so that it need not be long."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_commit_that_meets_a_fault_puts_every_row_into_the_table_once(
    lake: DeltaLake, proxy: FaultyProxy, fault: Fault
) -> None:
    for rows, expected in (
        (sales((1, "a", 1)), [(1, "a", 1)]),  # it makes the table
        (sales((1, "a", 2), (1, "b", 3)), [(1, "a", 2), (1, "b", 3)]),  # it replaces rows
        (sales((2, "a", 4)), [(1, "a", 2), (1, "b", 3), (2, "a", 4)]),  # it adds to a day that was empty
    ):
        proxy.plan = once(is_commit, fault)
        lake.replace(SALES, rows, (rows["ds"].min(), rows["ds"].max()))  # type: ignore[arg-type]
        proxy.plan = no_faults
        assert stored(lake) == expected
    assert proxy.met()[fault] == 3


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.RESET_AFTER], ids=lambda fault: fault.name)
def test_a_commit_that_was_done_and_told_to_have_failed_replaces_itself_among_the_rows_of_others(
    lake: DeltaLake, proxy: FaultyProxy, fault: Fault
) -> None:
    lake.replace(SALES, sales((1, "a", 1), (1, "b", 2)), (day(1), day(1)))
    proxy.plan = once(is_commit, fault)
    lake.replace(SALES, sales((1, "a", 7)), (day(1), day(1)), {"shelf": "a"})
    assert stored(lake) == [(1, "a", 7), (1, "b", 2)]
    told = [one.status for one in proxy.log if one.asked.is_conditional]
    # Done. Where the client asks again by itself, it finds its own file. Then it is done once more, as a new version.
    assert told[1:] == ([200, 412, 200] if fault is Fault.ERROR_AFTER else [200, 200])


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_the_commit_of_what_tasks_have_staged_is_no_different(
    lake: DeltaLake, proxy: FaultyProxy, moto_url: str, fault: Fault
) -> None:
    for rows, expected in ((sales((1, "a", 1)), [(1, "a", 1)]), (sales((1, "a", 2)), [(1, "a", 2)])):
        staged_rows = stage(lake, rows, moto_url)
        proxy.plan = once(is_commit, fault)
        lake.replace(SALES, staged_rows, (day(1), day(1)))
        proxy.plan = no_faults
        assert stored(lake) == expected
    assert proxy.met()[fault] == 2


@pytest.mark.parametrize("fault", [*PASSING, Fault.SLOW], ids=lambda fault: fault.name)
def test_a_reader_that_meets_a_fault_asks_again(lake: DeltaLake, proxy: FaultyProxy, fault: Fault) -> None:
    lake.replace(SALES, sales((1, "a", 1)), (day(1), day(1)))
    for ending in ("_last_checkpoint", "_delta_log%2F", ".json", ".parquet"):
        proxy.plan = once(lambda asked, ending=ending: is_read(asked) and ending in asked.path, fault)  # type: ignore[misc]
        assert stored(lake) == [(1, "a", 1)]
    assert proxy.met()[fault] == 4


@pytest.mark.usefixtures("is_impatient")
@pytest.mark.parametrize("fault", STORMS, ids=lambda fault: fault.name)
def test_a_storm_that_outlasts_all_attempts_is_one_clear_error_and_leaves_the_rows_as_they_were(
    lake: DeltaLake, proxy: FaultyProxy, fault: Fault
) -> None:
    lake.replace(SALES, sales((1, "a", 1)), (day(1), day(1)))
    before = lake.files(SALES.name, (day(1), day(2)))
    proxy.plan = always(is_put, fault)
    with pytest.raises(LakeError, match=r"s3://.*/lake/shop/sales: S3 does not answer.*the same command goes on$"):
        lake.replace(SALES, sales((1, "a", 2), (2, "a", 3)), (day(1), day(2)))
    proxy.plan = no_faults
    assert stored(lake) == [(1, "a", 1)]
    assert lake.files(SALES.name, (day(1), day(2))) == before
    lake.replace(SALES, sales((1, "a", 2), (2, "a", 3)), (day(1), day(2)))
    assert stored(lake) == [(1, "a", 2), (2, "a", 3)]


@pytest.mark.usefixtures("is_impatient")
def test_a_storm_that_begins_with_the_commit_leaves_the_old_rows_or_the_new_ones(
    lake: DeltaLake, proxy: FaultyProxy
) -> None:
    lake.replace(SALES, sales((1, "a", 1)), (day(1), day(1)))
    for fault, rows in ((Fault.SLOW_DOWN, [(1, "a", 1)]), (Fault.RESET_AFTER, [(1, "a", 2)])):
        proxy.plan = always(is_commit, fault)
        with pytest.raises(LakeError, match="nothing was changed or all of it"):
            lake.replace(SALES, sales((1, "a", 2)), (day(1), day(1)))
        proxy.plan = no_faults
        assert stored(lake) == rows


@pytest.mark.usefixtures("is_impatient")
def test_a_table_that_cannot_be_seen_is_not_one_that_was_never_written(lake: DeltaLake, proxy: FaultyProxy) -> None:
    lake.replace(SALES, sales((1, "a", 1)), (day(1), day(1)))
    for fault in (Fault.SLOW_DOWN, Fault.RESET_BEFORE, Fault.CUT):
        proxy.plan = always(is_read, fault)
        with pytest.raises(LakeError):
            lake.version(SALES.name)
    proxy.plan = no_faults
    assert lake.version(SALES.name) == 0
    assert lake.version("shop/nothing") == -1


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_landed_file_is_read_whole_in_spite_of_a_fault(bucket: Any, proxy: FaultyProxy, fault: Fault) -> None:
    landing = build_landing(Settings(home=Path(), lake="", landing=f"s3://{bucket.name}/drop"))
    contents = {f"{number}.csv": f"{number}".encode() * 10_000 for number in range(5)}
    for path, content in contents.items():
        bucket.put_object(Key=f"drop/{path}", Body=content)
    proxy.plan = once(is_read, fault, times=2)
    assert [file.path for file in landing.files()] == list(contents)
    assert landing.read_all(contents) == list(contents.values())
    assert proxy.met()[fault] == 2


@pytest.mark.usefixtures("is_impatient")
def test_a_landing_in_a_storm_is_an_error_and_not_empty(bucket: Any, proxy: FaultyProxy) -> None:
    landing = build_landing(Settings(home=Path(), lake="", landing=f"s3://{bucket.name}/drop"))
    bucket.put_object(Key="drop/1.csv", Body=b"1")
    proxy.plan = always(is_read, Fault.SLOW_DOWN)
    with pytest.raises(LandingError, match="cannot be listed"):
        landing.files()
    with pytest.raises(LandingError, match=r"1\.csv: cannot be read"):
        landing.read_all(["1.csv"])
