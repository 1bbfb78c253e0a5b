"""Logs of what was shown: each row is taken in, replaced by a later one, or set aside with a reason."""

import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import IMPRESSIONS
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.platform import Platform

DAY = date(2026, 1, 5)
COLUMNS = [name for name in IMPRESSIONS.schema.names() if name != "ds"]
SHOWN = {"request_id": "r1", "item_id": "a", "position": 1, "shown_at": "2026-01-05T10:00:00Z"}


def taken_in(*rows: dict[str, Any], tolerance: int = 0) -> CanonicalRows:
    events = {
        "path": "events/{date}.csv",
        "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"},
        "event_type": {"default": "view"},
    }
    impressions = {"path": "{date}.jsonl", "format": "jsonl", "columns": {name: name for name in COLUMNS}}
    platform = Platform.model_validate(
        {
            "first_day": DAY,
            "wrong_day_tolerance_minutes": tolerance,
            "sources": {"events": events, "impressions": impressions},
            "families": {"popularity": {}},
        }
    )
    delivered = "\n".join(json.dumps({**dict.fromkeys(COLUMNS), **SHOWN, **row}) for row in rows)
    mapping = platform.sources["impressions"]
    files = [DayFile(DAY, "2026-01-05.jsonl", delivered.encode())]
    return to_canonical(read_files(files, mapping), IMPRESSIONS, mapping, platform)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"request_id": None}, "missing_request_id"),
        ({"item_id": ""}, "missing_item_id"),
        ({"position": 0}, "position_below_one"),
        ({"position": -3}, "position_below_one"),
        ({"position": "first"}, "bad_position"),
        ({"is_clicked": "perhaps"}, "bad_is_clicked"),
        ({"propensity": "high"}, "bad_propensity"),
        ({"shown_at": "2026-01-06T00:00:01Z"}, "wrong_day"),
        ({"shown_at": "soon"}, "bad_shown_at"),
    ],
)
def test_what_cannot_be_an_impression_of_the_day_is_set_aside(row: dict[str, Any], reason: str) -> None:
    found = taken_in({"item_id": "z"}, row)
    assert found.rejected["reason"].to_list() == [reason]
    assert found.accepted["item_id"].to_list() == ["z"]


def test_a_clock_that_is_a_little_wrong_is_forgiven_where_that_is_configured() -> None:
    late = {"shown_at": "2026-01-06T00:04:00Z"}
    assert taken_in(late, tolerance=5).accepted.height == 1
    assert taken_in(late, tolerance=3).rejected["reason"].to_list() == ["wrong_day"]


def test_an_impression_told_twice_counts_once() -> None:
    found = taken_in({}, {}, {"item_id": "b", "position": 2})
    assert found.rejected["reason"].to_list() == ["duplicate"]
    assert found.accepted.height == 2


def test_an_impression_told_again_with_its_click_is_as_told_last() -> None:
    found = taken_in({"is_clicked": False}, {"is_clicked": True}, {"is_clicked": False, "position": 2})
    assert found.accepted.sort("position")["is_clicked"].to_list() == [True, False]
    assert found.counts.select("parsed", "accepted", "rejected", "folded").row(0) == (3, 3, 0, 1)


def test_nobody_known_nothing_clicked_and_no_propensity_are_none_of_these() -> None:
    accepted = taken_in({}).accepted
    optional = ["user_id", "surface", "family", "version", "arm", "is_clicked", "propensity"]
    assert accepted.select(pl.col(optional).is_null().all()).row(0) == (True,) * len(optional)
