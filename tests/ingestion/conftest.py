"""A shop whose exporter breaks in every way that exporters break: rows, files and damage for the fuzzers."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from recsys_assets.ingestion.reading import DayFile
from recsys_assets.platform import Platform

DAY = date(2026, 1, 5)
ZONE = "Europe/London"
COLUMNS = ("user", "item", "at", "n", "price", "flag")
Row = dict[str, Any]


def platform_of(file_format: str, *, is_strict: bool = True) -> Platform:
    """Three tables that are all fed by the same file; the strict mapping refuses more of its rows."""
    sources: dict[str, dict[str, Any]] = {
        "events": {
            "columns": {
                "user_id": {"from": "user", "strip_suffix": ".0"},
                "item_id": "item",
                "occurred_at": "at",
                "quantity": {"from": "n", "absolute": True},
                "unit_price": "price",
            },
            "event_type": {"rules": [{"when": {"column": "n", "below": 0}, "is": "refund"}], "default": "view"},
            "reject": [{"reason": "gift", "when": {"column": "item", "matches": "^G"}}] if is_strict else [],
        },
        "items": {"columns": {"item_id": "item", "title": "user", "released_on": "at", "is_adult": "flag"}},
        "user_blocks": {
            "columns": {
                "user_id": "user",
                "target": {"constant": "item"},
                "target_id": "item",
                "is_blocked": {"from": "flag", "true_values": ["yes"] if is_strict else ["yes", "1"]},
                "changed_at": "at",
            }
        },
    }
    shared = {"path": "{date}*", "format": file_format}
    content: dict[str, Any] = {"time_zone": ZONE, "first_day": DAY, "families": {"popularity": {}}}
    return Platform.model_validate(content | {"sources": {name: one | shared for name, one in sources.items()}})


# --- Rows: mostly good ones, and in any field anything at all. ---

GOOD: dict[str, list[Any]] = {
    "user": ["u1", "u2", "17850.0", 17850.0],
    "item": ["b1", "b2", "G1", 7],
    "at": ["2026-01-05 10:00", "2026-01-05T23:59:59.999999Z", 1_767_607_200, "2026-01-06T00:00:00+01:00"],
    "n": [1, -2, "3", None],
    "price": [2.5, "0.99", 0, None],
    "flag": ["yes", False, "n", "1"],
}
ODD = [
    *[None, "", " ", "\u00a0", "null", True, [1, {"x": None}], {"k": "v"}, [], "NaN", "-", "x" * 5_000],
    *[10**30, -(2**63), 2**63 - 1, 2**64, 1e308, float("nan"), float("-inf"), -0.0, "9" * 400, "1e999", "0x10", "1.5"],
    *["2026-01-06T00:00:00Z", "2026-01-04 23:59:59", "2026-02-30", "now", "+12026-01-05", "-0001-01-01", "00000000"],
    *["9999-12-31T23:59-10:00", "0000-01-01", 253_402_300_800, 99_999_999_999_999, "2026-03-29 01:30"],
    *['say "hi"', '"', "a\nb", "a\r\nb", "a\rb", "a,b", "é", "\ufeff", "\u2028", "\x00", "\x1b[31m", "[bold]"],
]
odd = st.one_of(st.sampled_from(ODD), st.text(max_size=5), st.integers(), st.floats())
rows = st.fixed_dictionaries({name: st.one_of(*[st.sampled_from(good)] * 3, odd) for name, good in GOOD.items()})


@st.composite
def many_rows(draw: st.DrawFn) -> list[Row]:
    """Rows in any order, some of them more than once."""
    distinct = draw(st.lists(rows, max_size=6))
    repeated = draw(st.lists(st.sampled_from(distinct), max_size=3)) if distinct else []
    return draw(st.permutations(distinct + repeated))


# --- Files: rows as an exporter would write them. ---


def as_csv(delivered: Sequence[Row], newline: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(COLUMNS)
    writer.writerows([_as_cell(row[name]) for name in COLUMNS] for row in delivered)
    return buffer.getvalue().encode("utf-8", "replace")


def _as_cell(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, list | dict) else str(value)


def as_jsonl(delivered: Sequence[Row], *, is_ascii: bool = False) -> bytes:
    lines = [json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in delivered]
    return "".join(lines).encode("utf-8", "replace")


def as_parquet(delivered: Sequence[Row], types: dict[str, pa.DataType]) -> bytes:
    """A value that its column cannot hold is null."""
    buffer = io.BytesIO()
    columns = {name: pa.array([_typed(row[name], types[name]) for row in delivered], types[name]) for name in COLUMNS}
    pq.write_table(pa.table({name: _encoded(values) for name, values in columns.items()}), buffer)
    return buffer.getvalue()


def _typed(value: Any, kind: pa.DataType) -> Any:
    """The value, or what it says as a number, moment or text, whichever the type takes first."""
    for reading in (lambda: value, lambda: float(value), lambda: datetime.fromisoformat(value), lambda: str(value)):
        try:
            return pa.scalar(reading(), kind).as_py() if pa.types.is_nested(kind) else pa.scalar(reading(), kind)
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            continue
    return None


def _encoded(values: pa.Array) -> pa.Array:
    """What stands in a binary column is Latin-1, which is UTF-8 only as long as it is ASCII."""
    if not pa.types.is_binary(values.type):
        return values
    texts = (value.as_py() for value in values)
    return pa.array([text and text.decode("utf-8").encode("latin-1", "ignore") for text in texts], pa.binary())


TEXT = pa.string()
NUMBERS = [pa.int64(), pa.float64(), pa.float32(), pa.uint8(), pa.decimal128(38, 2), pa.bool_()]
MOMENTS = [
    pa.timestamp("us", "UTC"),
    pa.timestamp("ms"),
    pa.timestamp("ns", "Asia/Seoul"),
    pa.date32(),
    pa.time64("us"),
]
OTHERS = [
    pa.binary(),
    pa.dictionary(pa.int32(), TEXT),
    pa.list_(TEXT),
    pa.list_(MOMENTS[0]),
    pa.null(),
    pa.large_string(),
]
types = st.fixed_dictionaries(
    {name: st.one_of(*[st.just(TEXT)] * 3, st.sampled_from([*NUMBERS, *MOMENTS, *OTHERS])) for name in COLUMNS}
)


@st.composite
def writers(draw: st.DrawFn, file_format: str, *, is_typed: bool = True) -> Callable[[Sequence[Row]], bytes]:
    """Ways to write rows to a file; the columns of a Parquet file have types, unless all are to be text."""
    if file_format == "csv":
        newline, quoting = (
            draw(st.sampled_from(["\n", "\r\n"])),
            draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        )
        return lambda delivered: as_csv(delivered, newline, quoting)
    if file_format == "jsonl":
        is_ascii = draw(st.booleans())
        return lambda delivered: as_jsonl(delivered, is_ascii=is_ascii)
    chosen = draw(types) if is_typed else dict.fromkeys(COLUMNS, TEXT)
    return lambda delivered: as_parquet(delivered, chosen)


# --- Damage: what happens to a file on its way. ---

DEBRIS = [
    b'"',
    b'x,"y',
    b",,,,,,,,",
    b"",
    b"\r",
    b"null",
    b'{"user": "u1"',
    b'{"user": "\\ud83d"}',
    b"[" * 2_000,
    b"\xff\xfe\x00",
]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with lines added, left out, doubled or in another encoding, glued together, cut off or flipped."""
    lines = data.split(b"\n")
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        text = lines[place].decode("utf-8", "ignore")
        other = st.sampled_from([text.encode(name, "ignore") for name in ("latin-1", "utf-16", "cp500", "ascii")])
        debris = draw(st.one_of(st.sampled_from(DEBRIS), other, st.binary(max_size=9)))
        lines[place : place + draw(st.integers(0, 1))] = [debris]
    data = b"\n".join(lines)
    kind = draw(st.sampled_from(["whole", "whole", "cut", "twice", "flipped", "mark"]))
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind == "flipped" and data:
        place = draw(st.integers(0, len(data) - 1))
        return data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]
    return {"twice": data + data, "mark": b"\xef\xbb\xbf" + data}.get(kind, data)


@st.composite
def files(draw: st.DrawFn, file_format: str) -> list[DayFile]:
    """One or two files of a day, whole or damaged, compressed or not."""
    landed = []
    for number in range(draw(st.integers(1, 2))):
        data = draw(writers(file_format))(draw(many_rows()))
        data = draw(damaged(data)) if draw(st.booleans()) else data
        is_gz = draw(st.booleans())
        packed = gzip.compress(data, compresslevel=1) if is_gz else data
        packed = draw(damaged(packed)) if is_gz and draw(st.integers(0, 5)) == 0 else packed
        landed.append(DayFile(DAY, f"{DAY}-{number}.{file_format}" + (".gz" if is_gz else ""), packed))
    return landed


@dataclass(frozen=True)
class BrokenShop:
    """What the fuzzers draw from.

    Attributes:
        platform: Format to configuration; the same file feeds `events`, `items` and `user_blocks`.
        rows: Lists of rows, some of them repeated, with anything in any field.
        writers: Format to ways in which an exporter writes rows to a file.
        files: Format to lists of a day's files, whole or damaged.
    """

    platform: Callable[..., Platform] = platform_of
    rows: Callable[[], st.SearchStrategy[list[Row]]] = many_rows
    writers: Callable[..., st.SearchStrategy[Callable[[Sequence[Row]], bytes]]] = writers
    files: Callable[[str], st.SearchStrategy[list[DayFile]]] = files


@pytest.fixture(scope="session")
def shop() -> BrokenShop:
    return BrokenShop()
