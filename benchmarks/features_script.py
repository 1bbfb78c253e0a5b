"""The hand-written Polars pipeline that the platform is compared with: the same files, the same tables.

    python benchmarks/features_script.py LANDING LAKE FIRST LAST

It brings the days into its lake, a month at a time, and then computes the snapshot views of the last one. It knows
this one shop and its rules by heart, appends without looking whether a day is there already, keeps no count of files,
and imports nothing of the platform. One line of JSON is printed: per stage, seconds and the most memory that the
process has held until then.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

DAYS_AT_ONCE = 30
PROFILE_DAYS = 90
MOST_EVENTS_A_DAY = 2_000
LONGEST_SEQUENCE = 100
PAIR = ["user_id", "item_id"]
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


def snapshots(lake: Path, day: date) -> None:
    """Compute the views of a day from the tables of the lake, and add them to it."""
    interactions = pl.scan_delta(lake / "features/interactions").filter(pl.col("ds") <= day)
    items = newest(lake, "sources/items", ["item_id"], day)
    users = newest(lake, "sources/users", ["user_id"], day)
    blocks = newest(lake, "sources/user_blocks", ["user_id", "target", "target_id"], day).filter("is_blocked")
    users_seen = collect(
        interactions.select("ds", "user_id", events=pl.sum_horizontal(*COUNTED))
        .group_by("ds", "user_id")
        .agg(pl.sum("events"))
        .group_by("user_id")
        .agg(most_events=pl.max("events"))
    )
    items_seen = collect(interactions.group_by("item_id").agg(first_seen_on=pl.min("ds")))
    machines = pl.concat(
        [
            users.filter("is_test").select("user_id"),
            users_seen.filter(pl.col("most_events") > MOST_EVENTS_A_DAY).select("user_id"),
        ]
    )
    is_trade = (pl.col("purchases") > 0) | (pl.col("refunds") > 0)
    trade = collect(
        interactions.filter(is_trade).select("ds", *PAIR, "purchases", "refunds", "quantity", "last_purchase_at")
    )
    lately = collect(
        interactions.filter(pl.col("ds") > day - timedelta(days=PROFILE_DAYS))
        .join(machines.lazy(), on="user_id", how="anti")
        .drop("last_purchase_at")
    )
    kept_lately = less_refunded(lately)
    real_users = users_seen.join(machines, on="user_id", how="anti").select("user_id")
    views = {
        "exclusions": exclusions(trade, users_seen, users, blocks),
        "eligible_items": eligible_items(items, day + timedelta(days=1)),
        "user_profile": user_profile(kept_lately, real_users, items),
        "item_profile": item_profile(kept_lately, items_seen, items),
        "purchase_sequence": purchase_sequence(less_refunded(trade.join(machines, on="user_id", how="anti"))),
    }
    for name, rows in views.items():
        append(lake, f"features/{name}", rows.select(pl.lit(day).alias("ds"), pl.all()))


def collect(plan: pl.LazyFrame) -> pl.DataFrame:
    """Run a plan in batches: a year of interactions is never in memory as a whole."""
    return plan.collect(engine="streaming")


def newest(lake: Path, table: str, key: list[str], day: date) -> pl.DataFrame:
    """The newest row of each key at the end of a day."""
    log = pl.scan_delta(lake / table).filter(pl.col("ds") <= day)
    return log.sort("ds").unique(key, keep="last").collect()


def less_refunded(rows: pl.DataFrame) -> pl.DataFrame:
    """Interactions with `purchases` lowered to those kept: a refund takes back the newest pieces still there."""
    refunded = rows.filter(pl.col("refunds") > 0).select(PAIR).unique()
    stacks = (
        rows.join(refunded, on=PAIR, how="semi")
        .sort("ds")
        .with_columns(balance=pl.col("quantity").cum_sum().over(PAIR))
        .with_columns(stack=pl.col("balance") - pl.min_horizontal(pl.col("balance").cum_min().over(PAIR), 0))
        .with_columns(
            left=pl.col("stack").cum_min(reverse=True).over(PAIR),
            before=pl.col("stack").shift(1, fill_value=0).over(PAIR),
        )
        .with_columns(purchases=pl.min_horizontal("purchases", pl.max_horizontal(pl.col("left") - pl.col("before"), 0)))
    )
    return pl.concat([rows.join(refunded, on=PAIR, how="anti"), stacks.select(rows.columns)])


def exclusions(trade: pl.DataFrame, seen: pl.DataFrame, users: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """Per user what may not be recommended: what is owned, what was hidden, and what is for adults only."""
    owned = trade.group_by(PAIR).agg(pl.sum("quantity")).filter(pl.col("quantity") > 0).select(PAIR)
    hidden = blocks.filter(target="item").select("user_id", item_id="target_id").join(owned, on=PAIR, how="anti")
    of_items = (
        pl.concat([owned.with_columns(reason=pl.lit("owned")), hidden.with_columns(reason=pl.lit("blocked"))])
        .group_by("user_id")
        .agg(item_ids=pl.col("item_id").sort(), reasons=pl.col("reason").sort_by("item_id"))
    )
    of_subjects = blocks.group_by("user_id").agg(
        pl.col("target_id").filter(pl.col("target") == word).sort().alias(name)
        for word, name in (("creator", "blocked_creators"), ("category", "blocked_categories"))
    )
    lists = ("item_ids", "reasons", "blocked_creators", "blocked_categories")
    return (
        pl.concat([one.select("user_id") for one in (seen, users, owned, blocks)])
        .unique()
        .join(of_items, on="user_id", how="left")
        .join(of_subjects, on="user_id", how="left")
        .join(users.select("user_id", may_see_adult="is_adult_verified"), on="user_id", how="left")
        .with_columns(pl.col(lists).fill_null([]), pl.col("may_see_adult").fill_null(value=False))
        .select("user_id", *lists, "may_see_adult")
        .sort("user_id")
    )


def eligible_items(items: pl.DataFrame, morning: date) -> pl.DataFrame:
    """Books that are on sale on a morning."""
    is_out = pl.col("released_on").is_null() | (pl.col("released_on") <= morning)
    is_there = pl.col("withdrawn_on").is_null() | (pl.col("withdrawn_on") > morning)
    on_sale = items.filter(is_out, is_there)
    return on_sale.select("item_id", "creator", "category", pl.col("is_adult").fill_null(value=False)).sort("item_id")


def user_profile(lately: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Per user what they did lately."""
    sums = lately.group_by("user_id").agg(
        pl.sum("views", "purchases"),
        items=pl.col("item_id").n_unique().cast(pl.Int64),
        active_days=pl.col("ds").n_unique().cast(pl.Int64),
        value=pl.sum("value").round(4),
        last_at=pl.max("last_at"),
    )
    described = lately.select("user_id", "item_id", "purchases", events=pl.sum_horizontal(*COUNTED)).join(
        items.select("item_id", "category", "creator"), on="item_id"
    )
    profiles = users.join(sums, on="user_id", how="left")
    for subject in ("category", "creator"):
        profiles = profiles.join(favourite(described, subject), on="user_id", how="left")
    bought = pl.col("purchases")
    segment = pl.when(bought >= 10).then(pl.lit("heavy")).when(bought >= 3).then(pl.lit("middle"))
    return (
        profiles.with_columns(pl.col("views", "purchases", "items", "active_days", "value").fill_null(0))
        .with_columns(segment=segment.when(bought > 0).then(pl.lit("light")).otherwise(pl.lit("none")))
        .sort("user_id")
    )


def favourite(described: pl.DataFrame, subject: str) -> pl.DataFrame:
    """Per user the category or author of most purchases, else of most events; of equals the first by name."""
    tastes = described.filter(pl.col(subject).is_not_null()).group_by("user_id", subject)
    best_first = pl.col(subject).sort_by("purchases", "events", subject, descending=[True, True, False])
    return (
        tastes.agg(pl.sum("purchases", "events")).group_by("user_id").agg(best_first.first().name.prefix("favourite_"))
    )


def item_profile(lately: pl.DataFrame, seen: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Per book what users did with it lately."""
    bought = pl.col("purchases") > 0
    sums = lately.group_by("item_id").agg(
        pl.sum("views", "purchases"),
        buyers=pl.col("user_id").filter(bought).n_unique().cast(pl.Int64),
        value=pl.sum("value").round(4),
        last_at=pl.max("last_at"),
    )
    share = pl.col("purchases") / pl.sum("purchases")
    return (
        pl.concat([seen.select("item_id"), items.select("item_id")])
        .unique()
        .join(sums, on="item_id", how="left")
        .join(seen, on="item_id", how="left")
        .with_columns(pl.col("views", "purchases", "buyers", "value").fill_null(0))
        .with_columns(purchase_share=pl.when(bought).then(share).otherwise(0.0))
        .with_columns(novelty=pl.when(bought).then(-pl.col("purchase_share").log(2)))
        .sort("item_id")
    )


def purchase_sequence(kept: pl.DataFrame) -> pl.DataFrame:
    """Per user the last purchases in order."""
    bought = kept.filter(pl.col("purchases") > 0).sort("user_id", "last_purchase_at", "item_id")
    return bought.group_by("user_id", maintain_order=True).agg(
        item_ids=pl.col("item_id").tail(LONGEST_SEQUENCE), bought_on=pl.col("ds").tail(LONGEST_SEQUENCE)
    )


def ingest_all(landing: Path, lake: Path, first: date, last: date) -> None:
    """Ingest a range of days."""
    days = pl.date_range(first, last, eager=True).to_list()
    for start in range(0, len(days), DAYS_AT_ONCE):
        ingest(landing, lake, days[start : start + DAYS_AT_ONCE])


def measured(stage: Callable[[], None]) -> dict[str, float]:
    """What a stage takes."""
    began, cpu_began = time.perf_counter(), time.process_time()
    stage()
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main(landing: Path, lake: Path, first: date, last: date) -> None:
    """Ingest a range of days, compute the views of the last one, and print what that took."""
    print(
        json.dumps(
            {
                "ingest": measured(lambda: ingest_all(landing, lake, first, last)),
                "snapshots": measured(lambda: snapshots(lake, last)),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(date.fromisoformat, sys.argv[3:5]))
