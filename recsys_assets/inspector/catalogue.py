"""The catalogue as of a day, held in memory: what people call an item, and finding one by words of its title."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date

import polars as pl


@dataclass(frozen=True)
class Item:
    """An item as people know it; all but the id may be unknown.

    Attributes:
        item_id: The shop's id.
        title: What people call it.
        creator: Author, brand or maker.
        category: Genre or shelf.
        price: List price.
        released_on: First day on sale.
        withdrawn_on: First day no longer on sale.
        is_adult: Whether only verified adults may see it.
    """

    item_id: str
    title: str | None = None
    creator: str | None = None
    category: str | None = None
    price: float | None = None
    released_on: date | None = None
    withdrawn_on: date | None = None
    is_adult: bool | None = None

    @property
    def name(self) -> str:
        """The title; the id where there is none."""
        return self.title or self.item_id


class Catalogue:
    """The state of `sources/items` as of a day.

    Args:
        rows: Its rows.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows.sort("item_id")
        self._shown = self.rows.select(field.name for field in fields(Item))

    def __contains__(self, item_id: str) -> bool:
        return bool(
            self.rows["item_id"].search_sorted(item_id, "left") < self.rows["item_id"].search_sorted(item_id, "right")
        )

    def items(self, item_ids: Iterable[str]) -> dict[str, Item]:
        """Id to item; one that the catalogue does not have is known by its id alone."""
        asked = dict.fromkeys(item_ids)
        found = self._shown.filter(pl.col("item_id").is_in(list(asked)))
        return {
            **{one: Item(one) for one in asked},
            **{row["item_id"]: Item(**row) for row in found.iter_rows(named=True)},
        }

    def item(self, item_id: str) -> Item:
        """One item."""
        return self.items([item_id])[item_id]

    def titled(self, text: str, most: int) -> list[Item]:
        """Items whose title or creator holds every word of a text, whatever the case; shorter titles first."""
        words = text.lower().split()
        if not words:
            return []
        said = pl.concat_str(pl.col("title", "creator").fill_null(""), separator=" ").str.to_lowercase()
        matching = self._shown.filter(pl.all_horizontal(said.str.contains(word, literal=True) for word in words))
        by_length = matching.sort(pl.col("title").str.len_chars(), "title", "item_id", nulls_last=True)
        return [Item(**row) for row in by_length.head(most).iter_rows(named=True)]
