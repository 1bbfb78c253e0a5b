"""The group `past`: states of change logs and sums over all interactions as of some days.

With them, reading as of a later day needs only the days in between. Nothing here is a source of truth: each table
can be computed again.
"""

from dataclasses import replace

import polars as pl

from recsys_assets.columns.sources import ITEMS, USER_BLOCKS, USERS
from recsys_assets.columns.table import ITEM, USER, Column, Table, day_column


def _state(log: Table) -> Table:
    """The table that keeps states of a change log: its columns, where `ds` is the day of the state."""
    columns = (day_column("the day at whose end it holds"), *log.columns[1:])
    return replace(log, key=("past", log.key[-1]), description=f"State of {log.name} as of some days.", columns=columns)


ITEM_STATE, USER_STATE, USER_BLOCK_STATE = (_state(log) for log in (ITEMS, USERS, USER_BLOCKS))
_DAY = day_column("the day at whose end it holds")
PAIR_TOTALS = Table(
    ("past", "pair_totals"),
    "Per user and item that were ever bought or refunded: sums over all days.",
    (
        _DAY,
        USER,
        ITEM,
        Column("quantity", pl.Int64, "pieces bought minus pieces refunded", "pieces"),
        Column("purchases", pl.Int64, "purchase events", "events"),
    ),
    ("ds", "user_id", "item_id"),
)
USERS_SEEN = Table(
    ("past", "users_seen"),
    "Per user with any event: extremes over all days.",
    (
        _DAY,
        USER,
        Column("most_events", pl.Int64, "the most events on one day", "events"),
        Column("first_seen_on", pl.Date, "day of the first event"),
    ),
    ("ds", "user_id"),
)
ITEMS_SEEN = Table(
    ("past", "items_seen"),
    "Per item with any event: extremes over all days.",
    (_DAY, ITEM, Column("first_seen_on", pl.Date, "day of the first event")),
    ("ds", "item_id"),
)
PAST_STATES = Table(
    ("past", "states"),
    "Which states are kept, and of what they are made; written last.",
    (
        _DAY,
        Column("table", pl.String, "the table that holds the state"),
        Column("made_of", pl.String, "fingerprint of the data files that the state was computed from"),
    ),
    ("ds", "table"),
)
