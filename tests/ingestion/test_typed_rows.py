"""What keeps its type on the way is judged exactly as its text would be."""

import io
from datetime import date, datetime
from typing import Any

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.columns import EVENTS
from recsys_assets.ingestion.canonical import to_canonical
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.ingestion.typed_rows import in_text
from recsys_assets.platform import Platform

DAY = date(2026, 3, 29)  # clocks go forward in London


def platform_of(**columns: Any) -> Platform:
    mapped = {"user_id": "user", "item_id": "item", "occurred_at": "at", "quantity": "n", "unit_price": "price"}
    source = {
        "path": "{date}.parquet",
        "format": "parquet",
        "columns": mapped | columns,
        "event_type": {"rules": [{"when": {"column": "n", "below": 0}, "is": "refund"}], "default": "view"},
        "reject": [{"reason": "free", "when": {"column": "price", "equals": "0.0"}}],
    }
    plain = source | {"event_type": {"default": "view"}, "reject": []}
    return Platform.model_validate(
        {
            "time_zone": "Europe/London",
            "first_day": DAY,
            "sources": {"events": source if "unit_price" in columns else plain},
            "families": {"popularity": {}},
        }
    )


PLATFORMS = [
    platform_of(),
    platform_of(quantity={"from": "n", "absolute": True}),
    platform_of(unit_price={"from": "price", "decimal_comma": True}),
    platform_of(occurred_at={"from": "at", "timestamp_format": "%Y-%m-%dT%H:%M:%S"}, quantity={"constant": "2"}),
]
CLOCK = [datetime(2026, 3, 29, hour, 30) for hour in (0, 1, 2, 23)]  # noqa: DTZ001 - local
MOMENTS = [*CLOCK, datetime.min, datetime.max]  # noqa: DTZ901 - local
SALE = (7, "b", CLOCK[0], 2, 1.5)
moments = st.one_of(st.none(), st.sampled_from(MOMENTS), st.datetimes())
whole = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers(-5, 5))
numbers = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e16, 2.0**53, -3.0]), st.floats())
rows = st.lists(st.tuples(st.sampled_from([7, 8, None]), st.sampled_from(["b", " ", ""]), moments, whole, numbers))
types = st.tuples(
    st.sampled_from([pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Datetime("ms"), pl.Datetime("ms", "UTC")]),
    st.sampled_from([pl.Int64, pl.Int8, pl.UInt64, pl.Float64]),
    st.sampled_from([pl.Float64, pl.Float32, pl.Int16]),
)


def parquet(rows: list[Any], kinds: tuple[Any, Any, Any]) -> bytes:
    names = ("user", "item", "at", "n", "price")
    as_given = (pl.Int64, pl.String, pl.Datetime("us"), pl.Int64, pl.Float64)
    frame = pl.DataFrame(rows, schema=dict(zip(names, as_given, strict=True)), orient="row")
    at, n, price = kinds
    zone = pl.col("at").dt.replace_time_zone(at.time_zone).dt.cast_time_unit(at.time_unit)
    frame = frame.with_columns(zone, pl.col("n").cast(n, strict=False), pl.col("price").cast(price, strict=False))
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@given(st.lists(rows, min_size=1, max_size=2), types, st.sampled_from(PLATFORMS))
@example([[SALE, SALE], [SALE]], (pl.Datetime("us"), pl.Int64, pl.Float64), PLATFORMS[0])
@example([[(*SALE[:4], 0.0), (*SALE[:4], -0.0)]], (pl.Datetime("us"), pl.Int64, pl.Float64), PLATFORMS[0])
@settings(max_examples=200, deadline=None)
def test_typed_values_are_judged_as_their_texts_are(files: list[Any], kinds: Any, platform: Platform) -> None:
    mapping = platform.sources["events"]
    landed = [DayFile(DAY, f"{number}.parquet", parquet(rows, kinds)) for number, rows in enumerate(files)]
    typed = read_files(landed, mapping)
    written = in_text(typed)
    assert typed.schema["raw"] == pl.Struct
    assert written.schema["raw"] == pl.String
    by_type, by_text = (to_canonical(rows, EVENTS, mapping, platform) for rows in (typed, written))
    assert_frame_equal(by_type.accepted, by_text.accepted)
    assert_frame_equal(by_type.rejected, by_text.rejected)
    assert_frame_equal(by_type.counts, by_text.counts)


def test_files_whose_types_differ_are_read_as_text() -> None:
    files = [
        parquet([SALE], (pl.Datetime("us"), pl.Int64, pl.Float64)),
        parquet([SALE], (pl.Datetime("ms", "UTC"), pl.Int8, pl.Float64)),
    ]
    platform = PLATFORMS[0]
    landed = [DayFile(DAY, f"{number}.parquet", data) for number, data in enumerate(files)]
    rows = to_canonical(read_files(landed, platform.sources["events"]), EVENTS, platform.sources["events"], platform)
    assert rows.accepted.select("user_id", "quantity", "unit_price").rows() == [("7", 2, 1.5)] * 2
