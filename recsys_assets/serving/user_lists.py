"""What is published for users: one by one as `UserList`, and many at once as a frame, which is what is written.

Reading it from the lake is the business of `assets`, writing it that of `generations`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.exposure import DEFAULT_ARM

_IDS = pl.List(pl.String)
PORTION_SCHEMA = pl.Schema(
    {
        "user_id": pl.String(),
        "item_ids": _IDS,
        "excluded_ids": _IDS,
        "arm": pl.String(),
        "may_see_adult": pl.Boolean(),
        "blocked_creators": _IDS,
        "blocked_categories": _IDS,
        "history_items": _IDS,
        "history_days_ago": pl.List(pl.UInt16),
        "history_weights": pl.List(pl.Float64),
    }
)
"""A portion of users: one row each, no nulls. The history is newest first, its days counted back from the as-of day."""


@dataclass(frozen=True)
class UserList:
    """What is published for one user.

    Attributes:
        user_id: Who.
        item_ids: The list, best first.
        excluded_ids: Items that must not be shown to the user.
        arm: The experiment arm that the list is of.
        history: What the user did, rows as in HISTORY_SCHEMA, newest first; None: nothing that is known.
        blocked_creators: Creators that the user blocked.
        blocked_categories: Categories that the user blocked.
        may_see_adult: Whether adult titles may be shown to the user.
    """

    user_id: str
    item_ids: Sequence[str]
    excluded_ids: Sequence[str] = ()
    arm: str = DEFAULT_ARM
    history: pl.DataFrame | None = None
    blocked_creators: Sequence[str] = ()
    blocked_categories: Sequence[str] = ()
    may_see_adult: bool = False


def portion_of(users: Iterable[UserList], as_of: date) -> pl.DataFrame:
    """The users as a portion.

    Args:
        users: Some users.
        as_of: The last day that their lists and histories know.
    """
    rows = [
        (
            one.user_id,
            list(one.item_ids),
            list(one.excluded_ids),
            one.arm,
            one.may_see_adult,
            list(one.blocked_creators),
            list(one.blocked_categories),
            *_columns(one.history, as_of),
        )
        for one in users
    ]
    return pl.DataFrame(rows, schema=PORTION_SCHEMA, orient="row")


def _columns(history: pl.DataFrame | None, as_of: date) -> tuple[list[str], list[int], list[float]]:
    """Items, days ago and weights of a history."""
    if history is None:
        return [], [], []
    days_ago = [(as_of - day).days for day in history["day"]]
    return history["item_id"].to_list(), days_ago, history["weight"].to_list()
