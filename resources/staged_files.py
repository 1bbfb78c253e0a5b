"""Writing and reading the Parquet files of a table inside a task, without the table: the same files as delta-rs writes.

A task knows where the table lies and what its columns are, and no more; credentials for S3 it finds in its own
environment. Which files belong to the table is decided by whoever commits.
"""

import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from resources import s3
from resources.at_rest import PARTITION
from resources.staged import StagedFile

READ_ROWS = 10_000
BUFFERED_BYTES = 64 * 1024 * 1024
"""Rows that wait to become a row group take no more than about this."""
FILE_BYTES = 100 * 1024 * 1024
"""A file that has grown to this is closed and another begun, as delta-rs does."""


@dataclass(frozen=True)
class TableFolder:
    """Where the files of a table lie and what they hold; it travels to the tasks, so it knows no secret.

    Attributes:
        uri: The table's folder, or `s3://` prefix.
        schema: Its columns, the partition included.
        in_log: Columns whose extremes may stand in the table's log.
        required: Columns whose nulls are counted.
        apart: Columns whose values never share a file.
        group_rows: Rows of a row group.
        addresses: What the client of S3 must be told, without credentials.
    """

    uri: str
    schema: pa.Schema
    in_log: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    group_rows: int = READ_ROWS
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that have one value in each file."""
        return (PARTITION, *self.apart)

    @property
    def inside(self) -> pa.Schema:
        """The columns that the files hold: the partition is in their path."""
        return self.schema.remove(self.schema.get_field_index(PARTITION))

    @cached_property
    def files(self) -> pyarrow.fs.FileSystem:
        """The folder as a file system."""
        if not self.uri.startswith("s3://"):
            return pyarrow.fs.SubTreeFileSystem(self.uri, pyarrow.fs.LocalFileSystem())
        from deltalake.fs import DeltaStorageHandler

        return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.uri, s3.delta_options(self.addresses)))


def write_files(batches: Iterable[pa.RecordBatch], folder: TableFolder) -> Iterator[StagedFile]:
    """Write rows as new files of a table's folder, one for each day and each value that is kept apart.

    Args:
        batches: Rows with the columns of the table, in the order of `TableFolder.keys`; otherwise files are many.
        folder: Where to.

    Yields:
        Each file once it is whole.
    """
    current: _OpenFile | None = None
    for batch in batches:
        for rows in _runs(batch.select(folder.schema.names), folder.keys):
            key = tuple(rows.column(name)[0].as_py() for name in folder.keys)
            if current is not None and (current.key != key or current.is_full):
                yield current.close()
                current = None
            current = current or _OpenFile(folder, key)
            current.write(rows)
    if current is not None:
        yield current.close()


def read_files(paths: Iterable[tuple[str, str]], folder: TableFolder) -> Iterator[pa.RecordBatch]:
    """The rows of some files, a few at a time; nulls in columns that are younger than a file.

    Args:
        paths: Path relative to the folder, and the day of its rows, of each file.
        folder: Where they lie.
    """
    for path, day in paths:
        with folder.files.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            there = [name for name in folder.inside.names if name in file.schema_arrow.names]
            for batch in file.iter_batches(READ_ROWS, columns=there):
                columns = {name: batch.column(name) for name in there}
                columns[PARTITION] = pa.repeat(pa.scalar(date.fromisoformat(day)), batch.num_rows)
                yield pa.record_batch(
                    [
                        columns[one.name].cast(one.type) if one.name in columns else pa.nulls(batch.num_rows, one.type)
                        for one in folder.schema
                    ],
                    schema=folder.schema,
                )


class _OpenFile:
    """A file that is being written."""

    def __init__(self, folder: TableFolder, key: tuple[Any, ...]) -> None:
        self.key = key
        self._folder = folder
        self._path = f"{PARTITION}={key[0].isoformat()}/part-{uuid.uuid4()}.zstd.parquet"
        if isinstance(folder.files, pyarrow.fs.SubTreeFileSystem):
            folder.files.create_dir(self._path.rpartition("/")[0], recursive=True)
        self._sink = folder.files.open_output_stream(self._path)
        self._metadata: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            self._sink,
            folder.inside,
            compression="zstd",
            compression_level=1,
            dictionary_pagesize_limit=64 * 1024,
            metadata_collector=self._metadata,
        )
        self._nulls = dict.fromkeys((name for name in folder.required if name != PARTITION), 0)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._waiting_rows = self._waiting_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the next rows belong into another file."""
        return bool(self._sink.tell() >= FILE_BYTES)

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows of the file's key."""
        for name in self._nulls:
            self._nulls[name] += rows.column(name).null_count
        inside = rows.select(self._folder.inside.names).cast(self._folder.inside)
        self._waiting.append(inside)
        self._rows += inside.num_rows
        self._waiting_rows += inside.num_rows
        self._waiting_bytes += inside.nbytes
        if self._waiting_rows >= self._folder.group_rows or self._waiting_bytes >= BUFFERED_BYTES:
            self._flush()

    def close(self) -> StagedFile:
        """Finish the file."""
        self._flush()
        self._writer.close()
        size_bytes = self._sink.tell()
        self._sink.close()
        day, *apart = self.key
        return StagedFile(
            path=self._path,
            size_bytes=size_bytes,
            rows=self._rows,
            day=day,
            apart=dict(zip(self._folder.apart, apart, strict=True)),
            nulls=self._nulls,
            stats=_stats(self._metadata[0], self._folder.in_log),
        )

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._folder.group_rows)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0


def _runs(batch: pa.RecordBatch, keys: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The rows, cut wherever a key changes."""
    ends = {end for key in keys for end in pc.run_end_encode(batch.column(key)).run_ends.to_pylist()}
    begin = 0
    for end in sorted(ends):
        yield batch.slice(begin, end - begin)
        begin = end


def _stats(metadata: pq.FileMetaData, in_log: tuple[str, ...]) -> str:
    """What a table's log says of a file: rows, and of the columns that may be named there extremes and nulls."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    lowest, highest, nulls = {}, {}, {}
    for place in range(metadata.num_columns):
        name = metadata.schema.column(place).path
        found = [group.column(place).statistics for group in groups]
        if name not in in_log or any(one is None or not one.has_null_count for one in found):
            continue
        nulls[name] = sum(one.null_count for one in found)
        known = [one for one in found if one.num_values]
        if known and all(one.has_min_max for one in known):
            ends = min(one.min for one in known), max(one.max for one in known)
            if not any(isinstance(end, float) and not math.isfinite(end) for end in ends):
                lowest[name], highest[name] = _written(ends[0]), _written(ends[1], is_highest=True)
    stats = {"numRecords": metadata.num_rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls}
    return json.dumps(stats)


def _written(value: Any, *, is_highest: bool = False) -> Any:
    """A value as the log has it; moments in whole milliseconds, so that all of the file's lie between the extremes."""
    if isinstance(value, datetime):
        beyond = timedelta(microseconds=(-value.microsecond if is_highest else value.microsecond) % 1_000)
        rounded = value + beyond if is_highest else value - beyond
        return rounded.strftime("%Y-%m-%dT%H:%M:%S.") + f"{rounded.microsecond // 1_000:03}Z"
    return value.isoformat() if isinstance(value, date) else value
