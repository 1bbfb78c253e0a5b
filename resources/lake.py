"""The lake: Delta tables under one root, replaced partition by partition.

One small resource around polars and deltalake. What the tables mean, and when they are written, stays out.
"""

import hashlib
import os
import random
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Protocol

import dagster as dg
import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

COMMIT_ATTEMPTS = 12
PARTITION = "ds"

Days = tuple[date, date]
"""The first and the last day of a range, both included."""


class StoredTable(Protocol):
    """What the lake must know about a table."""

    @property
    def name(self) -> str:
        """Its place under the root."""

    @property
    def schema(self) -> pl.Schema:
        """Its columns and dtypes, in order; `ds` is the partition."""

    @property
    def required(self) -> tuple[str, ...]:
        """Its columns without nulls."""


class SchemaError(Exception):
    """A frame does not fit its table; the message names the table, the column, and what would be right."""


class DeltaLake(dg.ConfigurableResource):
    """Delta tables under a local folder or an `s3://` prefix.

    S3 credentials come from the usual AWS variables; commits use S3's conditional puts.
    """

    root: str

    def uri(self, name: str) -> str:
        """The full address of a table."""
        return f"{self.root}/{name}"

    def table(self, name: str) -> DeltaTable | None:
        """The Delta table, or None where nothing was ever written."""
        try:
            return DeltaTable(self.uri(name), storage_options=self._options())
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
        table = self.table(name)
        paths = [] if table is None else table.file_uris([(PARTITION, "<=", day.isoformat())])
        names = "\n".join(sorted(path.rsplit("/", 1)[-1] for path in paths))
        return hashlib.sha256(names.encode()).hexdigest()[:16]

    def scan(self, table: StoredTable, days: Days | None = None) -> pl.LazyFrame:
        """Read a table lazily.

        Args:
            table: What to read.
            days: Only these partitions; default: all.

        Returns:
            The rows; none where the table was never written, and nulls in a column that is younger than the table.
        """
        stored = self.table(table.name)
        if stored is None:
            return pl.LazyFrame(schema=table.schema)
        frame = pl.scan_delta(stored)
        there = set(frame.collect_schema())
        younger = [name for name in table.schema.names() if name not in there]
        frame = frame.with_columns(pl.lit(None, table.schema[name]).alias(name) for name in younger)
        frame = frame.select(table.schema.names())
        return frame if days is None else frame.filter(pl.col(PARTITION).is_between(*days))

    def replace(
        self,
        table: StoredTable,
        frame: pl.DataFrame,
        days: Days,
        where: Mapping[str, str] | None = None,
    ) -> int:
        """Replace exactly the rows of a range of days (and of the given values); doing it twice changes nothing.

        Args:
            table: What to write to.
            frame: The new rows, all of them inside the range.
            days: The range.
            where: Further columns and the value that the replaced rows have there.

        Returns:
            The Delta version written.

        Raises:
            SchemaError: The frame does not fit the table.
            CommitFailedError: Others kept changing the same rows through all attempts.
        """
        rows = _conform(frame, table)
        predicate = _predicate(days, where or {})
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                self._write(table.name, rows, predicate)
                return self.version(table.name)
            except CommitFailedError:
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    def _write(self, name: str, rows: pl.DataFrame, predicate: str) -> None:
        if not self.root.startswith("s3://"):
            Path(self.uri(name)).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            self.uri(name),
            rows,
            mode="overwrite",
            predicate=predicate,
            partition_by=[PARTITION],
            schema_mode="merge",
            storage_options=self._options(),
        )

    def _options(self) -> dict[str, str]:
        """What deltalake must be told about S3; credentials it finds in the usual variables (not in boto's files)."""
        if not self.root.startswith("s3://"):
            return {}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        return {
            "conditional_put": "etag",
            **({"endpoint_url": endpoint} if endpoint else {}),
            **({"allow_http": "true"} if endpoint.startswith("http://") else {}),
        }


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


def _predicate(days: Days, where: Mapping[str, str]) -> str:
    """SQL for the rows to replace; dates are typed and text is quoted, so no input can widen it."""
    first, last = days
    conditions = [f"{PARTITION} >= '{first.isoformat()}'", f"{PARTITION} <= '{last.isoformat()}'"]
    for column, value in where.items():
        if not column.isidentifier():
            raise ValueError(f"{column!r} is no column name")
        quoted = value.replace("'", "''")
        conditions.append(f"`{column}` = '{quoted}'")
    return " AND ".join(conditions)
