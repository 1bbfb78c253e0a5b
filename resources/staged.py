"""Rows that tasks wrote as Parquet files beside a table's own, and the one commit that makes them part of it.

Until the commit nobody reads the files, so whoever dies before it leaves only files that a vacuum removes. How files
are written, and what engine the tasks run on, stays out.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import Field, Schema
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from resources.at_rest import PARTITION, StoredTable, arrow_schema

ONE_ATTEMPT = CommitProperties(max_commit_retries=0)
"""What is removed follows from one version of the table: whoever is overtaken has to look again."""
Days = tuple[date, date]
"""The first and the last day of a range, both included."""
Where = Mapping[str, Sequence[str]]


class StagedRowsError(ValueError):
    """Staged rows cannot be put where they should go; the message names the table, the column, and what is wrong."""


@dataclass(frozen=True)
class StagedFile:
    """One Parquet file that waits to become part of its table.

    Attributes:
        path: Relative to the table.
        size_bytes: Its size.
        rows: How many rows it holds.
        day: The partition of all of them.
        apart: Column to the value that all of its rows have, for the columns that are kept apart.
        nulls: Required column to its nulls.
        stats: What the table's log says of it, as JSON.
    """

    path: str
    size_bytes: int
    rows: int
    day: date
    apart: Mapping[str, str | None]
    nulls: Mapping[str, int]
    stats: str

    def to_json(self) -> str:
        """The file as a task reports it."""
        return json.dumps(asdict(self) | {"day": self.day.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> "StagedFile":
        """What a task reported."""
        known: dict[str, Any] = json.loads(text)
        return cls(**known | {"day": date.fromisoformat(known["day"])})


@dataclass(frozen=True)
class StagedRows(ABC):
    """Rows of one table that lie in files already, and that no memory has to hold.

    Attributes:
        files: Where they are.
    """

    files: list[StagedFile]

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(one.rows for one in self.files)

    def add(self, more: "StagedRows") -> None:
        """Take in what was staged besides, for the same table."""
        self.files.extend(more.files)

    @abstractmethod
    def frame(self) -> Any:
        """The rows as a frame of the engine that staged them, read from the files."""

    @abstractmethod
    def staying(self, paths: Sequence[str], where: Where) -> list[StagedFile]:
        """Stage the rows of files of the table that do not have one of the given values in every given column.

        Args:
            paths: The files, relative to the table.
            where: Column to the values of the rows that go.
        """


def commit(
    uri: str,
    stored: DeltaTable | None,
    table: StoredTable,
    rows: StagedRows,
    days: Days,
    where: Mapping[str, str | Sequence[str]],
    options: dict[str, str],
) -> None:
    """Put what is staged into a table, in the place of the rows of some days (and of the given values).

    Args:
        uri: Where the table is.
        stored: The table, as it is now; None where nothing was ever written.
        table: What it is.
        rows: The new rows.
        days: The first and the last day of the replaced rows.
        where: Further columns and the value, or one of the values, that the replaced rows have there.
        options: For the client of S3.

    Raises:
        StagedRowsError: The rows are incomplete, or lie outside of what they should replace.
        CommitFailedError: Somebody else wrote to the table meanwhile; nothing is changed.
    """
    wanted = {name: [values] if isinstance(values, str) else values for name, values in where.items()}
    _require_inside(table, rows, days, wanted)
    if stored is None:
        _create(uri, table, rows, options)
    else:
        _replace(stored, table, rows, days, wanted)


def _require_inside(table: StoredTable, rows: StagedRows, days: Days, where: Where) -> None:
    """Raise StagedRowsError unless all rows are complete and lie in what they replace."""
    for file in rows.files:
        if not days[0] <= file.day <= days[1]:
            raise StagedRowsError(f"{table.name}: rows of {file.day} cannot replace those of {days[0]} to {days[1]}")
        for name, nulls in file.nulls.items():
            if nulls:
                raise StagedRowsError(f"{table.name}.{name}: {nulls} nulls, must have none")
        for name, values in where.items():
            if file.apart.get(name) not in values:
                found = repr(file.apart[name]) if name in file.apart else "rows that were not kept apart by it"
                raise StagedRowsError(f"{table.name}.{name}: {found} cannot replace {', '.join(map(repr, values))}")


def _create(uri: str, table: StoredTable, rows: StagedRows, options: dict[str, str]) -> None:
    """Make the table of what is staged."""
    try:
        create_table_with_add_actions(
            uri,
            Schema.from_arrow(arrow_schema(table.schema)),
            _adds(rows.files),
            mode="error",
            partition_by=[PARTITION],
            configuration={"delta.dataSkippingStatsColumns": ",".join(table.in_log)},
            storage_options=options,
        )
    except DeltaError as error:
        if DeltaTable.is_deltatable(uri, storage_options=options):
            raise CommitFailedError(str(error)) from error
        raise


def _replace(stored: DeltaTable, table: StoredTable, rows: StagedRows, days: Days, where: Where) -> None:
    """Add what is staged and remove what it replaces, in one commit."""
    _add_columns(stored, table)
    files = pl.DataFrame(stored.get_add_actions(flatten=True)).rows(named=True)
    if rows.files and {one.path for one in rows.files} <= {one["path"] for one in files}:
        return  # an earlier attempt got through, though it was told otherwise
    gone, mixed = _in_the_way(files, days, where)
    staying = rows.staying([one["path"] for one in mixed], where) if mixed else []
    actions: list[AddAction | RemoveAction] = [*_adds([*rows.files, *staying]), *_removes([*gone, *mixed])]
    if actions:
        stored.create_write_transaction(actions, "append", stored.schema(), [PARTITION], commit_properties=ONE_ATTEMPT)


def _add_columns(stored: DeltaTable, table: StoredTable) -> None:
    """Let an older table have the columns that are younger than it; its rows have nulls there."""
    known = {one.name for one in stored.schema().fields}
    wanted = Schema.from_arrow(arrow_schema(table.schema)).fields
    younger = [Field(one.name, one.type, nullable=True) for one in wanted if one.name not in known]
    if younger:
        stored.alter.add_columns(younger)
        stored.update_incremental()


def _in_the_way(
    files: Iterable[dict[str, Any]], days: Days, where: Where
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The files of some days whose rows all go, and those that hold others as well, or may."""
    gone: list[dict[str, Any]] = []
    mixed: list[dict[str, Any]] = []
    for file in files:
        if not days[0] <= file[f"partition.{PARTITION}"] <= days[1]:
            continue
        parts = [_part(file, column, values) for column, values in where.items()]
        if "none" in parts:
            continue
        (mixed if "some" in parts else gone).append(file)
    return gone, mixed


def _part(file: Mapping[str, Any], column: str, values: Sequence[str]) -> str:
    """Which of a file's rows have one of the values there, as far as its statistics can tell: all, some or none."""
    lowest, highest = file.get(f"min.{column}"), file.get(f"max.{column}")
    if lowest is None or highest is None:
        return "some"
    if not any(lowest <= value <= highest for value in values):
        return "none"
    return "all" if lowest == highest and file.get(f"null_count.{column}") == 0 else "some"


def _adds(files: Iterable[StagedFile]) -> list[AddAction]:
    now = _now()
    return [
        AddAction(
            path=one.path,
            size=one.size_bytes,
            partition_values={PARTITION: one.day.isoformat()},
            modification_time=now,
            data_change=True,
            stats=one.stats,
        )
        for one in files
    ]


def _removes(files: Iterable[Mapping[str, Any]]) -> list[RemoveAction]:
    now = _now()
    return [
        RemoveAction(
            one["path"],
            data_change=True,
            deletion_timestamp=now,
            size=one["size_bytes"],
            partition_values={PARTITION: str(one[f"partition.{PARTITION}"])},
        )
        for one in files
    ]


def _now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
