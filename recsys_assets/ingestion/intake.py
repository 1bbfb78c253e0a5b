"""The files of some days, read from the landing and judged, portion by portion. Writing stays with the assets."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from recsys_assets.columns import REJECTED_ROWS, SOURCE_TABLES, Table
from recsys_assets.ingestion.api_files import reads, sources_of
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.forgotten import ForgottenUsers
from recsys_assets.ingestion.landing_days import LandedDay
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.mapping import SourceMapping
from recsys_assets.platform import Platform
from resources.lake import Spool
from resources.landing import Landing

READ_AT_ONCE_BYTES = 10_000_000
"""Files are read and judged in portions of about this size, so that a year of them needs no year's memory.

Compressed files grow to some ten times their size in memory, and judging takes several times that.
"""


@dataclass(frozen=True)
class FilePortion:
    """Files that are read and judged together.

    Attributes:
        table: The name of the table that they feed.
        mapping: How they are read.
        files: Day and path of each.
    """

    table: str
    mapping: SourceMapping
    files: tuple[tuple[date, str], ...]


def spool_in(
    landing: Landing,
    platform: Platform,
    landed: Sequence[LandedDay],
    accepted: Mapping[str, Spool],
    rejected: Spool,
    forgotten: ForgottenUsers | None = None,
) -> pl.DataFrame:
    """Read and judge the files that feed some tables, however many there are.

    Args:
        landing: Where the files are.
        platform: The configuration.
        landed: The days to take in.
        accepted: Name of each table to where its rows are put.
        rejected: Where the rows that are set aside are put.
        forgotten: People whose rows are set aside.

    Returns:
        Rows of `INGESTED_FILES` without the fingerprint of the landing.

    Raises:
        LandingError: A file cannot be fetched.
        UnreadableFileError: A file cannot be read as a whole.
    """
    counts = [nothing(REJECTED_ROWS).counts]
    for name, spool in accepted.items():
        for portion in portions(platform, landed, name):
            rows = judged(portion, landing, platform, forgotten)
            spool.add(rows.accepted)
            rejected.add(rows.rejected)
            counts.append(rows.counts)
    return pl.concat(counts)


def take_in(landing: Landing, table: Table, platform: Platform, landed: Sequence[LandedDay]) -> CanonicalRows:
    """Read and judge the files of a few days that feed one table.

    Args:
        landing: Where the files are.
        table: One of `columns.SOURCE_TABLES`.
        platform: The configuration.
        landed: The days to take in.

    Returns:
        Accepted and rejected rows with counts per file.

    Raises:
        LandingError: A file cannot be fetched.
        UnreadableFileError: A file cannot be read as a whole.
    """
    found = portions(platform, landed, table.key[-1])
    parts = [nothing(table), *(judged(portion, landing, platform) for portion in found)]
    return CanonicalRows(
        accepted=pl.concat(part.accepted for part in parts),
        rejected=pl.concat(part.rejected for part in parts),
        counts=pl.concat(part.counts for part in parts),
    )


def portions(platform: Platform, landed: Sequence[LandedDay], table: str) -> Iterator[FilePortion]:
    """The files that feed one table, in portions that are judged apart: whole days of one mapping.

    Args:
        platform: The configuration.
        landed: The days to take in.
        table: Its name in `recsys.yaml`.
    """
    for mapping in (one for fed, one in sources_of(platform) if fed == table):
        days = [one for one in landed if any(reads(mapping, path) for path in one.paths.get(table, ()))]
        for some in _days_at_once(days, table):
            files = ((one.day, path) for one in some for path in one.paths[table] if reads(mapping, path))
            yield FilePortion(table, mapping, tuple(files))


def judged(
    portion: FilePortion, landing: Landing, platform: Platform, forgotten: ForgottenUsers | None = None
) -> CanonicalRows:
    """What became of the rows of a portion; the counts say also what each file held.

    Args:
        portion: The files.
        landing: Where they are.
        platform: The configuration.
        forgotten: People whose rows are set aside.

    Raises:
        LandingError: A file cannot be fetched.
        UnreadableFileError: A file cannot be read as a whole.
    """
    contents = landing.read_all(path for _, path in portion.files)
    files = [DayFile(day, path, data) for (day, path), data in zip(portion.files, contents, strict=True)]
    mapping = portion.mapping
    listed = pl.DataFrame(
        [(file.ds, file.path, _content(file, mapping, platform)) for file in files],
        schema={"ds": pl.Date, "source_file": pl.String, "content": pl.String},
        orient="row",
    )
    rows = read_files(files, mapping)
    table = SOURCE_TABLES[portion.table]
    found = to_canonical(rows, table, mapping, platform, files=listed, forgotten=forgotten)
    return replace(found, counts=found.counts.join(listed, on=["ds", "source_file"], how="left"))


def nothing(table: Table) -> CanonicalRows:
    """What became of no files, as `judged` has it."""
    none = CanonicalRows.none(table)
    return replace(none, counts=none.counts.with_columns(content=pl.lit(None, pl.String)))


def _content(file: DayFile, mapping: SourceMapping, platform: Platform) -> str:
    """A fingerprint of the file's bytes and of how they are read: the same one gives the same rows."""
    how = json.dumps(mapping.model_dump(mode="json"), sort_keys=True)
    reading = [how, platform.time_zone, str(platform.wrong_day_tolerance_minutes)]
    return hashlib.sha256("\n".join(reading).encode() + file.data).hexdigest()[:32]


def _days_at_once(landed: Sequence[LandedDay], table: str) -> Iterator[list[LandedDay]]:
    """Whole days, as many as are read together."""
    portion: list[LandedDay] = []
    size_bytes = 0
    for one in landed:
        if portion and size_bytes + one.size_bytes[table] > READ_AT_ONCE_BYTES:
            yield portion
            portion, size_bytes = [], 0
        portion.append(one)
        size_bytes += one.size_bytes[table]
    if portion:
        yield portion
