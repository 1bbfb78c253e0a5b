"""One small store, simulated once, and read back from its files by code of the tests' own."""

import csv
import gzip
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.simulation import SimulatedStore, StoreParameters, simulate

GOOD_ROW = re.compile(
    r"U\d{6},B\d{7},(view|cart|wish|purchase|refund|rating),\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,1,(\d+\.\d\d)?"
)


@dataclass(frozen=True)
class Landed:
    """What lies in the landing of a simulated store.

    Attributes:
        landing: The folder.
        summary: What the simulation said about it.
        lines: Rows of the event files as (day of the file, text), in their order.
        events: The good rows among them, with `ds`, and `row`, their place in time.
        items: The change log of the catalogue, with `ds`.
        users: The change log of the accounts, with `ds`.
        blocks: The change log of the blocks, with `ds`.
    """

    landing: Path
    summary: SimulatedStore
    lines: list[tuple[str, str]]
    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    blocks: pl.DataFrame


@pytest.fixture(scope="session")
def parameters() -> StoreParameters:
    return StoreParameters(
        first_day=date(2026, 1, 5),
        days=45,
        users=500,
        items=300,
        new_items_per_day=5,
        new_users_per_day=4,
        seed=11,
        views_per_user_day=1.5,
        refund_share=0.1,
        blocks_per_thousand_users=10,
        adult_share=0.15,
        test_account_share=0.02,
        bots=3,
        dirty_row_share=0.01,
    )


@pytest.fixture(scope="session")
def store(parameters: StoreParameters, tmp_path_factory: pytest.TempPathFactory) -> Landed:
    landing = tmp_path_factory.mktemp("landing")
    summary = simulate(parameters, landing)
    lines = [
        (path.name.removesuffix(".csv.gz"), line)
        for path in sorted((landing / "events").iterdir())
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    ]
    return Landed(
        landing=landing,
        summary=summary,
        lines=lines,
        events=_good_events(lines),
        items=_items(landing),
        users=_json_lines(landing / "users"),
        blocks=_json_lines(landing / "blocks"),
    )


def _good_events(lines: list[tuple[str, str]]) -> pl.DataFrame:
    """Rows of the right form, on the day of their file, the first of each repetition."""
    good = dict.fromkeys(
        (day, line) for day, line in lines if GOOD_ROW.fullmatch(line) and line.split(",")[3].startswith(day)
    )
    names = ["ds", "user", "book", "action", "at", "pieces", "price"]
    rows = pl.DataFrame([[day, *line.split(",")] for day, line in good], schema=names, orient="row")
    return rows.with_row_index("row").with_columns(
        pl.col("ds").str.to_date(),
        pl.col("at").str.to_datetime(),
        pl.col("price").cast(pl.Float64, strict=False),
    )


def _items(landing: Path) -> pl.DataFrame:
    rows = []
    for path in sorted((landing / "items").iterdir()):
        with path.open(newline="", encoding="utf-8") as file:
            rows += [{"ds": path.stem, **row} for row in csv.DictReader(file, strict=True)]
    days = pl.col("ds", "released", "withdrawn").replace("", None).str.to_date()
    return pl.DataFrame(rows).with_columns(days, pl.col("price").cast(pl.Float64), pl.col("adult") == "true")


def _json_lines(folder: Path) -> pl.DataFrame:
    rows = [
        {"ds": path.stem, **json.loads(line)}
        for path in sorted(folder.iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return pl.DataFrame(rows).with_columns(pl.col("ds").str.to_date())
