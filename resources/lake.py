"""The lake: Delta tables under one root, replaced partition by partition.

One small resource around polars and deltalake. What the tables mean, and when they are written, stays out.
"""

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import dagster as dg
import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from resources import s3, staged
from resources.at_rest import PARTITION, StoredTable
from resources.lake_files import names_in, names_on_s3, rows_at_once, writer_properties
from resources.staged import StagedRows

FoundT = TypeVar("FoundT")
COMMIT_ATTEMPTS = 12
LOG_RETENTION = "delta.logRetentionDuration"
Days = tuple[date, date]
"""The first and the last day of a range, both included."""


@dataclass(frozen=True)
class FoundTable:
    """A table as it lies in the lake."""

    name: str
    schema: pl.Schema
    required: tuple[str, ...] = ()
    in_log: tuple[str, ...] = ()


class SchemaError(Exception):
    """A frame does not fit its table; the message names the table, the column, and what would be right."""


class LakeError(OSError):
    """S3 does not answer; the message names the table and what the client met. Nothing is half-written."""


class Spool:
    """Rows of one table that memory should not hold at once: each portion is checked, then kept in a folder.

    The folder is the caller's, who removes it when the rows are in the lake.
    """

    def __init__(self, table: StoredTable, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.height = 0
        self._table = table
        self._folder = folder

    def add(self, frame: pl.DataFrame) -> None:
        """Append a portion.

        Raises:
            SchemaError: The frame does not fit the table.
        """
        rows = _conform(frame, self._table)
        if not rows.is_empty():
            rows.write_parquet(self._folder / f"{self.height:016}.parquet", compression="lz4")
            self.height += rows.height

    def scan(self) -> pl.LazyFrame:
        """All rows in the order in which they were added."""
        return pl.scan_parquet(self._folder / "*.parquet") if self.height else pl.LazyFrame(schema=self._table.schema)


class DeltaLake(dg.ConfigurableResource):
    """Delta tables under a local folder or an `s3://` prefix.

    S3 is reached as `resources.s3` says; commits use its conditional puts.
    """

    root: str

    def uri(self, name: str) -> str:
        """The full address of a table."""
        return f"{self.root}/{name}"

    def table(self, name: str) -> DeltaTable | None:
        """The Delta table, or None where nothing was ever written.

        Raises:
            LakeError: S3 does not answer; a table that cannot be seen is not one that was never written.
        """
        try:
            return self._reached(name, lambda: DeltaTable(self.uri(name), storage_options=self._options()))
        except TableNotFoundError:
            return None

    def version(self, name: str) -> int:
        """The Delta version of a table; -1 where nothing was ever written."""
        table = self.table(name)
        return -1 if table is None else int(table.version())

    def days(self, name: str) -> list[date]:
        """The partitions that hold rows, oldest first."""
        table = self.table(name)
        found = () if table is None else (part[PARTITION] for part in table.partitions())
        return sorted(date.fromisoformat(day) for day in found)

    def files_until(self, name: str, day: date) -> str:
        """A fingerprint of the data files of all partitions up to a day; it changes whenever one is written anew."""
        names = "\n".join(sorted(self.files(name, (date.min, day))))
        return hashlib.sha256(names.encode()).hexdigest()[:16]

    def files(self, name: str, days: Days, version: int | None = None) -> set[str]:
        """The names of the data files of some partitions, now or as of a Delta version."""
        table = self.table(name)
        if table is None:
            return set()
        if version is not None:
            table.load_as_version(version)
        first, last = (day.isoformat() for day in days)
        paths = table.file_uris(file_pruning_predicate=[(PARTITION, ">=", first), (PARTITION, "<=", last)])
        return {path.rsplit("/", 1)[-1] for path in paths}

    def found(self) -> list["FoundTable"]:
        """Every table that lies under the root, also those that nobody declares any more."""
        names = names_on_s3(self.root) if self._is_on_s3 else names_in(Path(self.root))
        tables = ((name, self.table(name)) for name in names)
        return [FoundTable(name, self._lazily(table).collect_schema()) for name, table in tables if table is not None]

    def vacuum(self, name: str, unused_hours: int = 0) -> int:
        """Remove the data files that only older versions of a table need, or none.

        Older versions that needed one of them cannot be read any more. Files that were needed in the last
        `unused_hours` stay; without, nobody may write or read meanwhile. Returns how many are gone.
        """
        table = self.table(name)
        if table is None:
            return 0
        files = table.vacuum(unused_hours, dry_run=False, enforce_retention_duration=False, full=True)
        return len(files)

    def compact(self, table: "FoundTable") -> int:
        """Put the small files of each partition together; the rows stay as they are.

        Returns:
            How many files make way for fewer; none where somebody wrote meanwhile, whose rows come first.
        """
        stored = self.table(table.name)
        if stored is None:
            return 0
        try:
            done = stored.optimize.compact(writer_properties=writer_properties(table.schema))
        except CommitFailedError:
            return 0
        return int(done["numFilesRemoved"])

    def keep_log(self, name: str) -> None:
        """Keep the log of a table for ever, so that every version whose files are there can be read."""
        table = self.table(name)
        wanted = {LOG_RETENTION: "interval 36500 days"}
        if table is not None and not wanted.items() <= table.metadata().configuration.items():
            table.alter.set_table_properties(wanted)

    def scan(self, table: StoredTable, days: Days | None = None, version: int | None = None) -> pl.LazyFrame:
        """Read a table lazily.

        Args:
            table: What to read.
            days: Only these partitions; default: all.
            version: As of this Delta version; default: now.

        Returns:
            The rows; none where the table was never written, and nulls in a column that is younger than the table.
        """
        stored = self.table(table.name)
        if stored is None:
            return pl.LazyFrame(schema=table.schema)
        if version is not None:
            stored.load_as_version(version)
        frame = self._lazily(stored)
        there = set(frame.collect_schema())
        younger = [name for name in table.schema.names() if name not in there]
        frame = frame.with_columns(pl.lit(None, table.schema[name]).alias(name) for name in younger)
        frame = frame.select(table.schema.names())
        return frame if days is None else frame.filter(pl.col(PARTITION).is_between(*days))

    def rows_if_kept(self, table: StoredTable, days: Days, version: int | None = None) -> pl.DataFrame | None:
        """The rows of some partitions, now or as of a Delta version; None where that version can be read no more.

        So it is when a data file of it was vacuumed away or is damaged, or when the log reaches back less far.
        """
        try:
            return self.scan(table, days, version).collect()
        except (FileNotFoundError, DeltaError, pl.exceptions.ComputeError, pl.exceptions.PanicException):
            return None  # polars panics on a file that is shorter than the log says

    def replace(
        self,
        table: StoredTable,
        rows: pl.DataFrame | Spool | StagedRows,
        days: Days,
        where: Mapping[str, str | Sequence[str]] | None = None,
    ) -> int:
        """Replace exactly the rows of a range of days (and of the given values); doing it twice changes nothing.

        Args:
            table: What to write to.
            rows: The new rows, all of them inside the range; those of a spool pass through memory in batches, and
                staged ones lie in files of the table already.
            days: The range.
            where: Further columns and the value, or one of the values, that the replaced rows have there.

        Returns:
            The Delta version written.

        Raises:
            SchemaError: The rows do not fit the table.
            StagedRowsError: Staged rows are incomplete, or lie outside of what they should replace.
            CommitFailedError: Others kept changing the same rows through all attempts.
            LakeError: S3 did not answer; the table holds either the old rows or the new ones.
        """
        fitting = rows if isinstance(rows, Spool | StagedRows) else _conform(rows, table)
        predicate = _predicate(days, where or {})

        def write() -> None:
            if isinstance(fitting, StagedRows):
                stored = self.table(table.name)
                staged.commit(self.uri(table.name), stored, table, fitting, days, where or {}, self._options())
            else:
                self._write(table, fitting, predicate)

        for attempt in range(COMMIT_ATTEMPTS):
            try:
                self._reached(table.name, write)  # a commit of which nobody knows whether it was done is done again
                return self.version(table.name)
            except CommitFailedError:
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    def _write(self, table: StoredTable, rows: pl.DataFrame | Spool, predicate: str) -> None:
        if not self._is_on_s3:
            Path(self.uri(table.name)).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            self.uri(table.name),
            rows.scan().collect_batches(chunk_size=rows_at_once(table.schema)) if isinstance(rows, Spool) else rows,
            mode="overwrite",
            predicate=predicate,
            partition_by=[PARTITION],
            schema_mode="merge",
            configuration={"delta.dataSkippingStatsColumns": ",".join(table.in_log)},
            writer_properties=writer_properties(table.schema),
            storage_options=self._options(),
        )

    @property
    def addresses(self) -> dict[str, str]:
        """What tasks elsewhere must be told to reach the lake, without credentials: they have their own."""
        return s3.addresses() if self._is_on_s3 else {}

    @property
    def _is_on_s3(self) -> bool:
        return self.root.startswith("s3://")

    def _options(self) -> dict[str, str]:
        """What deltalake must be told about S3."""
        return s3.delta_options(s3.addresses()) if self._is_on_s3 else {}

    def _lazily(self, stored: DeltaTable) -> pl.LazyFrame:
        """The rows of an opened table; polars wants a number where deltalake wants a text."""
        return pl.scan_delta(stored, storage_options={"max_retries": s3.retries()} if self._is_on_s3 else None)

    def _reached(self, name: str, do: Callable[[], FoundT]) -> FoundT:
        """Do something with a table that may be done twice.

        Raises:
            LakeError: S3 does not answer.
        """
        try:
            return s3.patiently(do)
        except (OSError, DeltaError) as error:
            if isinstance(error, LakeError) or not s3.is_of_s3(error):
                raise
            raise LakeError(
                f"{self.uri(name)}: S3 does not answer, so nothing was changed or all of it ({s3.in_words(error)}); "
                "once it answers, the same command goes on"
            ) from error


def _conform(frame: pl.DataFrame, table: StoredTable) -> pl.DataFrame:
    """The frame with the table's columns in order, or an error that says what does not fit."""
    expected = table.schema
    if set(frame.columns) != set(expected.names()):
        missing, extra = set(expected) - set(frame.columns), set(frame.columns) - set(expected)
        raise SchemaError(f"{table.name}: columns missing {sorted(missing)}, unknown {sorted(extra)}")
    rows = frame.select(expected.names())
    for name, dtype in expected.items():
        if rows.schema[name] != dtype:
            raise SchemaError(f"{table.name}.{name}: is {rows.schema[name]}, must be {dtype}")
    for name in table.required:
        if rows[name].null_count():
            raise SchemaError(f"{table.name}.{name}: {rows[name].null_count()} nulls, must have none")
    return rows


def _predicate(days: Days, where: Mapping[str, str | Sequence[str]]) -> str:
    """SQL for the rows to replace; dates are typed and text is quoted, so no input can widen it."""
    first, last = days
    conditions = [f"{PARTITION} >= '{first.isoformat()}'", f"{PARTITION} <= '{last.isoformat()}'"]
    for column, value in where.items():
        if not column.isidentifier():
            raise ValueError(f"{column!r} is no column name")
        values = [value] if isinstance(value, str) else value
        quoted = ", ".join("'" + one.replace("'", "''") + "'" for one in values)
        conditions.append(f"`{column}` IN ({quoted})")
    return " AND ".join(conditions)
