"""No row is lost or doubled between a file and its tables, whatever the file holds."""

import gzip
from datetime import date

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.platform import Platform

DAYS = (date(2026, 1, 5), date(2026, 1, 6))
PLATFORM = Platform.model_validate(
    {
        "time_zone": "Europe/London",
        "first_day": DAYS[0],
        "sources": {
            "events": {
                "path": "{date}.csv",
                "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at", "quantity": "n"},
                "event_type": {
                    "rules": [{"when": {"column": "n", "below": 0}, "is": "refund"}],
                    "default": "view",
                },
                "reject": [{"reason": "gift", "when": {"column": "item", "matches": "G"}}],
            },
            "items": {"path": "{date}.csv", "columns": {"item_id": "item", "price": "n"}},
        },
        "families": {"popularity": {}},
    }
)
FIELDS = [
    "u1",
    "u2",
    "",
    " ",
    "b1",
    "G1",
    "2026-01-05 10:00",
    "2026-01-06T00:00Z",
    "now",
    "1",
    "-2",
    "1.5",
    "9" * 30,
]
DEBRIS = ['"', '""', "\n", "\r\n", "\x00", "é", ",,,,,", '"a\nb"', "null"]
rows = st.lists(st.sampled_from(FIELDS), min_size=4, max_size=4).map(",".join)
texts = st.lists(st.one_of(rows, rows, st.sampled_from(DEBRIS))).map("\n".join).map(str.encode)
bodies = st.one_of(texts, st.lists(st.one_of(texts, st.binary(max_size=5)), max_size=6).map(b"".join))


def canonical(table: str, contents: list[bytes]) -> tuple[pl.DataFrame, CanonicalRows]:
    mapping = PLATFORM.sources[table]
    landed = [
        DayFile(DAYS[number % 2], f"{number}.csv.gz", gzip.compress(b"user,item,at,n\n" + content))
        for number, content in enumerate(contents)
    ]
    raw = read_files(landed, mapping)
    return raw, to_canonical(raw, SOURCE_TABLES[table], mapping, PLATFORM)


@given(st.lists(bodies, max_size=4), st.sampled_from(["events", "items"]))
@example([b"u1,b1,2026-01-05 10:00,1\nu1,b1,2026-01-05 10:00,1\n"], "events")
@settings(max_examples=150, deadline=None)
def test_every_row_is_accepted_or_rejected_and_counted_once(contents: list[bytes], table: str) -> None:
    raw, result = canonical(table, contents)
    counts = result.counts
    assert counts["parsed"].sum() == raw.height
    assert counts.filter(pl.col("parsed") != pl.col("accepted") + pl.col("rejected")).is_empty()
    assert counts["rejected"].sum() == result.rejected.height
    assert (counts["accepted"] - counts["folded"]).sum() == result.accepted.height
    assert result.rejected.join(raw, on=["source_file", "line", "raw"]).height == result.rejected.height


@given(st.lists(bodies, max_size=4), st.sampled_from(["events", "items"]))
@settings(max_examples=50, deadline=None)
def test_what_is_accepted_keeps_the_promises_of_its_table(contents: list[bytes], table: str) -> None:
    _, result = canonical(table, contents)
    spec = SOURCE_TABLES[table]
    assert result.accepted.schema == spec.schema
    assert all(result.accepted[name].null_count() == 0 for name in spec.required)
    assert result.rejected.null_count().sum_horizontal().item() == 0
    if spec.primary_key:
        assert result.accepted.select(spec.primary_key).is_unique().all()


@given(st.lists(bodies, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_same_bytes_give_the_same_tables(contents: list[bytes]) -> None:
    (_, first), (_, second) = canonical("items", contents), canonical("items", contents)
    assert_frame_equal(first.accepted, second.accepted)
    assert_frame_equal(first.rejected, second.rejected)
    assert_frame_equal(first.counts, second.counts)
