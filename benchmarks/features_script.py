"""The hand-written Polars pipeline that ingestion is compared with: the same files, the same tables, a month at a time.

    python benchmarks/features_script.py LANDING LAKE FIRST LAST

It knows this one shop by heart, appends without looking whether a day is there already, keeps no count of files, and
imports nothing of the platform. One line of JSON is printed: seconds, and the most memory that the process held.
"""

import json
import resource
import sys
import time
from datetime import date
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

DAYS_AT_ONCE = 30
MOMENT = "%Y-%m-%dT%H:%M:%S%.f%:z"
EVENT_TYPES = {"basket": "cart", "buy": "purchase", "return": "refund"}
COUNTED = {"views": "view", "carts": "cart", "wishes": "wish", "purchases": "purchase"} | {
    "refunds": "refund",
    "ratings": "rating",
}


def read(landing: Path, folder: str, days: list[date]) -> pl.DataFrame:
    """The rows of some days with `ds`, the file, and the number of the row in it."""
    parts = [
        pl.scan_parquet(landing / folder / f"{day}.parquet", row_index_name="line", row_index_offset=1).select(
            pl.lit(day).alias("ds"),
            pl.lit(f"{folder}/{day}.parquet").alias("source_file"),
            pl.col("line").cast(pl.Int64),
            pl.exclude("line"),
        )
        for day in days
        if (landing / folder / f"{day}.parquet").exists()
    ]
    return pl.concat(parts).collect()


def without_twins(rows: pl.DataFrame, reason: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows by whether something is wrong with them; of rows delivered twice the first counts."""
    judged = rows.with_columns(reason=reason)
    delivered = [name for name in rows.columns if name not in {"line", "source_file"}]
    is_twin = pl.col("reason").is_null() & ~pl.struct("reason", *delivered).is_first_distinct()
    judged = judged.with_columns(reason=pl.when(is_twin).then(pl.lit("duplicate")).otherwise("reason"))
    is_good = pl.col("reason").is_null()
    return judged.filter(is_good), judged.filter(~is_good)


def rejected(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows set aside, each with its raw text."""
    delivered = [name for name in rows.columns if name not in {"ds", "line", "source_file", "reason"}]
    moments = [name for name in delivered if rows.schema[name] == pl.Datetime("us", "UTC")]
    texts = [
        pl.col(name).dt.to_string(MOMENT) if name in moments else pl.col(name).cast(pl.String) for name in delivered
    ]
    raw = pl.struct(texts).struct.json_encode()
    return rows.select("ds", pl.lit(table).alias("table"), "source_file", "line", "reason", raw.alias("raw"))


def events_of(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events, and what was set aside."""
    kind = pl.col("action").replace(EVENT_TYPES)
    checks = {
        "missing_user_id": pl.col("customer").is_null(),
        "missing_item_id": pl.col("isbn").is_null(),
        "missing_event_type": pl.col("action").is_null(),
        "unknown_event_type": ~kind.is_in(list(COUNTED.values())),
        "missing_occurred_at": pl.col("at").is_null(),
        "quantity_negative": pl.col("pieces") < 0,
        "unit_price_negative": pl.col("paid") < 0,
        "wrong_day": pl.col("at").dt.date() != pl.col("ds"),
    }
    good, bad = without_twins(rows, pl.coalesce(pl.when(fails).then(pl.lit(name)) for name, fails in checks.items()))
    events = good.select(
        "ds",
        user_id=pl.col("customer").cast(pl.String),
        item_id="isbn",
        event_type=kind,
        occurred_at="at",
        quantity=pl.col("pieces").fill_null(1).cast(pl.Int64),
        unit_price="paid",
    )
    return events, rejected(bad, "events")


def interactions_of(events: pl.DataFrame) -> pl.DataFrame:
    """One row per day, user and item."""
    kind = pl.col("event_type")
    sign = pl.when(kind == "purchase").then(1).when(kind == "refund").then(-1).otherwise(0)
    signed = events.with_columns(signed=(sign * pl.col("quantity")).cast(pl.Int64))
    grouped = signed.group_by("ds", "user_id", "item_id").agg(
        *((kind == word).sum().cast(pl.Int64).alias(column) for column, word in COUNTED.items()),
        quantity=pl.col("signed").sum(),
        value=(pl.col("signed") * pl.col("unit_price").fill_null(0.0)).sum(),
        last_at=pl.col("occurred_at").max(),
        last_purchase_at=pl.col("occurred_at").filter(kind == "purchase").max(),
    )
    return grouped.sort("ds", "user_id", "item_id")


def changes_of(rows: pl.DataFrame, key: list[str], columns: dict[str, pl.Expr]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The day's last row of each key, and what was set aside."""
    good, bad = without_twins(
        rows, pl.when(pl.any_horizontal(columns[name].is_null() for name in key)).then(pl.lit(""))
    )
    return good.select("ds", **columns).unique(["ds", *key], keep="last", maintain_order=True), bad


def append(lake: Path, table: str, rows: pl.DataFrame) -> None:
    """Add rows to a Delta table."""
    (lake / table).mkdir(parents=True, exist_ok=True)
    write_deltalake(lake / table, rows, mode="append", partition_by=["ds"])


def ingest(landing: Path, lake: Path, days: list[date]) -> None:
    """Bring some days into the lake."""
    events, aside = events_of(read(landing, "events", days))
    append(lake, "sources/events", events)
    append(lake, "features/interactions", interactions_of(events))
    changes = {
        "items": ("books", ["item_id"], {
            "item_id": pl.col("isbn"), "title": pl.col("title"), "creator": pl.col("author"),
            "category": pl.col("shelf"), "price": pl.col("price"), "released_on": pl.col("on_sale"),
            "withdrawn_on": pl.lit(None, pl.Date), "is_adult": pl.col("adults_only"),
        }),
        "users": ("customers", ["user_id"], {
            "user_id": pl.col("customer").cast(pl.String), "signed_up_on": pl.col("since"),
            "is_adult_verified": pl.col("of_age"), "is_test": pl.col("internal"),
        }),
        "user_blocks": ("hidden", ["user_id", "target", "target_id"], {
            "user_id": pl.col("customer").cast(pl.String), "target": pl.col("what"), "target_id": pl.col("which"),
            "is_blocked": pl.col("hidden"), "changed_at": pl.col("at"),
        }),
    }  # fmt: skip
    set_aside = [aside]
    for table, (folder, key, columns) in changes.items():
        rows, bad = changes_of(read(landing, folder, days), key, columns)
        append(lake, f"sources/{table}", rows)
        set_aside.append(rejected(bad, table))
    append(lake, "sources/rejected_rows", pl.concat(set_aside))


def main(landing: Path, lake: Path, first: date, last: date) -> None:
    """Ingest a range of days."""
    days = pl.date_range(first, last, eager=True).to_list()
    for start in range(0, len(days), DAYS_AT_ONCE):
        ingest(landing, lake, days[start : start + DAYS_AT_ONCE])


if __name__ == "__main__":
    began = time.perf_counter()
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(date.fromisoformat, sys.argv[3:5]))
    seconds = time.perf_counter() - began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time(), "peak_bytes": peak_bytes}))
