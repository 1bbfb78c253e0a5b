"""Whatever lands, in every format: each row is accepted or set aside once, or the file is refused by its name."""

import csv
import gzip
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.ingestion.reading import DayFile, read_files, read_rows
from recsys_assets.platform import Platform

DAY = date(2026, 1, 5)
COLUMNS = ("user", "item", "at", "n", "price", "flag")
formats = pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
tables = st.sampled_from(["events", "items", "user_blocks"])


@dataclass(frozen=True)
class Content:
    """What an independent reader finds in a file: its lines or rows, and how many rows where that can be told."""

    lines: list[str]
    height: int | None


def content_of(file: DayFile) -> Content:
    data = gzip.decompress(file.data) if file.path.endswith(".gz") else file.data
    if ".parquet" in file.path:
        height = pq.read_metadata(io.BytesIO(data)).num_rows
        return Content([], height)
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = data.decode("utf-8", "replace").split("\n")
    if ".jsonl" in file.path:
        return Content(lines, sum(1 for _ in io.BytesIO(data)))
    try:
        text = data.decode()
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return Content(lines, None)
    return Content(lines, None if re.search("\r(?!\n)", text) else len(records) - 1)


def judged(landed: Sequence[DayFile], platform: Platform, table: str) -> CanonicalRows:
    mapping = platform.sources[table]
    listed = pl.DataFrame({"ds": [file.ds for file in landed], "source_file": [file.path for file in landed]})
    return to_canonical(read_files(landed, mapping), SOURCE_TABLES[table], mapping, platform, files=listed)


def check(landed: Sequence[DayFile], result: CanonicalRows, table: str) -> None:
    counts = {row["source_file"]: row for row in result.counts.iter_rows(named=True)}
    assert set(counts) == {file.path for file in landed}
    for file in landed:
        count, content = counts[file.path], content_of(file)
        rejected = result.rejected.filter(source_file=file.path)
        assert count["parsed"] == count["accepted"] + count["rejected"]
        assert content.height in (None, count["parsed"])
        assert rejected.height == rejected["line"].n_unique() == count["rejected"]
        for line, reason, raw in rejected.select("line", "reason", "raw").iter_rows():
            assert re.fullmatch("[a-z][a-z0-9_]*", reason)
            check_place(content, line, raw)
    assert result.accepted.height == sum(count["accepted"] - count["folded"] for count in counts.values())
    check_accepted(result.accepted, table)


def check_place(content: Content, line: int, raw: str) -> None:
    """The raw text stands where the line says."""
    if content.lines:
        there = content.lines[line - 1 : line + raw.count("\n")]
        assert "\n".join(there).removesuffix("\r") == raw
    else:
        assert content.height is not None
        assert 1 <= line <= content.height
        assert set(json.loads(raw)) <= set(COLUMNS)


def check_accepted(accepted: pl.DataFrame, table: str) -> None:
    spec = SOURCE_TABLES[table]
    assert accepted.schema == spec.schema
    assert all(accepted[name].null_count() == 0 for name in spec.required)
    assert not spec.primary_key or accepted.select(spec.primary_key).is_unique().all()
    for row in accepted.iter_rows(named=True):  # also: every value is one that Python can hold
        moment = row.get("occurred_at") or row.get("changed_at")
        assert moment is None or moment.astimezone(ZoneInfo("Europe/London")).date() == row["ds"] == DAY
        assert row.get("quantity", 0) >= 0
        assert not any(isinstance(value, float) and value != value for value in row.values())  # noqa: PLR0124


def check_refusal(landed: Sequence[DayFile], told: str) -> None:
    assert told.startswith(tuple(f"{file.path}: " for file in landed))


@formats
@given(st.data(), tables)
@settings(max_examples=60, deadline=None)
def test_whatever_lands_is_conserved_or_refused_by_name(
    shop: Any, file_format: str, data: st.DataObject, table: str
) -> None:
    landed = data.draw(shop.files(file_format))
    try:
        result = judged(landed, shop.platform(file_format), table)
    except UnreadableFileError as error:
        check_refusal(landed, str(error))
    else:
        check(landed, result, table)


@formats
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_a_broken_row_costs_itself_and_no_other(shop: Any, file_format: str, data: st.DataObject) -> None:
    whole = {"user": "good", "item": "b1", "at": "2026-01-05 10:00", "n": "1", "price": "2.5", "flag": "yes"}
    broken = data.draw(shop.rows())
    mixed = [row for number, one in enumerate(broken) for row in (one, whole | {"item": f"good{number}"})]
    mixed.append(whole | {"item": "the last one"})
    content = data.draw(shop.writers(file_format, is_typed=False))(mixed)
    if file_format != "parquet":
        content += data.draw(st.sampled_from([b"caf\xe9", b",,,,,,,", b"\x00", b"\r\r", b'{"a": "\\ud83d"}'])) + b"\n"
    accepted = judged([DayFile(DAY, "day", content)], shop.platform(file_format), "events").accepted
    found = accepted.filter(user_id="good")["item_id"].to_list()
    assert found == [*(f"good{number}" for number in range(len(broken))), "the last one"]


@formats
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_changes_nothing_but_line_numbers(shop: Any, file_format: str, data: st.DataObject) -> None:
    delivered, write = data.draw(shop.rows()), data.draw(shop.writers(file_format))
    orders = delivered, data.draw(st.permutations(delivered))
    first, second = (
        judged([DayFile(DAY, "day", write(rows))], shop.platform(file_format), "events") for rows in orders
    )
    assert_frame_equal(first.accepted, second.accepted, check_row_order=False)
    assert_frame_equal(first.rejected.drop("line"), second.rejected.drop("line"), check_row_order=False)
    assert_frame_equal(first.counts, second.counts)


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_a_file_that_was_cut_off_keeps_every_row_before_the_cut(
    shop: Any, file_format: str, data: st.DataObject
) -> None:
    content = data.draw(shop.writers(file_format))(data.draw(shop.rows()))
    mapping = shop.platform(file_format).sources["events"]
    whole = read_rows(content, "day", mapping)
    header = content.index(b"\n") + 1 if file_format == "csv" else 0
    part = content[: data.draw(st.integers(header, len(content)))]
    ends = [*(whole["line"] - 1).to_list()[1:], content.count(b"\n")]
    before = sum(end <= part.count(b"\n") for end in ends)
    assert_frame_equal(read_rows(part, "day", mapping).head(before), whole.head(before))


@formats
@given(st.data())
@settings(max_examples=10, deadline=None)
def test_a_compressed_or_a_parquet_file_that_was_cut_off_is_refused(
    shop: Any, file_format: str, data: st.DataObject
) -> None:
    content = data.draw(shop.writers(file_format))(data.draw(shop.rows()))
    packed = content if file_format == "parquet" else gzip.compress(content)
    name = "day.parquet" if file_format == "parquet" else "day.gz"
    part = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(UnreadableFileError, match=f"^{name}: "):
        read_rows(part, name, shop.platform(file_format).sources["events"])
