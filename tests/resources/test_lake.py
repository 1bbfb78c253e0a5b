"""The lake: partitions are replaced exactly, and nothing is lost between writers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import DeltaError
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import Column, Table
from resources.lake import Days, DeltaLake, SchemaError, Spool

SALES = Table(
    ("shop", "sales"),
    "What was sold.",
    (
        Column("ds", pl.Date, "the day"),
        Column("shelf", pl.String, "where it stood"),
        Column("pieces", pl.Int64, "how many", is_nullable=True),
    ),
)
WRITERS = 8


def day(number: int) -> date:
    return date(2026, 1, number)


def days(first: int, last: int) -> Days:
    return day(first), day(last)


def sales(*rows: tuple[int, str | None, int | None]) -> pl.DataFrame:
    return pl.DataFrame([(day(ds), *rest) for ds, *rest in rows], schema=SALES.schema, orient="row")


def stored(lake: DeltaLake, within: Days | None = None) -> list[tuple[int, str, int | None]]:
    rows = lake.scan(SALES, within).collect()
    return sorted((ds.day, shelf, pieces) for ds, shelf, pieces in rows.iter_rows())


def at_once(write: Callable[[int], int]) -> list[int]:
    with ThreadPoolExecutor(WRITERS) as writers:
        return list(writers.map(write, range(1, WRITERS + 1)))


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(root=str(tmp_path / "lake"))


def test_a_table_that_was_never_written_has_no_rows_but_all_columns(lake: DeltaLake) -> None:
    assert lake.scan(SALES).collect_schema() == SALES.schema
    assert stored(lake) == stored(lake, days(1, 2)) == []
    assert lake.table(SALES.name) is None
    assert lake.version(SALES.name) == -1


def test_what_was_written_is_read_back_with_the_columns_in_their_order(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "top", 3), (2, "low", None)).select("pieces", "ds", "shelf"), days(1, 2))
    assert lake.scan(SALES).collect_schema() == SALES.schema
    assert stored(lake) == [(1, "top", 3), (2, "low", None)]


def test_only_the_days_asked_for_are_read_both_ends_included(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "a", 4)), days(1, 4))
    assert stored(lake, days(2, 3)) == [(2, "a", 2), (3, "a", 3)]


def test_exactly_the_range_is_replaced_days_without_new_rows_too(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "a", 4)), days(1, 4))
    lake.replace(SALES, sales((2, "b", 20)), days(2, 3))
    assert stored(lake) == [(1, "a", 1), (2, "b", 20), (4, "a", 4)]


def test_no_rows_empty_the_range(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "a", 1), (2, "a", 2)), days(1, 2))
    lake.replace(SALES, sales(), days(2, 2))
    assert stored(lake) == [(1, "a", 1)]


def test_replacing_twice_changes_nothing(lake: DeltaLake) -> None:
    for _ in range(2):
        lake.replace(SALES, sales((1, "a", 1), (1, "a", 1), (2, "b", 2)), days(1, 2))
    assert stored(lake) == [(1, "a", 1), (1, "a", 1), (2, "b", 2)]


def test_each_write_is_a_version(lake: DeltaLake) -> None:
    versions = [lake.replace(SALES, sales((1, "a", 1)), days(1, 1)) for _ in range(3)]
    assert versions == [0, 1, 2]
    assert lake.version(SALES.name) == 2


@pytest.mark.parametrize("is_first_write", [True, False])
def test_a_row_outside_the_range_is_refused_and_nothing_is_written(lake: DeltaLake, is_first_write: bool) -> None:
    if not is_first_write:
        lake.replace(SALES, sales((3, "a", 1)), days(3, 3))
    before = stored(lake)
    with pytest.raises(DeltaError, match="2026-01-03"):
        lake.replace(SALES, sales((1, "a", 1), (3, "b", 2)), days(1, 2))
    assert stored(lake) == before


def test_a_row_with_another_value_than_the_replaced_ones_is_refused(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "low", 1)), days(1, 1))
    with pytest.raises(DeltaError, match="validation"):
        lake.replace(SALES, sales((1, "low", 2)), days(1, 1), where={"shelf": "top"})
    assert stored(lake) == [(1, "low", 1)]


@pytest.mark.parametrize("shelf", ["o'clock", "x' OR shelf <> 'x", "'; --", "back\\slash'", "", 'say "no"'])
def test_no_value_can_widen_what_is_replaced(lake: DeltaLake, shelf: str) -> None:
    lake.replace(SALES, sales((1, "other", 1), (1, shelf, 2), (2, shelf, 3)), days(1, 2))
    lake.replace(SALES, sales((1, shelf, 20)), days(1, 1), where={"shelf": shelf})
    assert stored(lake) == sorted([(1, "other", 1), (1, shelf, 20), (2, shelf, 3)])


def test_what_is_no_column_name_cannot_be_a_condition(lake: DeltaLake) -> None:
    with pytest.raises(ValueError, match="no column name"):
        lake.replace(SALES, sales((1, "a", 1)), days(1, 1), where={"shelf` = '' OR `shelf": "a"})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (sales().drop("pieces"), r"shop/sales: columns missing \['pieces'\], unknown \[\]"),
        (sales().with_columns(price=1.5), r"shop/sales: columns missing \[\], unknown \['price'\]"),
        (sales((1, "a", 1)).cast({"pieces": pl.Int32}), r"shop/sales\.pieces: is Int32, must be Int64"),
        (
            sales((1, "a", 1), (1, None, 1), (1, None, 2)),
            r"shop/sales\.shelf: 2 nulls, must have none",
        ),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_with_table_and_column(
    lake: DeltaLake, frame: pl.DataFrame, message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        lake.replace(SALES, frame, days(1, 1))
    assert lake.version(SALES.name) == -1


def test_writers_of_different_days_lose_nothing_not_even_when_the_table_is_new(lake: DeltaLake) -> None:
    at_once(lambda n: lake.replace(SALES, sales((n, "a", n), (n, "b", n)), days(n, n)))
    assert stored(lake) == [(n, shelf, n) for n in range(1, WRITERS + 1) for shelf in "ab"]


def test_of_writers_of_the_same_day_the_last_one_wins_whole(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "z", 0), (2, "z", 0)), days(1, 2))
    at_once(lambda n: lake.replace(SALES, sales((1, "a", n), (1, "b", n)), days(1, 1)))
    (_, _, winner), *_ = stored(lake, days(1, 1))
    assert stored(lake) == [(1, "a", winner), (1, "b", winner), (2, "z", 0)]


def test_writers_of_the_same_day_under_different_values_lose_nothing(lake: DeltaLake) -> None:
    lake.replace(SALES, sales(*((1, str(n), 0) for n in range(1, WRITERS + 1))), days(1, 1))
    at_once(lambda n: lake.replace(SALES, sales((1, str(n), n)), days(1, 1), where={"shelf": str(n)}))
    assert stored(lake) == [(1, str(n), n) for n in range(1, WRITERS + 1)]


def spool_of(folder: Path, *portions: pl.DataFrame) -> Spool:
    spool = Spool(SALES, folder)
    for portion in portions:
        spool.add(portion)
    return spool


def test_a_spool_replaces_as_a_frame_does_in_one_version(lake: DeltaLake, tmp_path: Path) -> None:
    lake.replace(SALES, sales((1, "a", 1), (2, "a", 2), (3, "a", 3)), days(1, 3))
    spool = spool_of(tmp_path / "spool", sales((2, "b", 20)), sales(), sales((1, "c", None), (2, "b", 20)))
    assert spool.height == 3
    assert lake.replace(SALES, spool, days(1, 2)) == 1
    assert stored(lake) == [(1, "c", None), (2, "b", 20), (2, "b", 20), (3, "a", 3)]


def test_a_spool_without_rows_empties_the_range(lake: DeltaLake, tmp_path: Path) -> None:
    lake.replace(SALES, sales((1, "a", 1), (2, "a", 2)), days(1, 2))
    lake.replace(SALES, spool_of(tmp_path / "spool"), days(1, 1))
    assert stored(lake) == [(2, "a", 2)]


def test_a_spool_refuses_a_portion_that_does_not_fit(tmp_path: Path) -> None:
    spool = spool_of(tmp_path / "spool", sales((1, "a", 1)))
    with pytest.raises(SchemaError, match=r"shop/sales\.shelf: 1 nulls"):
        spool.add(sales((1, None, 1)))
    assert spool.scan().collect().rows() == [(day(1), "a", 1)]


def test_a_spool_with_a_row_outside_the_range_changes_nothing(lake: DeltaLake, tmp_path: Path) -> None:
    lake.replace(SALES, sales((3, "a", 1)), days(3, 3))
    with pytest.raises(DeltaError, match="2026-01-03"):
        lake.replace(SALES, spool_of(tmp_path / "spool", sales((1, "a", 1)), sales((3, "b", 2))), days(1, 2))
    assert stored(lake) == [(3, "a", 1)]


def test_writers_of_spools_lose_nothing_when_one_has_to_write_again(lake: DeltaLake, tmp_path: Path) -> None:
    lake.replace(SALES, sales((1, "z", 0)), days(1, 1))
    spools = [spool_of(tmp_path / str(n), sales((1, "a", n)), sales((1, "b", n))) for n in range(WRITERS + 1)]
    at_once(lambda n: lake.replace(SALES, spools[n], days(1, 1)))
    (_, _, winner), *_ = stored(lake)
    assert stored(lake) == [(1, "a", winner), (1, "b", winner)]


def test_rows_with_one_of_several_values_are_replaced(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "a", 1), (1, "b", 1), (1, "c", 1)), days(1, 1))
    lake.replace(SALES, sales((1, "b", 2)), days(1, 1), where={"shelf": ["a", "b"]})
    assert stored(lake) == [(1, "b", 2), (1, "c", 1)]


SALE = st.tuples(st.integers(1, 4), st.sampled_from("ab"), st.integers(0, 9))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.lists(SALE, max_size=4)), max_size=3))
def test_a_sequence_of_replacements_does_what_it_would_do_to_a_list(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, list[tuple[int, str, int | None]]]]
) -> None:
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    expected: list[tuple[int, str, int | None]] = []
    for first, longer, rows in writes:
        last = first + longer
        inside = [row for row in rows if first <= row[0] <= last]
        lake.replace(SALES, sales(*inside), days(first, last))
        expected = [row for row in expected if not first <= row[0] <= last] + inside
    assert stored(lake) == sorted(expected)
