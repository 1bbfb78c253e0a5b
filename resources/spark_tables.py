"""Tables of the lake on Spark: read as frames, and written by the tasks, without a Delta jar or one for S3.

The driver learns paths, sizes and counts, never rows. What the rows mean stays out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import and_
from typing import TYPE_CHECKING, TypeAlias

import polars as pl
import pyarrow as pa

from resources.at_rest import PARTITION, StoredTable, arrow_schema, spark_schema, spark_type
from resources.lake import Days, DeltaLake, SchemaError
from resources.lake_files import LIST_ROWS, rows_at_once
from resources.staged import StagedFile, StagedRows, Where
from resources.staged_files import TableFolder, read_files, write_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Make: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
GROUP_ROWS = 1024 * 1024
"""Rows of a row group without lists, as delta-rs has it."""
READ_BYTES = 32 * 1024 * 1024
"""Files on S3 are read by one task up to about this size together."""


@dataclass(frozen=True)
class SparkRows(StagedRows):
    """Rows that tasks of Spark have staged.

    Attributes:
        session: Of whose tasks.
        schema: The columns of the table.
        folder: The table's folder.
    """

    session: "SparkSession"
    schema: pl.Schema
    folder: TableFolder

    def frame(self) -> "DataFrame":
        """See `StagedRows.frame`."""
        files = [(one.path, one.day.isoformat(), one.size_bytes) for one in self.files]
        return _read(self.session, self.schema, self.folder, files)

    def staying(self, paths: Sequence[str], where: Where) -> list[StagedFile]:
        """See `StagedRows.staying`."""
        from pyspark.sql import functions as sf

        files = [(path, path.removeprefix(f"{PARTITION}=").partition("/")[0], READ_BYTES) for path in paths]
        rows = _read(self.session, self.schema, self.folder, files)
        has_them = [sf.col(name).isin(*values) & sf.col(name).isNotNull() for name, values in where.items()]
        return _write(rows.filter(~reduce(and_, has_them)), self.folder, ())


def scan(
    session: "SparkSession", lake: DeltaLake, table: StoredTable, days: Days | None, version: int | None = None
) -> "DataFrame":
    """A table of the lake (only these days of it), now or as of a Delta version."""
    stored = lake.table(table.name)
    if stored is not None and version is not None:
        stored.load_as_version(version)
    files = [] if stored is None else pl.DataFrame(stored.get_add_actions(flatten=True)).rows(named=True)
    dated = [(one["path"], str(one[f"partition.{PARTITION}"]), int(one["size_bytes"])) for one in files]
    first, last = (None, None) if days is None else (str(days[0]), str(days[1]))
    wanted = [one for one in dated if first is None or last is None or first <= one[1] <= last]
    return _read(session, table.schema, table_folder(lake, table), wanted)


def stage(
    frame: "DataFrame",
    lake: DeltaLake,
    table: StoredTable,
    *,
    sort_by: Sequence[str] = (),
    apart: Sequence[str] = (),
    gather_days: bool = False,
) -> StagedRows:
    """Let the tasks write the rows of a frame as files of a table's folder, to be committed by `DeltaLake.replace`.

    Args:
        frame: The rows.
        lake: Where the table is.
        table: What they are rows of.
        sort_by: The order of the rows inside each file; by its key, a reader of some keys can skip the others.
        apart: Columns whose values never share a file, which is what `replace` needs for the columns of `where`.
        gather_days: Whether rows of one day are brought together first, so that not every task writes of every day.

    Raises:
        SchemaError: The frame does not fit the table.
    """
    _require_fit(frame, table)
    folder = table_folder(lake, table, apart)
    rows = frame.hint("rebalance", *folder.keys) if gather_days else frame
    return SparkRows(_write(rows, folder, sort_by), frame.sparkSession, table.schema, folder)


def nothing_staged(session: "SparkSession", lake: DeltaLake, table: StoredTable) -> StagedRows:
    """No rows yet."""
    return SparkRows([], session, table.schema, table_folder(lake, table))


def table_folder(lake: DeltaLake, table: StoredTable, apart: Sequence[str] = ()) -> TableFolder:
    """What tasks must know of a table to read or write its files."""
    return TableFolder(
        uri=lake.uri(table.name),
        schema=arrow_schema(table.schema),
        in_log=table.in_log,
        required=table.required,
        apart=tuple(apart),
        group_rows=LIST_ROWS if rows_at_once(table.schema) == LIST_ROWS else GROUP_ROWS,
        addresses=lake.addresses,
    )


def partitions(session: "SparkSession") -> int:
    """Into how many parts rows are spread, as it is configured."""
    return int(session.conf.get("spark.sql.shuffle.partitions") or 1)


def stage_made(
    frame: "DataFrame", make: Make, lake: DeltaLake, table: StoredTable, *, sort_by: Sequence[str]
) -> StagedRows:
    """Let each task make rows of a table out of its rows of a frame, and write them where they will be committed.

    What is made goes straight from Python to the files; Spark would otherwise take it back and hand it out again.

    Args:
        frame: What the rows are made of.
        make: From batches of a partition to batches with the columns of the table, of one day.
        lake: Where the table is.
        table: What the rows are of.
        sort_by: Columns of the frame, whose order `make` gets and keeps.
    """
    folder = table_folder(lake, table)
    files = _files(frame.sortWithinPartitions(*sort_by), partial(_made, make, folder))
    return SparkRows(files, frame.sparkSession, table.schema, folder)


def _made(make: Make, folder: TableFolder, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Runs in a task."""
    return _written(folder, make(batches))


def _write(frame: "DataFrame", folder: TableFolder, sort_by: Sequence[str]) -> list[StagedFile]:
    """Let each task write its rows."""
    order = dict.fromkeys([*folder.keys, *sort_by])
    ordered = frame.select(*folder.schema.names).sortWithinPartitions(*order)
    return _files(ordered, partial(_written, folder))


def _files(rows: "DataFrame", task: Make) -> list[StagedFile]:
    """The files that the tasks write; what comes back is one line for each."""
    return [StagedFile.from_json(row["file"]) for row in rows.mapInArrow(task, "file string").collect()]


def _written(folder: TableFolder, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Runs in a task."""
    for file in write_files(batches, folder):
        yield pa.record_batch({"file": [file.to_json()]})


def _read(
    session: "SparkSession", schema: pl.Schema, folder: TableFolder, files: Sequence[tuple[str, str, int]]
) -> "DataFrame":
    """The rows of some files: path relative to the folder, day, and size in bytes of each."""
    if not files:
        return session.createDataFrame([], spark_schema(schema))
    if not folder.uri.startswith("s3://"):
        paths = [f"file://{folder.uri}/{path}" for path, _, _ in files]
        reader = session.read.schema(spark_schema(schema)).option("basePath", f"file://{folder.uri}")
        return reader.parquet(*paths).select(*schema.names())
    portions = [(json.dumps(one),) for one in _portions(files)]
    listed = session.sparkContext.parallelize(portions, len(portions))
    return session.createDataFrame(listed, "files string").mapInArrow(partial(_rows, folder), spark_schema(schema))


def _rows(folder: TableFolder, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Runs in a task."""
    for batch in batches:
        for files in batch.column("files").to_pylist():
            yield from read_files(json.loads(files), folder)


def _portions(files: Sequence[tuple[str, str, int]]) -> list[list[tuple[str, str]]]:
    """Path and day of the files that one task reads, for each task."""
    portions: list[list[tuple[str, str]]] = []
    room = 0
    for path, day, size_bytes in files:
        if not portions or size_bytes > room:
            portions.append([])
            room = READ_BYTES
        portions[-1].append((path, day))
        room -= size_bytes
    return portions


def _require_fit(frame: "DataFrame", table: StoredTable) -> None:
    """Raise SchemaError unless the frame has the columns of the table, each with its type."""
    found = {one.name: one.dataType.simpleString() for one in frame.schema.fields}
    expected = table.schema
    if set(found) != set(expected.names()):
        missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        raise SchemaError(f"{table.name}: columns missing {missing}, unknown {extra}")
    for name, dtype in expected.items():
        if found[name] != spark_type(dtype):
            raise SchemaError(f"{table.name}.{name}: is {found[name]}, must be {spark_type(dtype)}")
