"""Files as they really arrive: what becomes a row, what becomes a defect, and what refuses the whole file."""

import contextlib
import gzip
import io
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.ingestion.reading import DayFile, read_files, read_rows
from recsys_assets.mapping import SourceMapping


def mapping_of(*columns: str, **settings: Any) -> SourceMapping:
    declared = {"path": "{date}.csv", "columns": {name: name for name in columns}, **settings}
    return SourceMapping.model_validate(declared)


def read(data: bytes, file_name: str = "day.csv", **settings: Any) -> list[tuple[Any, ...]]:
    """Line, defect and the fields a and b of each row."""
    rows = read_rows(data, file_name, mapping_of("a", "b", **settings))
    return rows.select("line", "defect", "field:a", "field:b").rows()


def test_each_record_becomes_a_row_with_its_line_and_its_raw_text() -> None:
    rows = read_rows(b'b,a\r\n1,"x,y"\r\n2,\r\n', "day.csv", mapping_of("a", "b"))
    assert rows.rows(named=True) == [
        {
            "source_file": "day.csv",
            "line": 2,
            "raw": '1,"x,y"',
            "defect": None,
            "field:a": "x,y",
            "field:b": "1",
        },
        {"source_file": "day.csv", "line": 3, "raw": "2,", "defect": None, "field:a": None, "field:b": "2"},
    ]


def test_a_column_of_the_file_cannot_collide_with_one_of_ours() -> None:
    rows = read_rows(b"line,raw,ds\n7,x,y\n", "day.csv", mapping_of("line", "raw", "ds"))
    assert rows.select("line", "raw", "field:line", "field:raw", "field:ds").row(0) == (
        2,
        "7,x,y",
        "7",
        "x",
        "y",
    )


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"1,2,3\n4,5\n", [(2, "too_many_fields", None, None), (3, None, "4", "5")]),
        (b"1\n4,5\n", [(2, None, "1", None), (3, None, "4", "5")]),
        (b'"1\n2",3\n4,5\n', [(2, None, "1\n2", "3"), (4, None, "4", "5")]),
        (b'"1,2\n4,5\n', [(2, "unclosed_quote", None, None), (3, None, "4", "5")]),
        (b'1,"2\n4,"5\n', [(2, "unclosed_quote", None, None), (3, "unclosed_quote", None, None)]),
        (b"1,\xe9\n4,5\n", [(2, "not_utf8", None, None), (3, None, "4", "5")]),
        (b"1,2\rx\n4,5\n", [(2, "malformed", None, None), (3, None, "4", "5")]),
        (b"1,\x00\n4,5\n", [(2, None, "1", "\x00"), (3, None, "4", "5")]),
        (b'1,7" wide, 6" deep\n', [(2, "too_many_fields", None, None)]),
        (b'1,7" wide\n', [(2, None, "1", '7" wide')]),
        (b"\n4,5\n\n", [(2, None, None, None), (3, None, "4", "5"), (4, None, None, None)]),
        (b'"",5', [(2, None, None, "5")]),
    ],
)
def test_a_bad_csv_record_costs_itself_and_not_its_file(body: bytes, rows: list[tuple[Any, ...]]) -> None:
    assert read(b"a,b\n" + body) == rows


def test_a_quote_that_stays_open_costs_one_line_however_long_the_file_is() -> None:
    body = b'x,"open\n' + b"4,5\n" * 500
    assert [defect for _, defect, _, _ in read(b"a,b\n" + body)] == ["unclosed_quote"] + [None] * 500


def test_what_is_no_utf8_is_kept_with_replacement_characters() -> None:
    assert read_rows(b"a,b\n1,caf\xe9\n", "day.csv", mapping_of("a", "b"))["raw"].item() == "1,caf\ufffd"


def test_byte_order_mark_separator_and_gzip_are_understood() -> None:
    data = gzip.compress(b"\xef\xbb\xbfa;b\n1;2,5\n")
    assert read(data, "day.csv.gz", separator=";") == [(2, None, "1", "2,5")]


def test_a_header_without_rows_is_an_empty_day() -> None:
    assert read(b"a,b\n") == read(b"a,b") == []


@pytest.mark.parametrize(
    ("data", "file_name", "sentence"),
    [
        (b"", "day.csv", "day.csv: is empty"),
        (b"\n\n", "day.csv", "lacks 'a', 'b' .columns found: none."),
        (b"a,c\n1,2\n", "day.csv", "lacks 'b' .columns found: 'a', 'c'.; correct the mapping"),
        (b"a,b,a\n", "day.csv", "names 'a' more than once"),
        (b'"a,b\n1,2\n', "day.csv", "header line is no CSV .unclosed_quote."),
        (b"\x07\x00\xff\xfe" * 9, "day.csv", "lacks 'a', 'b'"),
        (b"PAR1", "day.csv", "format: parquet"),
        ("a,b\n".encode("utf-16"), "day.csv", "save it as UTF-8"),
        (gzip.compress(b"a,b\n", mtime=0), "day.csv", "must end in .gz"),
        (gzip.compress(b"a,b\n", mtime=0)[:-5], "day.csv.gz", "no complete gzip file"),
        (b"a,b\n", "day.csv.gz", "no complete gzip file"),
        (b"", "day.csv.gz", "is empty"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_what_is_wrong(data: bytes, file_name: str, sentence: str) -> None:
    with pytest.raises(UnreadableFileError, match=sentence):
        read(data, file_name)


def test_json_scalars_keep_the_text_that_stands_in_the_file() -> None:
    data = b'{"a": 1.10, "b": 1e5}\n{"a": 12345678901234567890123, "b": false}\n{"b": null}\n{"a": ""}\n'
    rows = [(1, None, "1.10", "1e5"), (2, None, "12345678901234567890123", "false")]
    assert read(data, "day.jsonl", format="jsonl") == [*rows, (3, None, None, None), (4, None, None, None)]


def test_nested_json_values_are_json_text() -> None:
    data = '{"a": {"x": [1.0, "ü"]}, "b": "c"}'.encode()
    assert read(data, "day.jsonl", format="jsonl") == [(1, None, '{"x": [1.0, "ü"]}', "c")]


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        (b"[1]", "not_json"),
        (b"", "not_json"),
        (b'{"a": 1', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": "\\ud83d"}', "not_utf8"),
    ],
)
def test_a_bad_json_line_costs_itself_and_not_its_file(line: bytes, defect: str) -> None:
    data = b'{"a": 1}\n' + line + b'\n{"a": 2}\n'
    read_lines = read(data, "day.jsonl", format="jsonl")
    assert read_lines == [(1, None, "1", None), (2, defect, None, None), (3, None, "2", None)]


def test_an_empty_file_of_json_lines_is_an_empty_day_and_a_binary_one_is_refused() -> None:
    assert read(b"", "day.jsonl", format="jsonl") == []
    with pytest.raises(UnreadableFileError, match="is binary"):
        read(b"\x07\x00\x01", "day.jsonl", format="jsonl")


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_parquet_values_become_text_that_can_be_parsed_again() -> None:
    moment = datetime(2026, 1, 5, 1, 2, 3, 400_000, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "user": [17850.0, None],
            "at": [moment.astimezone(ZoneInfo("Asia/Seoul")), None],
            "naive": [moment.replace(tzinfo=None), None],
            "day": [date(2026, 1, 5), None],
            "adult": [True, None],
            "tags": [["x", "y"], None],
        }
    )
    rows = read_rows(parquet_bytes(frame), "day.parquet", mapping_of(*frame.columns, format="parquet"))
    assert rows.drop("source_file", "raw", "defect").rows() == [
        (
            1,
            "17850.0",
            "2026-01-05T10:02:03.400+09:00",
            "2026-01-05T01:02:03.400",
            "2026-01-05",
            "true",
            '["x", "y"]',
        ),
        (2, None, None, None, None, None, None),
    ]
    assert rows["raw"][0].startswith('{"user":"17850.0","at":"2026-01-05T10:02:03')


def test_what_is_no_parquet_or_lacks_a_column_is_refused() -> None:
    whole = parquet_bytes(pl.DataFrame({"a": [1]}))
    with pytest.raises(UnreadableFileError, match=r"day\.parquet: is no readable Parquet file"):
        read(whole[:-9], "day.parquet", format="parquet")
    with pytest.raises(UnreadableFileError, match=r"lacks 'b' \(columns found: 'a'\)"):
        read(whole, "day.parquet", format="parquet")


def arrow_bytes(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, use_dictionary=False, store_schema=False, compression="none")
    return buffer.getvalue()


def test_a_byte_damaged_anywhere_in_a_parquet_file_never_aborts_the_process() -> None:
    """Polars' own reader takes a 3 at the 14th byte for a length and asks for two exabytes."""
    whole = arrow_bytes(a=pa.array(["u1", "u2", None] * 5), b=pa.array([1, 2, None] * 5))
    heights = set()
    for place in range(len(whole)):
        damaged = whole[:place] + b"\x03" + whole[place + 1 :]
        with contextlib.suppress(UnreadableFileError):
            heights.add(len(read(damaged, "day.parquet", format="parquet")))
    assert heights == {15}


def test_bytes_in_parquet_that_are_no_utf8_cost_their_row_and_stay_distinct() -> None:
    ids = pa.array([b"u1", b"\xe9", b"\xe8"])
    rows = read_rows(arrow_bytes(a=ids, other=ids), "day.parquet", mapping_of("a", format="parquet"))
    assert rows["defect"].to_list() == [None, "not_utf8", "not_utf8"]
    assert rows["raw"].n_unique() == 3
    unmapped = read_rows(
        arrow_bytes(a=pa.array([1, 2, 3]), other=ids), "day.parquet", mapping_of("a", format="parquet")
    )
    assert unmapped["defect"].to_list() == [None] * 3
    assert unmapped["raw"].n_unique() == 3


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.date32(), pa.list_(pa.timestamp("us"))]
)
def test_a_moment_too_far_away_costs_its_row_and_not_its_parquet_file(kind: pa.DataType) -> None:
    far = 2**31 - 1 if kind == pa.date32() else 2**63 - 1
    values: list[Any] = [[far], [0]] if pa.types.is_nested(kind) else [far, 0]
    data = arrow_bytes(a=pa.array([1, 2]), b=pa.array(values, kind))
    found = read(data, "day.parquet", format="parquet")
    assert [defect for _, defect, _, _ in found] == [None, None]
    assert "out of range" in str(found[0][3])
    assert "1970-01-01" in str(found[1][3])


def test_a_parquet_file_may_be_compressed_as_a_whole() -> None:
    data = gzip.compress(arrow_bytes(a=pa.array([1]), b=pa.array(["x"])))
    assert read(data, "day.parquet.gz", format="parquet") == [(1, None, "1", "x")]


def test_a_zero_byte_in_the_first_json_line_costs_that_line_and_not_its_file() -> None:
    assert read(b'{"a": "\x00"}\n{"a": 1}\n', "day.jsonl", format="jsonl") == [
        (1, "not_json", None, None),
        (2, None, "1", None),
    ]


def test_files_of_several_days_follow_each_other_with_their_days() -> None:
    first, second = date(2026, 1, 5), date(2026, 1, 6)
    files = [DayFile(first, "1.csv", b"a,b\n1,2\n"), DayFile(second, "2.csv", b"b,a,c\n2,1,3\n")]
    rows = read_files(files, mapping_of("a", "b"))
    places = rows.select("ds", "source_file", "field:a", "field:b").rows()
    assert places == [(first, "1.csv", "1", "2"), (second, "2.csv", "1", "2")]


def test_no_files_are_no_rows_with_the_same_columns() -> None:
    one = read_files([DayFile(date(2026, 1, 5), "1.csv", b"a,b\n1,2\n")], mapping_of("a", "b"))
    assert read_files([], mapping_of("a", "b")).schema == one.schema
