"""What a search finds, as data: a user or an item by its id, items by words of their titles, ids that begin alike."""

from dataclasses import dataclass

import polars as pl

from recsys_assets.columns import EXCLUSIONS
from recsys_assets.inspector.catalogue import Item
from recsys_assets.inspector.readings import Readings

MOST = 20
POPULAR = 10


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        text: What was looked for.
        is_user: Whether it is the id of a user.
        item: The item of that id; None where there is none.
        users: Ids of users that begin like it.
        items: Items whose title or creator holds its words.
    """

    text: str
    is_user: bool
    item: Item | None
    users: tuple[str, ...]
    items: tuple[Item, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found at all."""
        return not (self.is_user or self.item or self.users or self.items)


def find(readings: Readings, text: str) -> Found:
    """Look for a user, an item, or words of titles."""
    day = readings.in_use().as_of
    if day is None or not text:
        return Found(text, is_user=False, item=None, users=(), items=())
    catalogue = readings.catalogue(day)
    users = users_like(readings, text)
    is_item = text in catalogue or text in readings.eligible(day)["item_id"]
    return Found(
        text=text,
        is_user=text in users,
        item=catalogue.item(text) if is_item else None,
        users=tuple(one for one in users if one != text),
        items=tuple(item for item in catalogue.titled(text, MOST) if item.item_id != text),
    )


def users_like(readings: Readings, beginning: str) -> list[str]:
    """Ids of known users that begin alike, sorted: the very id comes first."""
    day = readings.in_use().as_of
    if day is None or not beginning:
        return []
    ids = readings.lake.scan(EXCLUSIONS, (day, day)).select("user_id")
    found = ids.filter(pl.col("user_id").str.starts_with(beginning)).sort("user_id").head(MOST).collect()
    return found["user_id"].to_list()


def popular_items(readings: Readings, user_id: str) -> tuple[Item, ...]:
    """The first items that somebody unknown is served."""
    served = readings.served(user_id)
    if served.in_use.as_of is None or served.is_own:
        return ()
    first = served.item_ids[:POPULAR]
    items = readings.catalogue(served.in_use.as_of).items(first)
    return tuple(items[one] for one in first)
