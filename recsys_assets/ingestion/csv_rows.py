"""CSV files as raw rows: quickly where a file is plain, record by record where it is not.

A file is plain when each physical line is one well-formed record; then Polars and the standard library's
`csv` agree about every field, and Polars is faster. Everything else (quoted newlines, stray quotes, too many
fields, bytes that are not UTF-8) is read carefully: a bad record is set aside, and its file goes on.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from recsys_assets.ingestion.raw_rows import (
    MALFORMED,
    NOT_UTF8,
    TOO_MANY_FIELDS,
    UNCLOSED_QUOTE,
    UnreadableFileError,
    check_header,
    raw_rows,
)
from recsys_assets.mapping import SourceMapping

MAX_RECORD_LINES = 200
"""A quote that is still open after so many lines was never meant to span lines."""


@dataclass(frozen=True)
class CsvText:
    """One CSV file whose header has been read and checked.

    Bytes that are not UTF-8 are in `lines` as lone surrogates, so that every record can still be told apart.
    """

    name: str
    lines: tuple[str, ...]
    separator: str
    header: tuple[str, ...]
    header_lines: int
    places: dict[str, int]


@dataclass(frozen=True)
class _Record:
    fields: Sequence[str]
    line_count: int
    defect: str | None = None


def read_csv(data: bytes, file_name: str, mapping: SourceMapping) -> pl.DataFrame:
    """Read one CSV file.

    Args:
        data: The file's bytes, decompressed.
        file_name: The file, relative to the landing.
        mapping: The declaration that it is read by.

    Returns:
        Its raw rows, in the order of the file.

    Raises:
        UnreadableFileError: The file has no header, or the header does not fit the mapping.
    """
    text = open_csv(data, file_name, mapping)
    quick = read_plain(text)
    return quick if quick is not None else read_carefully(text)


def open_csv(data: bytes, file_name: str, mapping: SourceMapping) -> CsvText:
    """Split a file into physical lines, and read and check its header.

    Raises:
        UnreadableFileError: The file has no header, or the header does not fit the mapping.
    """
    if not data:
        raise UnreadableFileError(f"{file_name}: is empty; a CSV file needs at least a header line")
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    if lines[-1] == "":
        lines.pop()
    first = _record_at(lines, 0, mapping.separator) if lines else _Record((), 0)
    if first.defect is not None:
        raise UnreadableFileError(f"{file_name}: the header line is no CSV ({first.defect}); correct the file")
    header = tuple(_as_utf8(name).strip() for name in first.fields)
    check_header(file_name, header, mapping)
    return CsvText(
        name=file_name,
        lines=tuple(lines),
        separator=mapping.separator,
        header=header,
        header_lines=first.line_count,
        places={name: header.index(name) for name in mapping.file_columns},
    )


def read_plain(text: CsvText) -> pl.DataFrame | None:
    """Read a plain file with Polars.

    Returns:
        Its raw rows, or None when the file is not plain.
    """
    try:
        raw = pl.Series("raw", text.lines, pl.String).str.strip_suffix("\r")
        if not _is_plain(raw, text.separator):
            return None
        frame = pl.read_csv("\n".join([*raw, ""]).encode(), infer_schema=False, separator=text.separator)
    except (UnicodeEncodeError, pl.exceptions.PolarsError):
        return None
    if (frame.height, frame.width) != (len(raw) - 1, len(text.header)):
        return None
    return raw_rows(
        text.name,
        line=pl.int_range(2, len(raw) + 1, eager=True),
        raw=raw.slice(1),
        fields={name: frame.to_series(place) for name, place in text.places.items()},
    )


def read_carefully(text: CsvText) -> pl.DataFrame:
    """Read any file record by record; a record that cannot be read has a defect and no fields."""
    line: list[int] = []
    raw: list[str] = []
    defect: list[str | None] = []
    fields: list[list[str | None]] = []
    start = text.header_lines
    while start < len(text.lines):
        record = _record_at(text.lines, start, text.separator)
        delivered = "\n".join(text.lines[start : start + record.line_count]).removesuffix("\r")
        line.append(start + 1)
        raw.append(_as_utf8(delivered))
        defect.append(_defect_of(record, delivered, len(text.header)))
        known = record.fields if defect[-1] is None else ()
        fields.append([known[place] if place < len(known) else None for place in text.places.values()])
        start += record.line_count
    columns = zip(*fields, strict=True) if fields else ([] for _ in text.places)
    return raw_rows(text.name, line=line, raw=raw, defect=defect, fields=dict(zip(text.places, columns, strict=True)))


def _is_plain(raw: pl.Series, separator: str) -> bool:
    """Whether each line is one record that every CSV reader understands in the same way."""
    if not separator.isascii() or raw.str.contains("\r", literal=True).any():
        return False
    if (raw.str.len_bytes() > csv.field_size_limit()).any():
        return False
    field = rf'(?:[^"{re.escape(separator)}]*|"(?:[^"]|"")*")'
    record = f"^{field}(?:{re.escape(separator)}{field})*$"
    return raw.filter(raw.str.contains('"', literal=True)).str.contains(record).all()


def _record_at(lines: Sequence[str], start: int, separator: str) -> _Record:
    """The record that begins at a line: leniently within its line, strictly where it spans several.

    An empty line behind the window shows, by the reader's line count, that the record wanted to go on.
    """
    for length, is_strict in ((1, False), (MAX_RECORD_LINES, True)):
        window = [line + "\n" for line in lines[start : start + length]]
        reader = csv.reader([*window, ""], delimiter=separator, strict=is_strict)
        try:
            fields = next(reader)
        except csv.Error:
            return _Record((), 1, UNCLOSED_QUOTE if is_strict else MALFORMED)
        if reader.line_num <= len(window):
            return _Record(fields, reader.line_num)
    return _Record((), 1, UNCLOSED_QUOTE)


def _defect_of(record: _Record, delivered: str, width: int) -> str | None:
    if record.defect is not None:
        return record.defect
    if _as_utf8(delivered) != delivered:
        return NOT_UTF8
    return TOO_MANY_FIELDS if len(record.fields) > width else None


def _as_utf8(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
