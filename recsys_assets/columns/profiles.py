"""Of the group `features`, the profiles of users and items."""

import polars as pl

from recsys_assets.columns.table import UTC_MOMENT, Column, Table, day_column, from_columns, item_of, user_of

_ITEMS, _INTERACTIONS = "sources/items", "features/interactions"
_END = day_column("the day at whose end it holds")

USER_PROFILE = Table(
    ("features", "user_profile"),
    "Per user that was ever seen, what they did in the trailing window; zeros for who was away.",
    (
        _END,
        user_of(_INTERACTIONS),
        Column("views", pl.Int64, "view events", "events", derived_from=from_columns(_INTERACTIONS, "views")),
        Column(
            "purchases",
            pl.Int64,
            "purchases that no refund took back",
            "events",
            derived_from=from_columns(_INTERACTIONS, "purchases", "quantity"),
        ),
        Column("items", pl.Int64, "different items", "items", derived_from=from_columns(_INTERACTIONS, "item_id")),
        Column("active_days", pl.Int64, "days with any event", "days", derived_from=from_columns(_INTERACTIONS, "ds")),
        Column(
            "value",
            pl.Float64,
            "money paid minus money refunded",
            "currency",
            derived_from=from_columns(_INTERACTIONS, "value"),
        ),
        Column(
            "last_at",
            UTC_MOMENT,
            "moment of the last event in the window",
            "UTC",
            is_nullable=True,
            derived_from=from_columns(_INTERACTIONS, "last_at"),
        ),
        Column(
            "favourite_category",
            pl.String,
            "category of most purchases, else of most events; of equals the first by name",
            is_nullable=True,
            derived_from=(*from_columns(_INTERACTIONS, "purchases", "quantity"), *from_columns(_ITEMS, "category")),
        ),
        Column(
            "favourite_creator",
            pl.String,
            "creator of most purchases, else of most events; of equals the first by name",
            is_nullable=True,
            derived_from=(*from_columns(_INTERACTIONS, "purchases", "quantity"), *from_columns(_ITEMS, "creator")),
        ),
        Column(
            "segment",
            pl.String,
            "by purchases in the window: none, light, middle or heavy, with the configured bounds",
            derived_from=from_columns(_INTERACTIONS, "purchases", "quantity"),
        ),
    ),
    ("ds", "user_id"),
)
ITEM_PROFILE = Table(
    ("features", "item_profile"),
    "Per item that was ever seen or is in the catalogue, what users did with it in the trailing window.",
    (
        _END,
        item_of(_INTERACTIONS, _ITEMS),
        Column("views", pl.Int64, "view events", "events", derived_from=from_columns(_INTERACTIONS, "views")),
        Column(
            "purchases",
            pl.Int64,
            "purchases that no refund took back",
            "events",
            derived_from=from_columns(_INTERACTIONS, "purchases", "quantity"),
        ),
        Column(
            "buyers",
            pl.Int64,
            "different users who bought it and kept it",
            "users",
            derived_from=from_columns(_INTERACTIONS, "user_id", "purchases", "quantity"),
        ),
        Column(
            "value",
            pl.Float64,
            "money paid minus money refunded",
            "currency",
            derived_from=from_columns(_INTERACTIONS, "value"),
        ),
        Column(
            "last_at",
            UTC_MOMENT,
            "moment of the last event in the window",
            "UTC",
            is_nullable=True,
            derived_from=from_columns(_INTERACTIONS, "last_at"),
        ),
        Column(
            "purchase_share",
            pl.Float64,
            "share of all purchases of the window that were of this item",
            "share",
            derived_from=from_columns(_INTERACTIONS, "purchases", "quantity"),
        ),
        Column(
            "novelty",
            pl.Float64,
            "minus the binary logarithm of purchase_share; null without a purchase",
            "bits",
            is_nullable=True,
            derived_from=from_columns(_INTERACTIONS, "purchases", "quantity"),
        ),
        Column(
            "first_seen_on",
            pl.Date,
            "day of the first event ever",
            is_nullable=True,
            derived_from=from_columns(_INTERACTIONS, "ds"),
        ),
    ),
    ("ds", "item_id"),
)
