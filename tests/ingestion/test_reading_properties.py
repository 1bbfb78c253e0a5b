"""What must hold for any bytes: both CSV readers agree, and no line is lost or doubled."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.ingestion.csv_rows import open_csv, read_carefully, read_plain
from recsys_assets.ingestion.reading import read_rows
from recsys_assets.mapping import SourceMapping

COLUMNS = {name: name for name in ("a", "b", "c")}
CSV = SourceMapping.model_validate({"path": "{date}.csv", "columns": COLUMNS})
JSONL = SourceMapping.model_validate({"path": "{date}.jsonl", "format": "jsonl", "columns": COLUMNS})

PIECES = ["1", "x", " ", ",", '"', '""', "\n", "\r\n", "\r", "\x00", "é", "\u2028", "\ufeff", "NULL", "#"]
csv_bodies = st.lists(st.sampled_from([*PIECES, ",", "\n", ',"', '",'])).map(lambda parts: "".join(parts).encode())
broken_bodies = st.lists(st.one_of(csv_bodies, st.binary(max_size=6))).map(b"".join)
FIELDS = st.sampled_from(["", "1", "x y", '"a,b"', '"a ""b"""', '""', "é", " "])
plain_bodies = st.lists(st.lists(FIELDS, max_size=3).map(",".join)).map(lambda lines: "\n".join(lines).encode())


@given(st.one_of(csv_bodies, plain_bodies))
@example(b'1,7" wide\n1,6" deep')
@example(b"\n\n\n")
@example(b'"1"2,3\n')
@settings(max_examples=400, deadline=None)
def test_the_quick_and_the_careful_reader_agree_on_every_file_that_both_read(body: bytes) -> None:
    text = open_csv(b"a,b,c\n" + body, "day.csv", CSV)
    quick = read_plain(text)
    if quick is not None:
        assert_frame_equal(quick, read_carefully(text))


@given(plain_bodies)
@settings(max_examples=100, deadline=None)
def test_well_formed_files_are_read_quickly(body: bytes) -> None:
    assert read_plain(open_csv(b"a,b,c\n" + body, "day.csv", CSV)) is not None


@given(broken_bodies)
@settings(max_examples=300, deadline=None)
def test_the_rows_of_any_csv_file_put_together_are_its_text(body: bytes) -> None:
    rows = read_rows(b"a,b,c\n" + body, "day.csv", CSV)
    lines = body.decode("utf-8", "replace").removesuffix("\n").split("\n") if body else []
    assert "\n".join(rows["raw"]).replace("\r", "") == "\n".join(lines).replace("\r", "")
    assert rows["line"].is_sorted()


@given(st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b'{"a":1}', b'"', b"\r\n"]))).map(b"".join))
@settings(max_examples=200, deadline=None)
def test_every_line_of_any_jsonl_file_is_one_row(body: bytes) -> None:
    data = b'{"a": 1}\n' + body
    rows = read_rows(data, "day.jsonl", JSONL)
    assert rows["line"].to_list() == list(range(1, data.removesuffix(b"\n").count(b"\n") + 2))
