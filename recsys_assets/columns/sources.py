"""The group `sources`: what has landed, typed, and what became of each file."""

import polars as pl

from recsys_assets.columns.table import ITEM, USER, UTC_MOMENT, Column, Table, day_column

EVENT_TYPES = ("view", "cart", "wish", "purchase", "refund", "rating")
BLOCK_TARGETS = ("item", "creator", "category")

EVENTS = Table(
    ("sources", "events"),
    "What users did, one row per event, as the shop reported it for the day.",
    (
        day_column(),
        USER,
        ITEM,
        Column("event_type", pl.String, "one of: " + ", ".join(EVENT_TYPES)),
        Column("occurred_at", UTC_MOMENT, "when it happened", "UTC"),
        Column(
            "quantity",
            pl.Int64,
            "how many pieces, never negative: the event type says the direction",
            "pieces",
        ),
        Column("unit_price", pl.Float64, "price of one piece", "currency", is_nullable=True),
    ),
)
ITEMS = Table(
    ("sources", "items"),
    "Change log of the catalogue: what changed about an item on the day. As of a day, the newest row counts.",
    (
        day_column("the day of the change"),
        ITEM,
        Column("title", pl.String, "what people call it", is_nullable=True),
        Column("creator", pl.String, "author, brand or maker", is_nullable=True),
        Column("category", pl.String, "genre or shelf", is_nullable=True),
        Column("price", pl.Float64, "list price", "currency", is_nullable=True),
        Column("released_on", pl.Date, "first day on sale; null: on sale already", is_nullable=True),
        Column("withdrawn_on", pl.Date, "first day no longer on sale; null: still on sale", is_nullable=True),
        Column(
            "is_adult",
            pl.Boolean,
            "whether only verified adults may see it; null counts as no",
            is_nullable=True,
        ),
        Column("series", pl.String, "the series that it is a volume of", is_nullable=True),
        Column("series_position", pl.Float64, "its place in the series, rising", is_nullable=True),
    ),
    ("ds", "item_id"),
)
USERS = Table(
    ("sources", "users"),
    "Change log of the users: what changed about a user on the day. As of a day, the newest row counts.",
    (
        day_column("the day of the change"),
        USER,
        Column("signed_up_on", pl.Date, "day of the registration", is_nullable=True),
        Column(
            "is_adult_verified",
            pl.Boolean,
            "whether adult titles may be shown; null counts as no",
            is_nullable=True,
        ),
        Column(
            "is_test",
            pl.Boolean,
            "whether it is a test account of the shop; null counts as no",
            is_nullable=True,
        ),
    ),
    ("ds", "user_id"),
)
USER_BLOCKS = Table(
    ("sources", "user_blocks"),
    "Change log of what users do not want to see. As of a day, the newest row of each target counts.",
    (
        day_column("the day of the change"),
        USER,
        Column("target", pl.String, "what is blocked, one of: " + ", ".join(BLOCK_TARGETS)),
        Column("target_id", pl.String, "id of the item, or name of the creator or category"),
        Column("is_blocked", pl.Boolean, "true when blocked, false when the block was lifted"),
        Column("changed_at", UTC_MOMENT, "when the user changed it", "UTC"),
    ),
    ("ds", "user_id", "target", "target_id"),
)
IMPRESSIONS = Table(
    ("sources", "impressions"),
    "What was shown to users, and where known whether they clicked it. Told again, an impression is as told last.",
    (
        day_column(),
        Column("request_id", pl.String, "the request that the row answered"),
        Column("user_id", pl.String, "the shop's id of the user; null when unknown", is_nullable=True),
        ITEM,
        Column("position", pl.Int64, "place in the list, the first is 1"),
        Column("shown_at", UTC_MOMENT, "when it was shown", "UTC"),
        Column("surface", pl.String, "where it was shown", is_nullable=True),
        Column("family", pl.String, "the model family that brought it", is_nullable=True),
        Column("version", pl.String, "the registry version that brought it", is_nullable=True),
        Column("arm", pl.String, "the experiment arm of the user", is_nullable=True),
        Column(
            "is_clicked",
            pl.Boolean,
            "whether it was clicked; null when clicks come as events",
            is_nullable=True,
        ),
        Column(
            "propensity",
            pl.Float64,
            "probability with which it was shown there; null: unknown",
            is_nullable=True,
        ),
    ),
    ("ds", "request_id", "item_id", "position"),
)
SOURCE_TABLES = {table.key[-1]: table for table in (EVENTS, ITEMS, USERS, USER_BLOCKS, IMPRESSIONS)}

REJECTED_ROWS = Table(
    ("sources", "rejected_rows"),
    "Every landed row that was not accepted, with the reason and its raw text.",
    (
        day_column("the day of the landing file"),
        Column("table", pl.String, "the table that the row was meant for"),
        Column("source_file", pl.String, "the file, relative to the landing"),
        Column(
            "line",
            pl.Int64,
            "the row's first line in the file, the header is 1; in Parquet, the row's number",
        ),
        Column("reason", pl.String, "the rule that refused it"),
        Column("raw", pl.String, "the row as it was delivered"),
    ),
)
INGESTED_FILES = Table(
    ("sources", "ingested_files"),
    "One row per landing file and table: parsed = accepted + rejected.",
    (
        day_column("the day of the landing file"),
        Column("table", pl.String, "the table that was fed"),
        Column("source_file", pl.String, "the file, relative to the landing"),
        Column("parsed", pl.Int64, "rows that the file holds for the table", "rows"),
        Column("accepted", pl.Int64, "rows accepted", "rows"),
        Column("rejected", pl.Int64, "rows set aside in rejected_rows", "rows"),
        Column("folded", pl.Int64, "accepted rows that a later row of the day with the same key replaced", "rows"),
        Column("landing_fingerprint", pl.String, "names, sizes and times of change of the day's files"),
        Column("content", pl.String, "fingerprint of the file's bytes and of how they are read", is_nullable=True),
    ),
    ("ds", "table", "source_file"),
)
FORGOTTEN_USERS = Table(
    ("sources", "forgotten_users"),
    "Who was forgotten, so that ingesting an older file again does not bring them back.",
    (
        day_column("the day of the request: what landed for this day or an earlier one is not taken in again"),
        Column("user_digest", pl.String, "keyed digest of the user id, which cannot be turned back into it"),
        Column("key", pl.String, "the random key of the digest"),
    ),
    ("ds", "user_digest"),
)
