"""What may be recommended to whom, as arrays over a model's own items: exclusions and eligibility, nothing else.

The rules that decided it are in the feature store; here they are only looked up. Blocked creators and categories stay
what they are until some users are ranked: as items they would take many times the memory.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

Mask = NDArray[np.bool_]
_TARGETS = {"item_ids": "item_id", "blocked_creators": "creator", "blocked_categories": "category"}
"""Column of `features/exclusions` to the column of `features/eligible_items` that it names."""
EXCLUDING = ("user_id", "may_see_adult", *_TARGETS)
"""The columns of `features/exclusions` that are looked at."""


@dataclass(frozen=True)
class Shelf:
    """What may be recommended to somebody, and what excluding a creator or a category means.

    Attributes:
        places: Of each target: its id, and `place`, the row of its items in `items`.
        items: Of each target: which items it stands for, shape (targets, items).
        is_eligible: Whether the item may be recommended to anybody, shape (items,).
        is_adult: Whether only verified adults may see the item, shape (items,).
    """

    places: dict[str, pl.DataFrame]
    items: dict[str, csr_array]
    is_eligible: Mask
    is_adult: Mask

    def columns(self, *, with_adult: bool) -> NDArray[np.int64]:
        """The items that may be recommended to users who may see adult titles, or to those who may not."""
        return np.flatnonzero(self.is_eligible if with_adult else self._is_for_all)

    @cached_property
    def has_adult(self) -> bool:
        """Whether it matters who may see adult titles."""
        return bool((self.is_eligible & self.is_adult).any())

    @property
    def _is_for_all(self) -> Mask:
        return self.is_eligible & ~self.is_adult


@dataclass(frozen=True)
class Excluded:
    """What some users must not see.

    Attributes:
        shelf: The items.
        targets: Of each kind of target: what each user excluded, shape (users, targets).
        may_see_adult: Whether the user is a verified adult, shape (users,).
    """

    shelf: Shelf
    targets: dict[str, csr_array]
    may_see_adult: Mask

    def items(self, users: NDArray[np.int64]) -> csr_array:
        """The excluded items of some of the users, shape (users, items); stored cells are exclusions."""
        excluded = self.targets["item_id"][users]
        for kind in ("creator", "category"):
            if self.targets[kind].nnz:
                excluded = excluded + self.targets[kind][users] @ self.shelf.items[kind]
        return csr_array(excluded)


def shelf_of(item_ids: pl.Series, eligible: pl.DataFrame) -> Shelf:
    """Look the items' eligibility up.

    Args:
        item_ids: The model's id map.
        eligible: Rows of `features/eligible_items`; an item without a row is recommended to nobody.
    """
    columns = pl.DataFrame({"item_id": item_ids}).with_row_index("column")
    known = eligible.select("item_id", "creator", "category", "is_adult")
    items = columns.join(known, on="item_id", how="left", maintain_order="left")
    places, members = {}, {}
    for kind in ("creator", "category"):
        pairs = items.select("column", kind).drop_nulls()
        places[kind] = pairs.select(pl.col(kind).unique().sort()).with_row_index("place")
        cells = pairs.join(places[kind], on=kind)
        members[kind] = _cells(cells["place"], cells["column"], (places[kind].height, item_ids.len()))
    return Shelf(
        places={"item_id": columns.rename({"column": "place"}), **places},
        items=members,
        is_eligible=items["is_adult"].is_not_null().to_numpy(),
        is_adult=items["is_adult"].fill_null(value=False).to_numpy(),
    )


def excluded_from(shelf: Shelf, users: pl.Series, exclusions: pl.DataFrame) -> Excluded:
    """Look the users' exclusions up.

    Args:
        shelf: The items.
        users: User ids, in the order of the rows to rank.
        exclusions: Rows of `features/exclusions`; a user without a row has none, and may not see adult titles.
    """
    rows = pl.DataFrame({"user_id": users}).with_row_index("row")
    mine = rows.join(exclusions.select(EXCLUDING), on="user_id")
    targets = {}
    for lists, kind in _TARGETS.items():
        named = mine.select("row", pl.col(lists).alias(kind)).explode(kind, empty_as_null=False, keep_nulls=False)
        cells = named.join(shelf.places[kind], on=kind) if named.height else named.rename({kind: "place"})
        targets[kind] = _cells(cells["row"], cells["place"], (users.len(), shelf.places[kind].height))
    may_see_adult = np.zeros(users.len(), dtype=np.bool_)
    may_see_adult[mine["row"].to_numpy()] = mine["may_see_adult"].to_numpy()
    return Excluded(shelf, targets, may_see_adult)


def _cells(rows: pl.Series, columns: pl.Series, shape: tuple[int, int]) -> csr_array:
    """A matrix that is true in some cells."""
    if rows.is_empty():
        return coo_array(shape, dtype=np.bool_).tocsr()
    where = (rows.cast(pl.Int32).to_numpy(), columns.cast(pl.Int32).to_numpy())
    return csr_array(coo_array((np.ones(rows.len(), dtype=np.bool_), where), shape=shape))
