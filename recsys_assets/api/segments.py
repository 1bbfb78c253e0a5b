"""Reading what lies in the event log: the whole lines of a day's segments, as frames. Writing it is in `event_log`."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path

import polars as pl

from recsys_assets.api.event_log import Kind
from recsys_assets.columns import EVENTS, IMPRESSIONS, Table
from recsys_assets.ingestion.api_files import IDENTITY
from recsys_assets.ingestion.forgotten import ForgottenUsers
from recsys_assets.serving.overlay import Overlaid

LOGGER = logging.getLogger(__name__)
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


def days_of(log: Path) -> Iterator[tuple[date, Path]]:
    """The days that have a folder in the log, with it, the oldest first."""
    for path in sorted(log.glob("????-??-??")):
        try:
            yield date.fromisoformat(path.name), path
        except ValueError:
            continue


def read_segments(folder: Path, kind: Kind) -> pl.DataFrame:
    """All whole lines of a day's segments of a kind; a torn last line was promised to nobody.

    Args:
        folder: Of the day.
        kind: Which segments.

    Returns:
        Rows as in SCHEMAS, as often as they were written.
    """
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
        lost = lines.count(b"\n") - len(kept)
        LOGGER.exception("%s: %s of %s lines cannot be read", path, lost, lines.count(b"\n"))
        none = pl.DataFrame(schema=SCHEMAS[kind])
        return pl.read_ndjson(io.BytesIO(b"\n".join(kept)), schema=SCHEMAS[kind]) if kept else none


def _sound(lines: bytes) -> Iterator[bytes]:
    for line in lines.splitlines():
        try:
            is_sound = isinstance(json.loads(line), dict)
        except ValueError:
            is_sound = False
        if is_sound:
            yield line


def deeds_in(log: Path, forgotten: ForgottenUsers | None) -> Iterator[Overlaid]:
    """What users did on the days that lie in the log, in no order, as often as it was told.

    Args:
        log: Its folder.
        forgotten: People of whom nothing is to be remembered.
    """
    for day, folder in days_of(log):
        rows = read_segments(folder, "events").with_columns(ds=pl.lit(day))
        if forgotten is not None:
            rows = rows.filter(~forgotten.are_in(rows))
        deeds = rows.select("user_id", "item_id", "event_type", "occurred_at").drop_nulls()
        for user_id, item_id, event_type, moment in deeds.iter_rows():
            yield Overlaid(user_id, item_id, event_type, datetime.fromisoformat(moment))
