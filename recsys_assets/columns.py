"""Every persisted table: its key, its columns with type, unit and meaning, and its primary key.

This is the one home of column names and dtypes. Code that computes the tables stays out, and so
does everything that knows where a table is stored.
"""

from dataclasses import dataclass

import polars as pl

UTC_MOMENT = pl.Datetime("us", "UTC")
IDS = pl.List(pl.String)


@dataclass(frozen=True)
class Column:
    """One column of a persisted table."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    unit: str = ""
    is_nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A persisted table: its asset key is its place in the lake, and `ds` is its partition."""

    key: tuple[str, ...]
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The place under the lake's root, which is also the asset key: `features/interactions`."""
        return "/".join(self.key)

    @property
    def schema(self) -> pl.Schema:
        """Column names and dtypes in the order in which they are stored."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must never be null."""
        return tuple(column.name for column in self.columns if not column.is_nullable)


def _day(meaning: str = "the day that the row belongs to, in the configured time zone") -> Column:
    return Column("ds", pl.Date, meaning)


def _slot() -> Column:
    return Column("ds", pl.Date, "the training slot: the model sees the days before it")


USER = Column("user_id", pl.String, "the shop's id of the user")
ITEM = Column("item_id", pl.String, "the shop's id of the item")

EVENT_TYPES = ("view", "cart", "wish", "purchase", "refund", "rating")
BLOCK_TARGETS = ("item", "creator", "category")

EVENTS = Table(
    ("sources", "events"),
    "What users did, one row per event, as the shop reported it for the day.",
    (
        _day(),
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
        _day("the day of the change"),
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
    ),
    ("ds", "item_id"),
)
USERS = Table(
    ("sources", "users"),
    "Change log of the users: what changed about a user on the day. As of a day, the newest row counts.",
    (
        _day("the day of the change"),
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
        _day("the day of the change"),
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
    "What was shown to users, and where known whether they clicked it.",
    (
        _day(),
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
)
SOURCE_TABLES = {table.key[-1]: table for table in (EVENTS, ITEMS, USERS, USER_BLOCKS, IMPRESSIONS)}

REJECTED_ROWS = Table(
    ("sources", "rejected_rows"),
    "Every landed row that was not accepted, with the reason and its raw text.",
    (
        _day("the day of the landing file"),
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
        _day("the day of the landing file"),
        Column("table", pl.String, "the table that was fed"),
        Column("source_file", pl.String, "the file, relative to the landing"),
        Column("parsed", pl.Int64, "rows that the file holds for the table", "rows"),
        Column("accepted", pl.Int64, "rows accepted", "rows"),
        Column("rejected", pl.Int64, "rows set aside in rejected_rows", "rows"),
        Column("folded", pl.Int64, "accepted rows that a later row of the day with the same key replaced", "rows"),
        Column("landing_fingerprint", pl.String, "names, sizes and times of change of the day's files"),
    ),
    ("ds", "table", "source_file"),
)

INTERACTIONS = Table(
    ("features", "interactions"),
    "One row per user, item and day: what the user did with the item, signed and undecayed.",
    (
        _day(),
        USER,
        ITEM,
        Column("views", pl.Int64, "view events", "events"),
        Column("carts", pl.Int64, "cart events", "events"),
        Column("wishes", pl.Int64, "wish events", "events"),
        Column("purchases", pl.Int64, "purchase events", "events"),
        Column("refunds", pl.Int64, "refund events", "events"),
        Column("ratings", pl.Int64, "rating events", "events"),
        Column("quantity", pl.Int64, "pieces bought minus pieces refunded; may be negative", "pieces"),
        Column("value", pl.Float64, "money paid minus money refunded", "currency"),
        Column("last_at", UTC_MOMENT, "moment of the last event", "UTC"),
        Column("last_purchase_at", UTC_MOMENT, "moment of the last purchase, if any", "UTC", is_nullable=True),
    ),
    ("ds", "user_id", "item_id"),
)
INTERACTION_DAYS = Table(
    ("features", "interaction_days"),
    "Which state of the landing each day of interactions was computed from; written last.",
    (
        _day(),
        Column("landing_fingerprint", pl.String, "as in sources/ingested_files; empty for a day without files"),
    ),
    ("ds",),
)
EXCLUSIONS = Table(
    ("features", "exclusions"),
    "Per user, what may not be recommended after the day.",
    (
        _day("the day after which it holds"),
        USER,
        Column("item_ids", IDS, "items that may not be recommended to the user"),
        Column("reasons", IDS, "why, in the order of item_ids: owned or blocked"),
        Column("blocked_creators", IDS, "creators that the user blocked"),
        Column("blocked_categories", IDS, "categories that the user blocked"),
        Column("may_see_adult", pl.Boolean, "whether adult titles may be shown to the user"),
    ),
    ("ds", "user_id"),
)
ELIGIBLE_ITEMS = Table(
    ("features", "eligible_items"),
    "Items that may be recommended to somebody after the day: on sale, released, not withdrawn.",
    (
        _day("the day after which it holds"),
        ITEM,
        Column("creator", pl.String, "author, brand or maker", is_nullable=True),
        Column("category", pl.String, "genre or shelf", is_nullable=True),
        Column("is_adult", pl.Boolean, "whether only verified adults may see it"),
    ),
    ("ds", "item_id"),
)
PURCHASE_SEQUENCE = Table(
    ("features", "purchase_sequence"),
    "Per user, the last purchases in order, as of the end of the day.",
    (
        _day("the day at whose end it holds"),
        USER,
        Column("item_ids", IDS, "items bought and kept, the oldest first"),
        Column("bought_on", pl.List(pl.Date), "day of each purchase, in the order of item_ids"),
    ),
    ("ds", "user_id"),
)
TRAINING_SET = Table(
    ("features", "training_set"),
    "The one data set that all families share, as of the slot.",
    (
        _slot(),
        Column(
            "split",
            pl.String,
            "train: what the candidate is fitted on, as known when the holdout began; holdout: the hits that it "
            "is judged on; release: what the release is fitted on, as known at the slot",
        ),
        USER,
        ITEM,
        Column("day", pl.Date, "day of the interaction"),
        Column("weight", pl.Float64, "strength of the interaction: event counts times event weights", "weight"),
        Column(
            "item_index",
            pl.Int32,
            "place in the id map, made from train rows only; else null",
            is_nullable=True,
        ),
    ),
    ("ds", "split", "user_id", "item_id", "day"),
)

VERDICTS = Table(
    ("validation", "verdicts"),
    "Every verdict of the gate, for the very version that it was passed on.",
    (
        _slot(),
        Column("family", pl.String, "the model family"),
        Column("version", pl.String, "the registry version"),
        Column("recipe", pl.String, "fingerprint of the configuration that the version was trained and judged by"),
        Column("stage", pl.String, "candidate: passed on the holdout; release: passed on the release artifact"),
        Column("check", pl.String, "name of the check"),
        Column("actual", pl.Float64, "what was measured; null when it could not be", is_nullable=True),
        Column("threshold", pl.Float64, "what was asked for"),
        Column("passed", pl.Boolean, "whether the version may go on"),
        Column("sentence", pl.String, "the verdict in words"),
    ),
    ("ds", "family", "version", "check"),
)


def report_table(family: str, metrics: tuple[str, ...]) -> Table:
    """The validation report of a family (or `final`): one row per slot and version.

    Args:
        family: Name of the family.
        metrics: Names of the metric columns, in order.
    """
    return Table(
        ("validation", family),
        "The report: means over the holdout users, one column per metric.",
        (
            _slot(),
            Column("version", pl.String, "the registry version"),
            Column("holdout_users", pl.Int64, "users with history and at least one hit in the holdout", "users"),
            *(Column(metric, pl.Float64, metric.replace("_", " "), is_nullable=True) for metric in metrics),
        ),
        ("ds", "version"),
    )


_LIST = (
    Column("item_ids", IDS, "the recommended items, best first"),
    Column("scores", pl.List(pl.Float32), "the score of each item, in the order of item_ids"),
)
_IS_FALLBACK = Column("is_fallback", pl.Boolean, "whether the list is the fallback of a user without known history")


def recommendations_table(family: str) -> Table:
    """The lists of one family: one row per user and day."""
    return Table(
        ("recommendations", family),
        f"Up to 200 items per user, by the approved version of {family}.",
        (
            _day("the day up to whose end the histories reach"),
            USER,
            *_LIST,
            Column("version", pl.String, "the registry version in service; a fallback list was ranked by popularity"),
            _IS_FALLBACK,
        ),
        ("ds", "user_id"),
    )


FINAL_RECOMMENDATIONS = Table(
    ("recommendations", "final"),
    "The lists that are published: the approved families blended, filled up with the fallback.",
    (
        _day("the day up to whose end the histories reach"),
        USER,
        *_LIST,
        Column("arm", pl.String, "the experiment arm of the user"),
        Column(
            "versions",
            pl.List(pl.Struct({"family": pl.String, "version": pl.String})),
            "the registry version of each family in the blend",
        ),
        Column("sources", IDS, "the family with the largest share in each item, in the order of item_ids"),
        _IS_FALLBACK,
    ),
    ("ds", "user_id"),
)
