"""The bytes of one landed file to raw rows, whatever its format.

What the rows mean is decided in `canonical`; where the bytes come from is no concern of this module.
"""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.ingestion.csv_rows import read_csv
from recsys_assets.ingestion.jsonl_rows import read_jsonl
from recsys_assets.ingestion.parquet_rows import read_parquet
from recsys_assets.ingestion.raw_rows import UnreadableFileError, no_rows
from recsys_assets.ingestion.typed_rows import in_text
from recsys_assets.mapping import SourceMapping

_READERS = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}
_FIRST_BYTES = {
    b"\x1f\x8b": "is compressed with gzip; its name must end in .gz",
    b"PAR1": "is a Parquet file; declare `format: parquet` in recsys.yaml",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; deliver it as plain text, or compressed with gzip",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; deliver it plain, or compressed with gzip",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


@dataclass(frozen=True)
class DayFile:
    """One file of the landing, and the day that its path names."""

    ds: date
    path: str
    data: bytes


def read_rows(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """Read one file; every record of it becomes exactly one row, in the order of the file.

    Args:
        data: The file's bytes; they are decompressed when the name ends in `.gz`.
        file_name: The file, relative to the landing.
        mapping: The declaration that it is read by.

    Returns:
        Raw rows, as described in `raw_rows`: `source_file`, `line`, `raw`, `defect` and `field:NAME` columns.

    Raises:
        UnreadableFileError: The file as a whole cannot be read.
    """
    return in_text(_read(data, file_name, mapping))


def _read(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """The same, typed where the format is typed."""
    data = decompressed(data, file_name) if file_name.endswith(".gz") else data
    if mapping.format != "parquet":
        for magic, advice in _FIRST_BYTES.items():
            if data.startswith(magic):
                raise UnreadableFileError(f"{file_name}: {advice}")
    return _READERS[mapping.format](data, file_name, mapping)


def read_files(files: Iterable[DayFile], mapping: SourceMapping) -> pl.DataFrame:
    """Read files of one or many days, one after the other.

    Args:
        files: The files; the order matters, because of two equal rows the first is kept.
        mapping: The declaration that they are read by.

    Returns:
        The raw rows of all files, with `ds`; what `canonical.to_canonical` takes. They are typed (see `typed_rows`)
        where all files have the same types.

    Raises:
        UnreadableFileError: One of the files as a whole cannot be read.
    """
    frames = [_read(file.data, file.path, mapping).with_columns(ds=pl.lit(file.ds)) for file in files]
    if not frames:
        return no_rows(mapping).with_columns(ds=pl.lit(None, pl.Date))
    is_alike = all(frame.schema == frames[0].schema for frame in frames)
    return pl.concat(frames if is_alike else [in_text(frame) for frame in frames])


def decompressed(data: bytes, file_name: str) -> bytes:
    """The content of a gzip file.

    Raises:
        UnreadableFileError: The file is empty, broken or cut off.
    """
    if not data:
        raise UnreadableFileError(f"{file_name}: is empty, which no gzip file is; deliver it again")
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFileError(
            f"{file_name}: is no complete gzip file ({error}); deliver it again, or drop .gz from its name"
        ) from error
