"""The files of some days, read from the landing and judged, portion by portion. Writing stays with the assets."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from recsys_assets.columns import SOURCE_TABLES, Table
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
    counts = []
    for name, spool in accepted.items():
        for rows in _judged_portions(landing, SOURCE_TABLES[name], platform, landed, forgotten):
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
    parts = list(_judged_portions(landing, table, platform, landed))
    return CanonicalRows(
        accepted=pl.concat(part.accepted for part in parts),
        rejected=pl.concat(part.rejected for part in parts),
        counts=pl.concat(part.counts for part in parts),
    )


def _judged_portions(
    landing: Landing,
    table: Table,
    platform: Platform,
    landed: Sequence[LandedDay],
    forgotten: ForgottenUsers | None = None,
) -> Iterator[CanonicalRows]:
    """What became of the rows of each portion, of none at first; the counts say also what each file held."""
    none = CanonicalRows.none(table)
    yield replace(none, counts=none.counts.with_columns(content=pl.lit(None, pl.String)))
    name = table.key[-1]
    for mapping in (one for fed, one in sources_of(platform) if fed == name):
        days = [one for one in landed if any(reads(mapping, path) for path in one.paths.get(name, ()))]
        for portion in _portions(days, name):
            paths = [(one.day, path) for one in portion for path in one.paths[name] if reads(mapping, path)]
            files = [DayFile(day, path, landing.read(path)) for day, path in paths]
            yield _judged(files, table, mapping, platform, forgotten)


def _judged(
    files: Sequence[DayFile],
    table: Table,
    mapping: SourceMapping,
    platform: Platform,
    forgotten: ForgottenUsers | None,
) -> CanonicalRows:
    """What became of the rows of some files that are read by the same mapping."""
    listed = pl.DataFrame(
        [(file.ds, file.path, _content(file, mapping, platform)) for file in files],
        schema={"ds": pl.Date, "source_file": pl.String, "content": pl.String},
        orient="row",
    )
    judged = to_canonical(read_files(files, mapping), table, mapping, platform, files=listed, forgotten=forgotten)
    return replace(judged, counts=judged.counts.join(listed, on=["ds", "source_file"], how="left"))


def _content(file: DayFile, mapping: SourceMapping, platform: Platform) -> str:
    """A fingerprint of the file's bytes and of how they are read: the same one gives the same rows."""
    how = json.dumps(mapping.model_dump(mode="json"), sort_keys=True)
    reading = [how, platform.time_zone, str(platform.wrong_day_tolerance_minutes)]
    return hashlib.sha256("\n".join(reading).encode() + file.data).hexdigest()[:32]


def _portions(landed: Sequence[LandedDay], table: str) -> Iterator[list[LandedDay]]:
    """Whole days, as many at once as are read together."""
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
