"""Rows that lie in files already: one commit makes them part of their table, exactly, or nothing happens."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import UTC_MOMENT, Column, Table
from resources import staged, staged_files
from resources.at_rest import arrow_schema
from resources.lake import Days, DeltaLake
from resources.staged import StagedFile, StagedRows, StagedRowsError, Where
from resources.staged_files import READ_ROWS, TableFolder, read_files, write_files

SALES = Table(
    ("shop", "sales"),
    "What was sold.",
    (
        Column("ds", pl.Date, "the day"),
        Column("user_id", pl.String, "who bought"),
        Column("shelf", pl.String, "where it stood"),
        Column("pieces", pl.Int64, "how many", is_nullable=True),
    ),
)
WRITERS = 6
Sale = tuple[int, str | None, str | None, int | None]


@dataclass(frozen=True)
class RowsOfHere(StagedRows):
    """Rows staged by this process, as a task would stage them."""

    folder: TableFolder

    def frame(self) -> pl.DataFrame:
        return self._read([one.path for one in self.files])

    def staying(self, paths: Sequence[str], where: Where) -> list[StagedFile]:
        goes = pl.all_horizontal(pl.col(name).is_in(values) for name, values in where.items()).fill_null(value=False)
        return written(self._read(paths).filter(~goes), self.folder)

    def _read(self, paths: Sequence[str]) -> pl.DataFrame:
        dated = [(path, path.removeprefix("ds=")[:10]) for path in paths]
        batches = list(read_files(dated, self.folder))
        return pl.concat([pl.DataFrame(batch) for batch in batches]) if batches else sales()


def written(rows: pl.DataFrame, folder: TableFolder) -> list[StagedFile]:
    in_order = rows.sort(folder.keys, maintain_order=True).to_arrow().cast(folder.schema)
    return list(write_files(in_order.to_batches(READ_ROWS), folder))


def stage(lake: DeltaLake, rows: pl.DataFrame, apart: tuple[str, ...] = (), table: Table = SALES) -> RowsOfHere:
    schema = arrow_schema(table.schema)
    folder = TableFolder(lake.uri(table.name), schema, table.in_log, table.required, apart)
    return RowsOfHere(written(rows, folder), folder)


def day(number: int) -> date:
    return date(2026, 1, number)


def days(first: int, last: int) -> Days:
    return day(first), day(last)


def sales(*rows: Sale) -> pl.DataFrame:
    return pl.DataFrame([(day(ds), *rest) for ds, *rest in rows], schema=SALES.schema, orient="row")


def stored(lake: DeltaLake) -> list[Sale]:
    return sorted((ds.day, *rest) for ds, *rest in lake.scan(SALES).collect().rows())


def at_once(write: Callable[[int], int]) -> list[int]:
    with ThreadPoolExecutor(WRITERS) as writers:
        return list(writers.map(write, range(1, WRITERS + 1)))


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(root=str(tmp_path / "lake"))


# --- What a replacement does ---

SALE = st.tuples(
    st.integers(1, 3), st.sampled_from(["ann", "bob"]), st.sampled_from("abc"), st.none() | st.integers(-9, 9)
)
KINDS = ("frame", "staged", "staged apart")
WRITE = st.tuples(
    st.sampled_from(KINDS), st.integers(1, 3), st.integers(0, 2), st.sets(st.sampled_from("abc")), st.lists(SALE)
)


@settings(max_examples=30, deadline=None)
@given(st.lists(WRITE, max_size=4))
def test_staged_rows_replace_as_frames_do_in_any_sequence_of_both(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, int, int, set[str], list[Sale]]]
) -> None:
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("lake")))
    expected: list[Sale] = []
    for kind, first, longer, shelves, rows in writes:
        last, where = first + longer, {"shelf": sorted(shelves)} if shelves and kind != "staged" else {}
        inside = [row for row in rows if first <= row[0] <= last and (not where or row[2] in shelves)]
        new = sales(*inside)
        chosen = new if kind == "frame" else stage(lake, new, ("shelf",) if kind == "staged apart" else ())
        lake.replace(SALES, chosen, days(first, last), where=where)
        goes = [row for row in expected if first <= row[0] <= last and (not where or row[2] in shelves)]
        expected = [row for row in expected if row not in goes] + inside
    order = pl.col("pieces").fill_null(-10)
    found = lake.scan(SALES).collect().sort("ds", "user_id", "shelf", order)
    assert found.equals(sales(*expected).sort("ds", "user_id", "shelf", order))


def test_each_replacement_is_one_version_and_one_again_changes_nothing(lake: DeltaLake) -> None:
    rows = sales((1, "ann", "a", 1), (2, "bob", "b", None))
    assert [lake.replace(SALES, stage(lake, rows), days(1, 2)) for _ in range(3)] == [0, 1, 2]
    assert stored(lake) == [(1, "ann", "a", 1), (2, "bob", "b", None)]
    assert len(lake.files(SALES.name, days(1, 2))) == 2


def test_what_was_committed_already_is_not_committed_again(lake: DeltaLake) -> None:
    """So it is when the answer to a commit on S3 is lost."""
    lake.replace(SALES, sales((1, "ann", "a", 1)), days(1, 1))
    rows = stage(lake, sales((1, "bob", "b", 2)))
    assert [lake.replace(SALES, rows, days(1, 1)) for _ in range(2)] == [1, 1]
    assert stored(lake) == [(1, "bob", "b", 2)]


def test_no_rows_make_an_empty_table_and_empty_a_range(lake: DeltaLake) -> None:
    lake.replace(SALES, stage(lake, sales()), days(1, 1))
    assert lake.version(SALES.name) == 0
    lake.replace(SALES, sales((1, "ann", "a", 1), (2, "ann", "a", 2)), days(1, 2))
    lake.replace(SALES, stage(lake, sales()), days(1, 1))
    assert stored(lake) == [(2, "ann", "a", 2)]


def test_a_file_that_also_holds_rows_that_stay_is_written_anew_without_the_others(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "ann", "a", 1), (1, "ann", "b", 2), (1, "bob", "c", None)), days(1, 1))
    lake.replace(SALES, stage(lake, sales((1, "eve", "b", 3)), ("shelf",)), days(1, 1), where={"shelf": "b"})
    assert stored(lake) == [(1, "ann", "a", 1), (1, "bob", "c", None), (1, "eve", "b", 3)]
    kept = lake.files(SALES.name, days(1, 1))
    lake.replace(SALES, stage(lake, sales((1, "eve", "b", 4)), ("shelf",)), days(1, 1), where={"shelf": "b"})
    assert len(kept - lake.files(SALES.name, days(1, 1))) == 1  # from now on each file has rows of one shelf


def test_a_table_that_is_older_than_a_column_gets_it(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "ann", "a", 1)), days(1, 1))
    younger = replace(SALES, columns=(*SALES.columns, Column("gift", pl.Boolean, "a gift", is_nullable=True)))
    rows = sales((2, "bob", "b", 2)).with_columns(gift=True)
    lake.replace(younger, stage(lake, rows, table=younger), days(2, 2))
    assert lake.scan(younger).select("user_id", "gift").collect().sort("user_id").rows() == [
        ("ann", None),
        ("bob", True),
    ]


# --- What is refused ---


@pytest.mark.parametrize(
    ("rows", "within", "where", "message"),
    [
        (sales((1, "ann", "a", 1), (3, "ann", "a", 1)), days(1, 2), {}, r"rows of 2026-01-03 cannot replace those of"),
        (sales((1, "ann", None, 1)), days(1, 1), {}, r"shop/sales\.shelf: 1 nulls, must have none"),
        (sales((1, "ann", "a", 1)), days(1, 1), {"shelf": "b"}, r"shop/sales\.shelf: 'a' cannot replace 'b'"),
        (sales((1, "ann", "a", 1)), days(1, 1), {"user_id": "ann"}, "rows that were not kept apart by it cannot"),
    ],
)
def test_rows_that_do_not_belong_there_are_refused_and_nothing_is_written(
    lake: DeltaLake, rows: pl.DataFrame, within: Days, where: dict[str, str], message: str
) -> None:
    before = sales((1, "bob", "b", 1), (3, "bob", "b", 3))
    lake.replace(SALES, before, days(1, 3))
    with pytest.raises(StagedRowsError, match=message):
        lake.replace(SALES, stage(lake, rows, ("shelf",)), within, where=where)
    assert lake.version(SALES.name) == 0
    assert lake.scan(SALES).collect().sort("ds").equals(before)


# --- Others, and accidents ---


def test_who_is_overtaken_fails_and_loses_nothing(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "ann", "a", 1)), days(1, 1))
    seen = lake.table(SALES.name)
    lake.replace(SALES, sales((1, "bob", "b", 2), (2, "bob", "b", 2)), days(1, 2))
    late = stage(lake, sales((1, "eve", "c", 3)))
    with pytest.raises(CommitFailedError):
        staged.commit(lake.uri(SALES.name), seen, SALES, late, days(1, 1), {}, {})
    assert stored(lake) == [(1, "bob", "b", 2), (2, "bob", "b", 2)]
    lake.replace(SALES, late, days(1, 1))  # which looks again
    assert stored(lake) == [(1, "eve", "c", 3), (2, "bob", "b", 2)]


def test_who_has_not_seen_what_others_added_to_the_range_fails_too(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((2, "ann", "a", 1)), days(2, 2))
    seen = lake.table(SALES.name)
    lake.replace(SALES, sales((1, "bob", "b", 2)), days(1, 1))
    late = stage(lake, sales((1, "eve", "c", 3)))
    with pytest.raises(CommitFailedError):
        staged.commit(lake.uri(SALES.name), seen, SALES, late, days(1, 1), {}, {})
    lake.replace(SALES, late, days(1, 1))
    assert stored(lake) == [(1, "eve", "c", 3), (2, "ann", "a", 1)]


def test_of_two_who_make_the_table_the_second_is_told_and_looks_again(lake: DeltaLake) -> None:
    first, second = (stage(lake, sales((n, "ann", "a", n))) for n in (1, 2))
    lake.replace(SALES, first, days(1, 1))
    with pytest.raises(CommitFailedError):
        staged.commit(lake.uri(SALES.name), None, SALES, second, days(2, 2), {}, {})
    assert stored(lake) == [(1, "ann", "a", 1)]


def test_writers_of_different_days_lose_nothing_not_even_when_the_table_is_new(lake: DeltaLake) -> None:
    at_once(lambda n: lake.replace(SALES, stage(lake, sales((n, "ann", "a", n), (n, "bob", "b", n))), days(n, n)))
    assert stored(lake) == [(n, *rest, n) for n in range(1, WRITERS + 1) for rest in (("ann", "a"), ("bob", "b"))]


def test_of_writers_of_the_same_day_staged_or_not_the_last_one_wins_whole(lake: DeltaLake) -> None:
    rows = {n: sales((1, "ann", "a", n), (1, "bob", "b", n)) for n in range(1, WRITERS + 1)}
    lake.replace(SALES, sales((1, "ann", "z", 0), (2, "ann", "z", 0)), days(1, 2))
    at_once(lambda n: lake.replace(SALES, stage(lake, rows[n]) if n % 2 else rows[n], days(1, 1)))
    winner = stored(lake)[0][-1]
    assert stored(lake) == [(1, "ann", "a", winner), (1, "bob", "b", winner), (2, "ann", "z", 0)]


def test_writers_of_the_same_day_under_different_values_lose_nothing(lake: DeltaLake) -> None:
    lake.replace(SALES, sales(*((1, "ann", str(n), 0) for n in range(1, WRITERS + 1))), days(1, 1))

    def write(n: int) -> int:
        return lake.replace(SALES, stage(lake, sales((1, "bob", str(n), n)), ("shelf",)), days(1, 1), {"shelf": str(n)})

    at_once(write)
    assert stored(lake) == [(1, "bob", str(n), n) for n in range(1, WRITERS + 1)]


def test_what_nobody_committed_is_no_part_of_the_table_and_a_vacuum_removes_it(lake: DeltaLake) -> None:
    lake.replace(SALES, sales((1, "ann", "a", 1)), days(1, 1))
    rows = stage(lake, sales((1, "bob", "b", 2)))
    left = Path(lake.uri(SALES.name), rows.files[0].path)
    assert left.exists()
    assert stored(lake) == [(1, "ann", "a", 1)]
    lake.vacuum(SALES.name)
    assert not left.exists()
    assert stored(lake) == [(1, "ann", "a", 1)]


# --- The files, and what the log says of them ---

MANY = Table(
    ("shop", "visits"),
    "One column of each type.",
    (
        Column("ds", pl.Date, "the day"),
        Column("user_id", pl.String, "who"),
        Column("page", pl.String, "which", is_nullable=True),
        Column("count", pl.Int64, "how many", is_nullable=True),
        Column("place", pl.Int32, "where", is_nullable=True),
        Column("value", pl.Float64, "how much", is_nullable=True),
        Column("is_new", pl.Boolean, "whether", is_nullable=True),
        Column("until", pl.Date, "how long", is_nullable=True),
        Column("at", UTC_MOMENT, "when", is_nullable=True),
        Column("pages", pl.List(pl.String), "all of them", is_nullable=True),
    ),
)


def visits(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=MANY.schema, orient="row")


def test_the_log_says_of_staged_files_what_it_says_of_others_and_names_nobody(lake: DeltaLake, tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, 12, 30, 15, 123_000, tzinfo=UTC)
    rows = visits(
        (day(1), "ann", "home", 3, 1, 0.5, True, day(9), moment, ["home", "cart"]),
        (day(1), "bob", "cart", -2, None, -0.25, False, day(3), moment.replace(year=2025), []),
        (day(2), "eve", None, None, None, None, None, None, None, None),
    )
    other = DeltaLake(root=str(tmp_path / "other"))
    other.replace(MANY, rows, days(1, 2))
    lake.replace(MANY, stage(lake, rows, table=MANY), days(1, 2))
    logs = [
        pl.DataFrame(one.table(MANY.name).get_add_actions(flatten=True)).drop("path", "size_bytes", "modification_time")
        for one in (other, lake)
    ]
    assert logs[1].select(logs[0].columns).sort("partition.ds").equals(logs[0].sort("partition.ds"))
    text = "".join(path.read_text() for path in Path(lake.uri(MANY.name), "_delta_log").iterdir())
    assert not [name for name in ("ann", "bob", "eve", 'user_id\\":') if name in text]
    assert lake.scan(MANY).collect().sort("user_id").equals(rows)


def test_moments_between_milliseconds_lie_between_the_extremes_that_the_log_says(lake: DeltaLake) -> None:
    moments = [datetime(2026, 1, 1, 12, 0, 0, micro, tzinfo=UTC) for micro in (1_001, 2_999)]
    rows = visits(*((day(1), "ann", "home", 1, 1, 0.5, True, day(9), moment, []) for moment in moments))
    lake.replace(MANY, stage(lake, rows, table=MANY), days(1, 1))
    (file,) = pl.DataFrame(lake.table(MANY.name).get_add_actions(flatten=True)).to_dicts()
    assert file["min.at"] <= moments[0] <= moments[1] <= file["max.at"]
    assert [lake.scan(MANY).filter(pl.col("at") == moment).collect().height for moment in moments] == [1, 1]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_numbers_that_the_log_cannot_hold_are_left_out_of_it(lake: DeltaLake, odd: float) -> None:
    rows = visits(*((day(1), "ann", "home", 1, 1, value, True, day(9), None, []) for value in (odd, 0.5)))
    lake.replace(MANY, stage(lake, rows, table=MANY), days(1, 1))
    assert lake.scan(MANY).filter(pl.col("value") > 0.75).collect().height == 1  # of numbers, NaN is the largest


def test_files_are_written_as_other_writers_of_the_lake_write_them(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_files, "FILE_BYTES", 20_000)
    rows = sales(*((1, f"user {number:06}", "a", number) for number in range(25_000)))
    waiting = stage(lake, rows)
    lake.replace(SALES, waiting, days(1, 1))
    assert len(waiting.files) > 1  # a file is closed when it is large
    for file in waiting.files:
        path = Path(lake.uri(SALES.name), file.path)
        metadata = pq.read_metadata(path)
        assert (path.stat().st_size, metadata.num_rows) == (file.size_bytes, file.rows)
        assert metadata.row_group(0).num_rows == min(file.rows, READ_ROWS)
        assert metadata.row_group(0).column(0).compression == "ZSTD"
        assert "ds" not in metadata.schema.names
    assert lake.scan(SALES).collect().sort("pieces").equals(rows)
