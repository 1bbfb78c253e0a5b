"""Parquet files as raw rows: simple types are kept, all others are written as text.

Files are opened with pyarrow and not with Polars: of a damaged file Polars may believe a length and ask for so much
memory that the process is aborted, while pyarrow raises.
"""

import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import ComputeError, PanicException, PolarsError

from recsys_assets.ingestion.raw_rows import NOT_UTF8, UnreadableFileError, check_header, raw_rows
from recsys_assets.ingestion.typed_rows import as_text, is_kept
from recsys_assets.mapping import SourceMapping

_DAMAGED = (pa.ArrowException, PolarsError, PanicException, OSError, ValueError, MemoryError)
_LAST_MILLISECOND = (2**63 - 1) // 1_000


def read_parquet(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """Read one Parquet file.

    Args:
        data: The file's bytes, decompressed where the file as a whole was compressed.
        file_name: The file, relative to the landing.
        mapping: The declaration that it is read by.

    Returns:
        Its raw rows, typed as `typed_rows` describes. `line` is the row's number from 1. A row whose mapped columns
        hold bytes that are no UTF-8 has that defect.

    Raises:
        UnreadableFileError: The bytes are no Parquet, or a mapped column is missing.
    """
    try:
        table = pq.ParquetFile(io.BytesIO(data), coerce_int96_timestamp_unit="us").read()
    except _DAMAGED as error:
        raise _unreadable(file_name, error) from error
    check_header(file_name, table.column_names, mapping)
    try:
        columns = {name: _plain(table.column(name)) for name in table.column_names}
        delivered = pl.DataFrame([_delivered(values).alias(name) for name, values in columns.items()])
        is_broken = pl.DataFrame([_is_no_utf8(columns[name]).alias(name) for name in mapping.file_columns])
    except _DAMAGED as error:
        raise _unreadable(file_name, error) from error
    return raw_rows(
        file_name,
        line=pl.int_range(1, delivered.height + 1, eager=True),
        raw=delivered.to_struct(),
        defect=is_broken.select(pl.when(pl.any_horizontal(pl.all())).then(pl.lit(NOT_UTF8))).to_series(),
        fields={name: delivered[name] for name in mapping.file_columns},
    )


def _unreadable(file_name: str, error: BaseException) -> UnreadableFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UnreadableFileError(
        f"{file_name}: is no readable Parquet file ({reason}); deliver it again, or correct `format` in recsys.yaml"
    )


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values without their dictionary; text as bytes, because Parquet does not vouch for its encoding."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain(values.cast(kind.value_type))
    if _is_any(kind, "string", "large_string", "string_view", "binary_view", "fixed_size_binary", "binary"):
        return values.cast(pa.large_binary())
    return values


def _is_any(kind: pa.DataType, *names: str) -> bool:
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _is_no_utf8(values: pa.ChunkedArray) -> pl.Series:
    """For each value, whether it holds bytes that are no UTF-8."""
    if not pa.types.is_large_binary(values.type):
        return pl.repeat(value=False, n=len(values), eager=True)
    try:
        _series(values).cast(pl.String)
    except ComputeError:
        return pl.Series([_decoded(value, "ignore") != _decoded(value, "backslashreplace") for value in values])
    return pl.repeat(value=False, n=len(values), eager=True)


def _delivered(values: pa.ChunkedArray) -> pl.Series:
    """The values as they are where `typed_rows` keeps their type, else as text: nested values as JSON."""
    kind = values.type
    if pa.types.is_large_binary(kind):
        return _bytes_as_text(values)
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        return pl.Series([_nested_as_text(value) for value in values], dtype=pl.String)
    if pa.types.is_decimal(kind):
        return _series(values.cast(pa.string()))
    series = _series(values)
    return series if is_kept(series.dtype) and _has_room(series) else as_text(series)


def _has_room(values: pl.Series) -> bool:
    """Whether all values can be counted in microseconds; Polars panics over milliseconds that cannot."""
    if values.dtype != pl.Datetime("ms") and values.dtype != pl.Datetime("ms", "UTC"):
        return True
    return bool(values.to_physical().is_between(-_LAST_MILLISECOND, _LAST_MILLISECOND).all())


def _series(values: pa.ChunkedArray) -> pl.Series:
    return pl.Series(pl.from_arrow(values))


def _bytes_as_text(values: pa.ChunkedArray) -> pl.Series:
    """Bytes as the text that they are; where they are none, with their numbers, so that they stay distinct."""
    try:
        return _series(values).cast(pl.String)
    except ComputeError:
        return pl.Series([_decoded(value, "backslashreplace") for value in values], dtype=pl.String)


def _decoded(value: pa.Scalar, errors: str) -> str | None:
    return value.as_py().decode("utf-8", errors) if value.is_valid else None


def _nested_as_text(value: pa.Scalar) -> str | None:
    try:
        found = value.as_py()
        if found is None or isinstance(value, pa.ExtensionScalar):
            return None if found is None else str(found)
        return json.dumps(found, default=str)
    except (ValueError, OverflowError):  # a moment that Python does not know, or text that is no UTF-8
        return str(pa.array([value]).to_string())
