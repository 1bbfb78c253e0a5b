"""A finished day of the event log becomes ordinary files of the landing, exactly once, whatever was sent twice.

Its segments are read, each id counts once, and the whole file is put into the landing in one step; then the day is
marked as landed, and only then the segments go. Whoever is killed in between is followed by somebody who lands the
same rows again. The files have the canonical columns, see `ingestion.api_files`; ingestion takes them in.
"""

import fcntl
import gzip
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.api.event_log import LANDED, EventLog, Kind, locked
from recsys_assets.columns import EVENTS, IMPRESSIONS, Table
from recsys_assets.ingestion.api_files import IDENTITY, api_file
from resources.landing import Landing, sync_folder

REMEMBERED_DAYS = 7
"""How long the ids of a landed day are known, so that a late retry is told that it was accepted."""
LOGGER = logging.getLogger(__name__)
IMPRESSION_KEY, KEY_SEPARATOR = ["request_id", "item_id", "position"], "\x1f"
"""What makes an impression the same one when it is sent again."""
MOMENTS = ("occurred_at", "shown_at")
"""They stay as they were written: ingestion reads them, and rejects by them."""


def _written(table: Table, *before: str) -> pl.Schema:
    """The columns of a table as they are written into the log, after some texts."""
    texts = pl.Schema(dict.fromkeys((*before, *MOMENTS), pl.String()))
    names = (*before, *(name for name in table.schema.names() if name != "ds"))
    return pl.Schema([(name, texts.get(name) or table.schema[name]) for name in names])


SCHEMAS: Mapping[Kind, pl.Schema] = {
    "events": _written(EVENTS, IDENTITY),
    "impressions": _written(IMPRESSIONS),
    "served": pl.Schema(
        {
            "request_id": pl.String(),
            "user_id": pl.String(),
            "shown_at": pl.String(),
            "surface": pl.String(),
            "arm": pl.String(),
            "as_of": pl.String(),
            "item_ids": pl.List(pl.String),
            "sources": pl.List(pl.String),
            "versions": pl.List(pl.Struct({"family": pl.String(), "version": pl.String})),
        }
    ),
}
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
    for day, folder in _days(log.folder):
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
    events = _read(folder, "events").unique(IDENTITY, keep="first", maintain_order=True)
    posted = _read(folder, "impressions")
    shown = pl.concat([posted, expanded(_read(folder, "served"), sources_of)])
    shown = shown.unique(IMPRESSION_KEY, keep="first", maintain_order=True)
    for table, rows in (("events", events), ("impressions", shown)):
        if not rows.is_empty():
            landing.write(api_file(table, day), _as_file(rows))
    unfinished = folder / f".{LANDED}"
    ids = [events[IDENTITY], posted.select(pl.concat_str(IMPRESSION_KEY, separator=KEY_SEPARATOR)).to_series()]
    pl.DataFrame({IDENTITY: pl.concat([one.alias(IDENTITY) for one in ids])}).write_parquet(unfinished)
    unfinished.replace(folder / LANDED)
    sync_folder(folder)
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


def _read(folder: Path, kind: Kind) -> pl.DataFrame:
    """All whole lines of a day's segments of a kind."""
    frames = [pl.DataFrame(schema=SCHEMAS[kind])]
    for path in sorted(folder.glob(f"{kind}-*.jsonl")):
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole:
            frames.append(_parsed(whole, kind, path))
    return pl.concat(frames)


def _parsed(lines: bytes, kind: Kind, path: Path) -> pl.DataFrame:
    try:
        return pl.read_ndjson(io.BytesIO(lines), schema=SCHEMAS[kind])
    except pl.exceptions.PolarsError:  # the disk has lost what it had promised to keep
        kept = list(_sound(lines))
        LOGGER.exception("%s: %s of %s lines cannot be read", path, lines.count(b"\n") - len(kept), lines.count(b"\n"))
        return (
            pl.read_ndjson(io.BytesIO(b"\n".join(kept)), schema=SCHEMAS[kind])
            if kept
            else pl.DataFrame(schema=SCHEMAS[kind])
        )


def _sound(lines: bytes) -> Iterator[bytes]:
    for line in lines.splitlines():
        try:
            is_sound = isinstance(json.loads(line), dict)
        except ValueError:
            is_sound = False
        if is_sound:
            yield line


def _clear(log: EventLog, day: date, folder: Path) -> None:
    """Remove the segments of a landed day, and all of it when nobody sends retries any more."""
    is_old = log.day_of(log.clock()) - day > timedelta(days=REMEMBERED_DAYS)
    for path in folder.iterdir():
        if is_old or path.suffix == ".jsonl":
            path.unlink(missing_ok=True)
    if is_old:
        folder.rmdir()


def _days(folder: Path) -> Iterator[tuple[date, Path]]:
    for path in sorted(folder.glob("????-??-??")):
        try:
            yield date.fromisoformat(path.name), path
        except ValueError:
            continue
