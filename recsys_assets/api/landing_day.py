"""A finished day of the event log becomes ordinary files of the landing, exactly once, whatever was sent twice.

Its segments are read, each id counts once, and the whole file is put into the landing in one step; then the day is
marked as landed, and only then the segments go. Whoever is killed in between is followed by somebody who lands the
same rows again. The files have the canonical columns, see `ingestion.api_files`; ingestion takes them in.
"""

import fcntl
import gzip
import io
import logging
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.api.event_log import LANDED, EventLog, locked
from recsys_assets.api.segments import SCHEMAS, days_of, read_segments
from recsys_assets.ingestion.api_files import IDENTITY, api_file
from resources.landing import Landing, LocalLanding

REMEMBERED_DAYS = 7
"""How long the ids of a landed day are known, so that a late retry is told that it was accepted."""
LOGGER = logging.getLogger(__name__)
IMPRESSION_KEY, KEY_SEPARATOR = ["request_id", "item_id", "position"], "\x1f"
"""What makes an impression the same one when it is sent again."""
SourcesOf = Callable[[date, pl.Series], pl.DataFrame]
"""(as-of day, user ids) to user_id, item_id, source: what brought the items of published lists."""


def land_finished(log: EventLog, landing: Landing, sources_of: SourcesOf) -> dict[date, int]:
    """Land every day that is over and not landed yet, and forget what was landed long ago.

    Args:
        log: The log; of all processes, not of this one only.
        landing: Where to.
        sources_of: Looks up what brought the items that were served from published lists.

    Returns:
        Day to the rows that were landed.

    Raises:
        LandingError: The landing takes no files; the day is tried again.
    """
    landed = {}
    for day, folder in days_of(log.folder):
        if not log.is_over(day):
            continue
        if (folder / LANDED).exists():
            _clear(log, day, folder)
            continue
        with locked(folder, fcntl.LOCK_EX):
            if not (folder / LANDED).exists():  # else another process was faster
                landed[day] = _land(day, folder, landing, sources_of)
    return landed


def _land(day: date, folder: Path, landing: Landing, sources_of: SourcesOf) -> int:
    events = read_segments(folder, "events").unique(IDENTITY, keep="first", maintain_order=True)
    posted = read_segments(folder, "impressions")
    shown = pl.concat([posted, expanded(read_segments(folder, "served"), sources_of)])
    shown = shown.unique(IMPRESSION_KEY, keep="first", maintain_order=True)
    for table, rows in (("events", events), ("impressions", shown)):
        if not rows.is_empty():
            landing.write(api_file(table, day), _as_file(rows))
    ids = [events[IDENTITY], posted.select(pl.concat_str(IMPRESSION_KEY, separator=KEY_SEPARATOR)).to_series()]
    marker = io.BytesIO()
    pl.DataFrame({IDENTITY: pl.concat([one.alias(IDENTITY) for one in ids])}).write_parquet(marker)
    LocalLanding(root=str(folder)).write(LANDED, marker.getvalue())  # durable before the segments go
    LOGGER.info("landed %s: %s events, %s impressions", day, events.height, shown.height)
    return events.height + shown.height


def _as_file(rows: pl.DataFrame) -> bytes:
    """Gzipped JSON lines, the same bytes for the same rows."""
    text = io.BytesIO()
    rows.write_ndjson(text)
    return gzip.compress(text.getvalue(), compresslevel=6, mtime=0)


def expanded(served: pl.DataFrame, sources_of: SourcesOf) -> pl.DataFrame:
    """One impression per item of the lists that were served, with the family that brought it.

    Args:
        served: As `SCHEMAS` has it; `sources` is null where the list was a published one.
        sources_of: Looks these up, by the day that the list knew.

    Returns:
        Rows of impressions, in order. Family and version are null where nobody knows them.
    """
    served = served.with_row_index("row")
    own = served.filter(pl.col("sources").is_not_null())
    looked_up = served.filter(pl.col("sources").is_null()).drop("sources")
    found = [
        sources_of(date.fromisoformat(day), looked_up.filter(as_of=day)["user_id"].unique()).with_columns(
            as_of=pl.lit(day)
        )
        for day in looked_up["as_of"].drop_nulls().unique()
    ]
    known = pl.concat(
        [
            pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String, "source": pl.String, "as_of": pl.String}),
            *found,
        ],
        how="diagonal",
    )
    rows = pl.concat(
        [
            _by_item(own, "sources").rename({"sources": "family"}),
            _by_item(looked_up)
            .join(known, on=["user_id", "item_id", "as_of"], how="left")
            .rename({"source": "family"}),
        ],
        how="diagonal",
    ).sort("row", "position")
    return (
        _with_versions(rows)
        .with_columns(is_clicked=pl.lit(None, pl.Boolean), propensity=pl.lit(None, pl.Float64))
        .select(SCHEMAS["impressions"].names())
    )


def _by_item(served: pl.DataFrame, *beside: str) -> pl.DataFrame:
    place = pl.int_ranges(1, pl.col("item_ids").list.len() + 1, dtype=pl.Int64)
    rows = served.with_columns(position=place).explode(
        "item_ids", "position", *beside, empty_as_null=False, keep_nulls=False
    )
    return rows.rename({"item_ids": "item_id"})


def _with_versions(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the version of their family; a source that is no family has none, and is no family."""
    versions = (
        rows.select("row", "versions")
        .unique("row")
        .explode("versions", empty_as_null=False, keep_nulls=False)
        .unnest("versions")
    )
    known = rows.drop("versions").join(versions, on=["row", "family"], how="left", maintain_order="left")
    return known.with_columns(family=pl.when(pl.col("version").is_not_null()).then("family"))


def _clear(log: EventLog, day: date, folder: Path) -> None:
    """Remove the segments of a landed day, and all of it when nobody sends retries any more."""
    for path in folder.glob("*.jsonl"):  # first: without the marker they would be landed once more
        path.unlink(missing_ok=True)
    if log.day_of(log.clock()) - day > timedelta(days=REMEMBERED_DAYS):
        shutil.rmtree(folder, ignore_errors=True)  # another process may be doing the same
