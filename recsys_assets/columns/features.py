"""The group `features`: what every model trains and ranks on."""

import polars as pl

from recsys_assets.columns.table import (
    IDS,
    ITEM,
    USER,
    UTC_MOMENT,
    Column,
    Table,
    day_column,
    from_columns,
    item_of,
    slot_column,
    user_of,
)

_EVENTS, _ITEMS, _USERS, _BLOCKS = "sources/events", "sources/items", "sources/users", "sources/user_blocks"
_INTERACTIONS = "features/interactions"
_END = day_column("the day at whose end it holds")


def _events(name: str, event_type: str) -> Column:
    return Column(name, pl.Int64, f"{event_type} events", "events", derived_from=from_columns(_EVENTS, "event_type"))


INTERACTIONS = Table(
    ("features", "interactions"),
    "One row per user, item and day: what the user did with the item, signed and undecayed.",
    (
        day_column(),
        user_of(_EVENTS),
        item_of(_EVENTS),
        _events("views", "view"),
        _events("carts", "cart"),
        _events("wishes", "wish"),
        _events("purchases", "purchase"),
        _events("refunds", "refund"),
        _events("ratings", "rating"),
        Column(
            "quantity",
            pl.Int64,
            "pieces bought minus pieces refunded; may be negative",
            "pieces",
            derived_from=from_columns(_EVENTS, "event_type", "quantity"),
        ),
        Column(
            "value",
            pl.Float64,
            "money paid minus money refunded",
            "currency",
            derived_from=from_columns(_EVENTS, "event_type", "quantity", "unit_price"),
        ),
        Column(
            "last_at", UTC_MOMENT, "moment of the last event", "UTC", derived_from=from_columns(_EVENTS, "occurred_at")
        ),
        Column(
            "last_purchase_at",
            UTC_MOMENT,
            "moment of the last purchase, if any",
            "UTC",
            is_nullable=True,
            derived_from=from_columns(_EVENTS, "event_type", "occurred_at"),
        ),
    ),
    ("ds", "user_id", "item_id"),
)
EXCLUSIONS = Table(
    ("features", "exclusions"),
    "Per user, what may not be recommended after the day.",
    (
        day_column("the day after which it holds"),
        user_of(_INTERACTIONS, _USERS, _BLOCKS),
        Column(
            "item_ids",
            IDS,
            "items that may not be recommended to the user",
            derived_from=(
                *from_columns(_INTERACTIONS, "item_id", "quantity", "purchases"),
                *from_columns(_BLOCKS, "target", "target_id", "is_blocked"),
            ),
        ),
        Column(
            "reasons",
            IDS,
            "why, in the order of item_ids: owned or blocked",
            derived_from=(*from_columns(_INTERACTIONS, "quantity", "purchases"), *from_columns(_BLOCKS, "is_blocked")),
        ),
        Column(
            "blocked_creators",
            IDS,
            "creators that the user blocked",
            derived_from=from_columns(_BLOCKS, "target", "target_id", "is_blocked"),
        ),
        Column(
            "blocked_categories",
            IDS,
            "categories that the user blocked",
            derived_from=from_columns(_BLOCKS, "target", "target_id", "is_blocked"),
        ),
        Column(
            "may_see_adult",
            pl.Boolean,
            "whether adult titles may be shown to the user",
            derived_from=from_columns(_USERS, "is_adult_verified"),
        ),
    ),
    ("ds", "user_id"),
)
ELIGIBLE_ITEMS = Table(
    ("features", "eligible_items"),
    "Items that may be recommended to somebody after the day: on sale, released, not withdrawn.",
    (
        day_column("the day after which it holds"),
        Column(
            "item_id",
            pl.String,
            ITEM.description,
            derived_from=(
                *from_columns(_ITEMS, "item_id", "released_on", "withdrawn_on"),
                *from_columns(_INTERACTIONS, "item_id"),
            ),
        ),
        Column(
            "creator",
            pl.String,
            "author, brand or maker",
            is_nullable=True,
            derived_from=from_columns(_ITEMS, "creator"),
        ),
        Column(
            "category", pl.String, "genre or shelf", is_nullable=True, derived_from=from_columns(_ITEMS, "category")
        ),
        Column(
            "is_adult",
            pl.Boolean,
            "whether only verified adults may see it",
            derived_from=from_columns(_ITEMS, "is_adult"),
        ),
    ),
    ("ds", "item_id"),
)
PURCHASE_SEQUENCE = Table(
    ("features", "purchase_sequence"),
    "Per user, the last purchases in order, as of the end of the day.",
    (
        _END,
        Column(
            "user_id",
            pl.String,
            USER.description,
            derived_from=(*from_columns(_INTERACTIONS, "user_id"), *from_columns(_USERS, "is_test")),
        ),
        Column(
            "item_ids",
            IDS,
            "items bought and kept, the oldest first",
            derived_from=(*from_columns(_INTERACTIONS, "item_id", "purchases", "quantity", "last_purchase_at"),),
        ),
        Column(
            "bought_on",
            pl.List(pl.Date),
            "day of each purchase, in the order of item_ids",
            derived_from=from_columns(_INTERACTIONS, "ds"),
        ),
    ),
    ("ds", "user_id"),
)
_HITS = (
    *from_columns(_INTERACTIONS, "ds", "purchases", "quantity"),
    *from_columns(_BLOCKS, "target", "target_id", "is_blocked"),
    *from_columns(_USERS, "is_test", "is_adult_verified"),
    *from_columns(_ITEMS, "creator", "category", "is_adult"),
)
TRAINING_SET = Table(
    ("features", "training_set"),
    "The one data set that all families share, as of the slot.",
    (
        slot_column(),
        Column(
            "split",
            pl.String,
            "train: what the candidate is fitted on, as known when the holdout began; holdout: the hits that it "
            "is judged on; release: what the release is fitted on, as known at the slot",
            derived_from=_HITS,
        ),
        user_of(_INTERACTIONS),
        item_of(_INTERACTIONS),
        Column("day", pl.Date, "day of the interaction", derived_from=from_columns(_INTERACTIONS, "ds")),
        Column(
            "weight",
            pl.Float64,
            "strength of the interaction: event counts times event weights, decayed where configured",
            "weight",
            derived_from=from_columns(
                _INTERACTIONS, "ds", "views", "carts", "wishes", "purchases", "ratings", "quantity"
            ),
        ),
        Column(
            "item_index",
            pl.Int32,
            "place in the id map, made from train rows only; else null",
            is_nullable=True,
            derived_from=from_columns(_INTERACTIONS, "item_id"),
        ),
    ),
    ("ds", "split", "user_id", "item_id", "day"),
)
FAMILY_SCORES = Table(
    ("features", "family_scores"),
    "What each family recommended: the stored daily lists, one row per user and item, readable as features.",
    (
        day_column("the day up to whose end the histories reached"),
        Column("user_id", pl.String, USER.description),
        Column("item_id", pl.String, ITEM.description),
        Column("family", pl.String, "the model family"),
        Column("rank", pl.Int64, "place in the list, the first is 1", "places"),
        Column("score", pl.Float64, "the family's score; comparable within one list only", "score"),
        Column("version", pl.String, "the registry version that ranked; trained on days before ds + 1 only"),
    ),
    ("ds", "family", "user_id", "item_id"),
)

INTERACTION_DAYS = Table(
    ("features", "interaction_days"),
    "Which state of the landing each day of interactions was computed from; written last.",
    (
        day_column(),
        Column("landing_fingerprint", pl.String, "as in sources/ingested_files; empty for a day without files"),
        Column("content", pl.String, "fingerprint of what the files hold and how they are read", is_nullable=True),
    ),
    ("ds",),
)
VIEW_DAYS = Table(
    ("features", "view_days"),
    "What each stored day of a snapshot view was computed from; written last.",
    (
        _END,
        Column("view", pl.String, "the view"),
        Column("made_of", pl.String, "fingerprint of the view's meaning and of every day in its window"),
    ),
    ("ds", "view"),
)
