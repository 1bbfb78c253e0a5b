"""Broken landings through the asset that ingests them: a real folder, a real lake, and what stands there afterwards."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES
from recsys_assets.ingestion.assets import build_assets
from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.ingestion.reading import DayFile
from recsys_assets.platform import Platform
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.landing import LocalLanding

DAYS = (date(2026, 1, 5), date(2026, 1, 6))
COUNTED = ("parsed", "accepted", "rejected", "folded")
formats = st.sampled_from(["csv", "jsonl", "parquet"])
QUICKLY = {"deadline": None, "phases": [Phase.generate]}
"""An example costs the better part of a second: they are not made smaller."""
Stored = dict[str, pl.DataFrame]


def land(folder: Path, files: Sequence[DayFile]) -> None:
    (folder / "landing").mkdir(exist_ok=True)
    for file in files:
        (folder / "landing" / file.path).write_bytes(file.data)


def ingest(folder: Path, platform: Platform, lake: str = "lake") -> Stored:
    """Run the asset over both days, and read back everything that it is responsible for."""
    resources = {
        "lake": DeltaLake(root=str(folder / lake)),
        "landing": LocalLanding(root=str(folder / "landing")),
        "engine": PolarsEngine(),
    }
    days = {f"dagster/asset_partition_range_{end}": str(day) for end, day in zip(("start", "end"), DAYS, strict=True)}
    dg.materialize(build_assets(platform), resources=resources, tags=days)
    return stored(folder / lake)


def stored(lake: Path) -> Stored:
    tables = [SOURCE_TABLES[name] for name in ("events", "items", "user_blocks")]
    found = {one.name: DeltaLake(root=str(lake)).scan(one).collect() for one in (*tables, REJECTED_ROWS)}
    files = DeltaLake(root=str(lake)).scan(INGESTED_FILES)
    return found | {"files": files.select("ds", "table", "source_file", *COUNTED).collect()}


def assert_same(first: Stored, second: Stored) -> None:
    for name, rows in first.items():
        assert_frame_equal(rows, second[name], check_row_order=False)


def assert_conserved(found: Stored, landed: Sequence[DayFile]) -> None:
    counts, rejected = found["files"], found[REJECTED_ROWS.name]
    assert counts.height == 3 * len(landed)
    assert counts.filter(pl.col("parsed") != pl.col("accepted") + pl.col("rejected")).is_empty()
    for (table, source_file), count in counts.partition_by("table", "source_file", as_dict=True).items():
        assert rejected.filter(table=table, source_file=source_file).height == count["rejected"].item()
    for (ds, table), count in counts.partition_by("ds", "table", as_dict=True).items():
        written = found[f"sources/{table}"].filter(ds=ds)
        assert written.height == (count["accepted"] - count["folded"]).sum()


def assert_refused(folder: Path, told: str, landed: Sequence[DayFile]) -> None:
    assert told.startswith(tuple(f"{file.path}: " for file in landed))
    assert not (folder / "lake").exists()


@st.composite
def landings(draw: st.DrawFn, shop: Any, file_format: str) -> list[DayFile]:
    """What a shop delivers for two days."""
    first, second = draw(shop.files(file_format)), draw(shop.files(file_format))
    later = [DayFile(DAYS[1], file.path.replace(str(DAYS[0]), str(DAYS[1])), file.data) for file in second]
    return [*first, *later]


@given(st.data(), formats)
@settings(max_examples=6, **QUICKLY)
def test_what_stands_in_the_lake_adds_up_and_a_second_time_changes_nothing(
    shop: Any, data: st.DataObject, file_format: str
) -> None:
    landed = data.draw(landings(shop, file_format))
    with TemporaryDirectory() as place:
        land(Path(place), landed)
        try:
            first = ingest(Path(place), shop.platform(file_format))
        except UnreadableFileError as error:
            assert_refused(Path(place), str(error), landed)
            return
        assert_conserved(first, landed)
        assert_same(first, ingest(Path(place), shop.platform(file_format)))


@given(st.data(), formats)
@settings(max_examples=4, **QUICKLY)
def test_after_the_mapping_is_mended_the_lake_is_as_if_it_had_always_been_right(
    shop: Any, data: st.DataObject, file_format: str
) -> None:
    gift = {"user": "u1", "item": "G1", "at": "2026-01-05 10:00", "n": "1", "price": "1", "flag": "1"}
    content = data.draw(shop.writers(file_format, is_typed=False))([*data.draw(shop.rows()), gift])
    with TemporaryDirectory() as place:
        land(Path(place), [DayFile(DAYS[0], f"{DAYS[0]}.{file_format}", content)])
        before = ingest(Path(place), shop.platform(file_format))
        after = ingest(Path(place), shop.platform(file_format, is_strict=False))
        assert_same(after, ingest(Path(place), shop.platform(file_format, is_strict=False), "another_lake"))
    reasons = [set(found[REJECTED_ROWS.name].filter(table="events")["reason"]) for found in (before, after)]
    assert "gift" in reasons[0] - reasons[1]
    assert before["files"].select("table", "parsed").equals(after["files"].select("table", "parsed"))
    is_newly_accepted = pl.col("item_id") == "G1"
    assert before["sources/events"].filter(is_newly_accepted).is_empty()
    assert not after["sources/events"].filter(is_newly_accepted).is_empty()


@given(st.data(), formats)
@settings(max_examples=2, **QUICKLY)
def test_a_file_that_turns_unreadable_leaves_the_lake_as_it_was(
    shop: Any, data: st.DataObject, file_format: str
) -> None:
    content = data.draw(shop.writers(file_format))(data.draw(shop.rows()))
    with TemporaryDirectory() as place:
        land(Path(place), [DayFile(DAYS[0], f"{DAYS[0]}.{file_format}", content)])
        before = ingest(Path(place), shop.platform(file_format))
        land(Path(place), [DayFile(DAYS[1], f"{DAYS[1]}.{file_format}.gz", b"\x1f\x8bcut")])
        with pytest.raises(UnreadableFileError, match=rf"^{DAYS[1]}\.{file_format}\.gz: "):
            ingest(Path(place), shop.platform(file_format))
        assert_same(before, stored(Path(place) / "lake"))
