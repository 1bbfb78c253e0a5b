"""Of the group `features`, the profiles of users and items."""

import polars as pl

from recsys_assets.columns.table import USER, UTC_MOMENT, Column, Table, day_column, from_columns, item_of

_ITEMS, _USERS, _INTERACTIONS = "sources/items", "sources/users", "features/interactions"
_END = day_column("the day at whose end it holds")


def _of_customers(*columns: str) -> tuple[str, ...]:
    """Columns of the interactions, where those of test accounts do not count."""
    return (*from_columns(_INTERACTIONS, *columns), *from_columns(_USERS, "is_test"))


USER_PROFILE = Table(
    ("features", "user_profile"),
    "Per user that was ever seen, what they did in the trailing window; zeros for who was away.",
    (
        _END,
        Column("user_id", pl.String, USER.description, derived_from=_of_customers("user_id")),
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
        Column("views", pl.Int64, "view events", "events", derived_from=_of_customers("views")),
        Column(
            "purchases",
            pl.Int64,
            "purchases that no refund took back",
            "events",
            derived_from=_of_customers("purchases", "quantity"),
        ),
        Column(
            "buyers",
            pl.Int64,
            "different users who bought it and kept it",
            "users",
            derived_from=_of_customers("user_id", "purchases", "quantity"),
        ),
        Column(
            "value",
            pl.Float64,
            "money paid minus money refunded",
            "currency",
            derived_from=_of_customers("value"),
        ),
        Column(
            "last_at",
            UTC_MOMENT,
            "moment of the last event in the window",
            "UTC",
            is_nullable=True,
            derived_from=_of_customers("last_at"),
        ),
        Column(
            "purchase_share",
            pl.Float64,
            "share of all purchases of the window that were of this item",
            "share",
            derived_from=_of_customers("purchases", "quantity"),
        ),
        Column(
            "novelty",
            pl.Float64,
            "minus the binary logarithm of purchase_share; null without a purchase",
            "bits",
            is_nullable=True,
            derived_from=_of_customers("purchases", "quantity"),
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
