"""What lies in a folder, for drafting: path templates, the days that they cover, a sample of each column.

What the columns could mean stays out; that is guessed in `clues`.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

import polars as pl

from recsys_assets.ingestion.days import existing_day
from recsys_assets.ingestion.raw_rows import FIELD, UnreadableFileError
from recsys_assets.ingestion.reading import decompressed, read_rows
from recsys_assets.mapping import DATE_PLACE, FileFormat, SourceMapping

_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_SEPARATORS = ",;\t|"
_DATE = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_PART = re.compile(r"part-[^/]*?(?=\.[a-z]+$|\.[a-z]+\.gz$)")
_LINES_READ = 1_000


@dataclass(frozen=True)
class Sample:
    """The files of one path template.

    `texts` holds the values found in each column, without missing ones; `trouble` says why there are none.
    """

    template: str
    format: FileFormat
    separator: str
    days: tuple[date, ...]
    texts: dict[str, pl.Series]
    trouble: str = ""


def take_samples(paths: Iterable[str], read: Callable[[str], bytes]) -> list[Sample]:
    """Group files by path template, and read a few files of each.

    Args:
        paths: Paths relative to the landing, with `/` between folders.
        read: Gives the bytes of the file at a path.

    Returns:
        One sample for each template, the one with most days first. Files without a date are left out.
    """
    found: dict[str, dict[date, str]] = {}
    for path in sorted(paths):
        place = template_of(path)
        if place is not None:
            found.setdefault(place[0], {})[place[1]] = path
    samples = [_sample(template, days, read) for template, days in found.items()]
    return sorted(samples, key=lambda sample: (-len(sample.days), sample.template))


def template_of(path: str) -> tuple[str, date] | None:
    """The template of a data file that names its day, and the day; None for any other file."""
    dates = [match[0] for match in _DATE.finditer(path) if existing_day(match[0])]
    if not dates or _format_of(path) is None or re.search(r"[{}*]", path):
        return None
    template = path.replace(dates[0], DATE_PLACE, 1).replace(dates[0], "*")
    return _PART.sub("part-*", template), date.fromisoformat(dates[0])


def _format_of(path: str) -> FileFormat | None:
    suffix = PurePosixPath(path.removesuffix(".gz")).suffix
    return _FORMATS.get(suffix.lower())


def _sample(template: str, days: dict[date, str], read: Callable[[str], bytes]) -> Sample:
    in_order = [days[day] for day in sorted(days)]
    chosen = dict.fromkeys([in_order[0], in_order[len(in_order) // 2], in_order[-1]])
    file_format = _format_of(template) or "csv"
    separator, trouble = ",", ""
    frames = []
    for path in chosen:
        try:
            data = read(path)
            content = decompressed(data, path) if path.endswith(".gz") and file_format != "parquet" else data
            separator = _separator_of(content) if file_format == "csv" else separator
            frames.append(_texts(data, path, _probe(content, template, file_format, separator)))
        except (UnreadableFileError, pl.exceptions.PolarsError) as error:
            trouble = str(error).splitlines()[0]
    texts = pl.concat(frames, how="diagonal") if frames else pl.DataFrame()
    columns = {name.removeprefix(FIELD): texts[name].drop_nulls() for name in texts.columns}
    return Sample(template, file_format, separator, tuple(sorted(days)), columns, "" if columns else trouble)


def _texts(data: bytes, path: str, probe: SourceMapping) -> pl.DataFrame:
    rows = read_rows(data, path, probe)
    return rows.select(name for name in rows.columns if name.startswith(FIELD))


def _probe(content: bytes, template: str, file_format: FileFormat, separator: str) -> SourceMapping:
    """A mapping that reads every column of the file."""
    names = _column_names(content, file_format, separator)
    declared = {name: {"from": name} for name in names}
    fields = {"path": template, "format": file_format, "separator": separator, "columns": declared}
    return SourceMapping.model_validate(fields)


def _column_names(content: bytes, file_format: FileFormat, separator: str) -> list[str]:
    if file_format == "parquet":
        return list(pl.read_parquet_schema(io.BytesIO(content)))
    lines = content.decode("utf-8-sig", "replace").split("\n")[:_LINES_READ]
    if file_format == "csv":
        header = next(csv.reader(lines[:1], delimiter=separator), [])
        return [name.strip() for name in header if name.strip()]
    return list(dict.fromkeys(name for line in lines for name in _keys(line)))


def _keys(line: str) -> list[str]:
    try:
        record = json.loads(line)
    except ValueError:
        return []
    return list(record) if isinstance(record, dict) else []


def _separator_of(content: bytes) -> str:
    header = content.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(_SEPARATORS, key=header.count)
