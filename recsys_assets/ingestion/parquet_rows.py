"""Parquet files as raw rows: typed values are written as text, so that all formats are parsed in one place.

The text loses nothing that parsing needs: moments are ISO 8601, with their offset where they have one.
"""

import io
import json

import polars as pl
from polars.exceptions import PolarsError

from recsys_assets.ingestion.raw_rows import UnreadableFileError, check_header, raw_rows
from recsys_assets.mapping import SourceMapping


def read_parquet(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """Read one Parquet file.

    Args:
        data: The file's bytes.
        file_name: The file, relative to the landing.
        mapping: The declaration that it is read by.

    Returns:
        Its raw rows. `line` is the row's number from 1, `raw` is the row as JSON.

    Raises:
        UnreadableFileError: The bytes are no Parquet, or a mapped column is missing.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(data))
        texts = pl.DataFrame([_as_text(column) for column in frame])
    except (PolarsError, pl.exceptions.PanicException) as error:
        raise UnreadableFileError(
            f"{file_name}: is no readable Parquet file ({str(error)[:200]}); deliver it again, or correct "
            f"`format` in recsys.yaml"
        ) from error
    check_header(file_name, texts.columns, mapping)
    return raw_rows(
        file_name,
        line=pl.int_range(1, texts.height + 1, eager=True),
        raw=texts.select(pl.struct(pl.all()).struct.json_encode()).to_series(),
        fields={name: texts[name] for name in mapping.file_columns},
    )


def _as_text(values: pl.Series) -> pl.Series:
    """The values as text: numbers in digits, booleans as true and false, nested values as JSON."""
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        return values.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if dtype.time_zone else ""))
    if isinstance(dtype, pl.Duration):
        return values.dt.to_string("iso")
    if dtype.is_nested():
        nested = [None if value is None else json.dumps(value, default=str) for value in values.to_list()]
        return pl.Series(values.name, nested, pl.String)
    if dtype == pl.Binary:
        decoded = [None if value is None else value.decode("utf-8", "replace") for value in values.to_list()]
        return pl.Series(values.name, decoded, pl.String)
    return values.cast(pl.String)
