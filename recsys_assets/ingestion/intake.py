"""The files of some days, read from the landing and judged, portion by portion. Writing stays with the assets."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from recsys_assets.columns import Table
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.landing_days import LandedDay
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.mapping import SourceMapping
from recsys_assets.platform import Platform
from resources.landing import Landing

READ_AT_ONCE_BYTES = 128_000_000
"""Files are read and judged in portions of about this size, so that a year of them needs no year's memory."""


def take_in(landing: Landing, table: Table, platform: Platform, landed: Sequence[LandedDay]) -> CanonicalRows:
    """Read and judge the files that feed one table.

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
    mapping = platform.sources.get(table.key[-1])
    days = [one for one in landed if table.key[-1] in one.paths]
    if mapping is None or not days:
        none = CanonicalRows.none(table)
        return replace(none, counts=none.counts.with_columns(content=pl.lit(None, pl.String)))
    parts = [_judge(landing, table, mapping, platform, portion) for portion in _portions(days)]
    return CanonicalRows(
        accepted=pl.concat(part.accepted for part in parts),
        rejected=pl.concat(part.rejected for part in parts),
        counts=pl.concat(part.counts for part in parts),
    )


def _judge(
    landing: Landing, table: Table, mapping: SourceMapping, platform: Platform, landed: Sequence[LandedDay]
) -> CanonicalRows:
    files = [DayFile(one.day, path, landing.read(path)) for one in landed for path in one.paths[table.key[-1]]]
    listed = pl.DataFrame(
        {"ds": [file.ds for file in files], "source_file": [file.path for file in files]},
        schema={"ds": pl.Date, "source_file": pl.String},
    )
    judged = to_canonical(read_files(files, mapping), table, mapping, platform, files=listed)
    content = pl.DataFrame(
        [(file.path, _content(file, mapping, platform)) for file in files],
        schema={"source_file": pl.String, "content": pl.String},
        orient="row",
    )
    return replace(judged, counts=judged.counts.join(content, on="source_file", how="left"))


def _content(file: DayFile, mapping: SourceMapping, platform: Platform) -> str:
    """A fingerprint of the file's bytes and of how they are read: the same one gives the same rows."""
    reading = [mapping.model_dump_json(), platform.time_zone, str(platform.wrong_day_tolerance_minutes)]
    return hashlib.sha256("\n".join(reading).encode() + file.data).hexdigest()[:32]


def _portions(landed: Sequence[LandedDay]) -> Iterator[list[LandedDay]]:
    """Whole days, as many at once as are read together."""
    portion: list[LandedDay] = []
    for one in landed:
        if portion and sum(day.size_bytes for day in portion) + one.size_bytes > READ_AT_ONCE_BYTES:
            yield portion
            portion = []
        portion.append(one)
    yield portion
