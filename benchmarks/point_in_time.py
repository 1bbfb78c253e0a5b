"""The point-in-time join against the same join in DuckDB (ASOF), on the same Delta files and the same labelled rows.

Both results are compared value by value. Usage: `python benchmarks/point_in_time.py [labelled rows] [users] [days]`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys_assets.columns import INTERACTIONS, USER_PROFILE
from recsys_assets.features.store import FeatureStore
from recsys_assets.platform import BUNDLED_CONFIG, load_platform
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

FIRST = date(2026, 1, 5)
ITEMS = 20_000
REPEATS = 3
QUERIES = {
    "user_profile": """
        SELECT r.place, p.purchases, p.segment FROM rows r ASOF LEFT JOIN view p
        ON r.user_id = p.user_id AND r.known_day >= p.ds""",
    "interactions": """
        SELECT r.place, p.purchases, p.views FROM rows r ASOF LEFT JOIN view p
        ON r.user_id = p.user_id AND r.item_id = p.item_id AND r.known_day >= p.ds""",
}
COLUMNS = {
    "user_profile": ["user_profile.purchases", "user_profile.segment"],
    "interactions": ["interactions.purchases", "interactions.views"],
}


def main() -> int:
    """Print one line of figures per view; 1 where the two joins differ."""
    rows, users, days = (int(given) for given in (*sys.argv[1:], *("1000000", "100000", "60")[len(sys.argv) - 1 :]))
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="recsys-join-") as folder:
        lake = DeltaLake(root=folder)
        platform = load_platform(BUNDLED_CONFIG).model_copy(update={"time_zone": "UTC"})
        store = FeatureStore(platform, lake, PolarsEngine())
        store_profiles(lake, random, users, days)
        store_interactions(lake, random, users, days)
        labelled = labelled_rows(random, rows, users, days)
        figures = {view: compare(store, view, labelled) for view in QUERIES}
    print(json.dumps(figures, indent=2))
    return 0 if all(one["alike"] for one in figures.values()) else 1


def store_profiles(lake: DeltaLake, random: np.random.Generator, users: int, days: int) -> None:
    """One row per user and day."""
    ids = pl.Series([f"U{number:07d}" for number in range(users)])
    for offset in range(days):
        purchases = random.poisson(2.0, users)
        known: dict[str, Any] = {
            "ds": FIRST + timedelta(days=offset),
            "user_id": ids,
            "purchases": pl.Series(purchases, dtype=pl.Int64),
            "segment": np.where(purchases > 4, "middle", "light"),
        }
        write_day(lake, USER_PROFILE, known, users)


def store_interactions(lake: DeltaLake, random: np.random.Generator, users: int, days: int) -> None:
    """As many pairs a day as a third of the users."""
    for offset in range(days):
        pairs = pl.DataFrame(
            {"user_id": random.integers(0, users, users // 3), "item_id": random.integers(0, ITEMS // 100, users // 3)}
        ).unique(maintain_order=True)
        known: dict[str, Any] = {
            "ds": FIRST + timedelta(days=offset),
            "user_id": pairs.select(pl.format("U{}", pl.col("user_id").cast(pl.String).str.zfill(7))).to_series(),
            "item_id": pairs.select(pl.format("I{}", "item_id")).to_series(),
            "purchases": pl.Series(random.poisson(1.0, pairs.height), dtype=pl.Int64),
            "views": pl.Series(random.poisson(3.0, pairs.height), dtype=pl.Int64),
        }
        write_day(lake, INTERACTIONS, known, pairs.height)


def write_day(lake: DeltaLake, table: Any, known: dict[str, Any], rows: int) -> None:
    """The known columns, and something in the others."""
    fillers: dict[Any, Any] = {pl.String(): "x", pl.Int64(): 1, pl.Float64(): 0.5}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        name: known.get(name, fillers.get(dtype, None if dtype == pl.Date else moment))
        for name, dtype in table.schema.items()
    }
    day = known["ds"]
    frame = pl.DataFrame({"_": range(rows)}).with_columns(
        (
            value
            if isinstance(value, pl.Series)
            else pl.Series(value)
            if isinstance(value, np.ndarray)
            else pl.lit(value)
        )
        .cast(table.schema[name])
        .alias(name)
        for name, value in columns.items()
    )
    lake.replace(table, frame.select(table.schema.names()), (day, day))


def labelled_rows(random: np.random.Generator, rows: int, users: int, days: int) -> pl.DataFrame:
    """Labelled pairs at moments all over the days and a little beyond."""
    minutes = random.integers(0, (days + 3) * 24 * 60, rows)
    first = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    user = pl.Series(random.integers(0, users + users // 10, rows))
    item = pl.Series(random.integers(0, ITEMS // 100, rows))
    return pl.DataFrame({"user": user, "item": item, "minutes": minutes}).select(
        pl.format("U{}", pl.col("user").cast(pl.String).str.zfill(7)).alias("user_id"),
        pl.format("I{}", "item").alias("item_id"),
        (pl.lit(first) + pl.duration(minutes="minutes")).alias("shown_at"),
        (pl.col("user") % 2).alias("label"),
    )


def compare(store: FeatureStore, view: str, labelled: pl.DataFrame) -> dict[str, Any]:
    """Seconds of both joins (the best of some), their ratio, and whether they give the same."""
    ours, ours_seconds = fastest(lambda: store.join(labelled, COLUMNS[view], "shown_at"))
    theirs, theirs_seconds = fastest(lambda: in_duckdb(store, view, labelled))
    alike = ours.select(COLUMNS[view]).rows() == theirs.sort("place").drop("place").rows()
    return {
        "rows": labelled.height,
        "join_seconds": round(ours_seconds, 2),
        "duckdb_seconds": round(theirs_seconds, 2),
        "ratio": round(ours_seconds / theirs_seconds, 2),
        "matched": int(ours[COLUMNS[view][0]].is_not_null().sum()),
        "alike": alike,
    }


def in_duckdb(store: FeatureStore, view: str, labelled: pl.DataFrame) -> pl.DataFrame:
    """The same join, as its documentation has it, on the data files of the Delta table."""
    import duckdb

    root = store.lake.uri(f"features/{view}")
    files = sorted(store.lake.files(f"features/{view}", (date.min, date.max)))
    paths = [str(path) for path in Path(root).rglob("*.parquet") if path.name in files]
    with duckdb.connect() as connection:
        connection.register("labelled", labelled.to_arrow())
        connection.execute(
            "CREATE TEMP VIEW rows AS SELECT *, row_number() OVER () AS place, "
            "(shown_at AT TIME ZONE 'UTC')::DATE - 1 AS known_day FROM labelled"
        )
        connection.read_parquet(paths, hive_partitioning=True).create_view("view")
        return pl.DataFrame(pl.from_arrow(connection.sql(QUERIES[view]).to_arrow_table()))


def fastest(join: Callable[[], pl.DataFrame]) -> tuple[pl.DataFrame, float]:
    """The result and the best time."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        result = join()
        best = min(best, time.perf_counter() - began)
    return result, best


if __name__ == "__main__":
    sys.exit(main())
