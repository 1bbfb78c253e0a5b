"""How the best items of some users are found, by what their model is: one function for every family and size.

- A model that knows nothing of users: one order for everybody, of which each user gets the first that are allowed.
- Vectors of users and items: `product_search`, which does not keep every score.
- Any other: every score, then `selection`.

They all give the same as sorting every score would, higher ones first, then the lower column. Whom to rank for, and
what may be recommended, is looked up elsewhere.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from recsys_assets.models.family import FactorModel, Floats, Model
from recsys_assets.models.product_search import ItemVectors
from recsys_assets.models.selection import Columns, best_columns

SCORES_AT_ONCE = 4_000_000
"""Scores that a thread keeps at once: 16 MB, and as much again while they are looked at."""
USERS_AT_ONCE = 512
Best = tuple[Columns, Floats]


class Finder(Protocol):
    """Finds the best among some of a model's items.

    Attributes:
        users_at_once: How many users are asked for at most, so that memory stays bounded.
    """

    @property
    def users_at_once(self) -> int:
        """See above."""

    def best(self, histories: csr_array, excluded: csr_array, n: int) -> Best:
        """The best items of some users.

        Args:
            histories: As `Model.scores` takes them, shape (users, items).
            excluded: What each must not get, shape (users, items); stored cells are exclusions.
            n: How many.

        Returns:
            Columns, best first, and their scores, both of shape (users, at most n); -1 where there are no more.
        """


def finder_for(model: Model, columns: Columns) -> Finder:
    """What finds the best among some columns of a model.

    Args:
        model: Any.
        columns: The items that may be recommended, ascending.
    """
    if not model.is_personal:
        return OneOrder.of(model, columns)
    if isinstance(model, FactorModel):
        return ByVectors(model, ItemVectors.of(model.item_factors, columns))
    return ByScores.of(model, columns)


def no_histories(users: int, items: int) -> csr_array:
    """What `Finder.best` takes for users of whom nothing is known."""
    no_cells = (np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int32), np.zeros(users + 1, dtype=np.int32))
    return csr_array(no_cells, shape=(users, items))


@dataclass(frozen=True)
class OneOrder:
    """The same order for everybody.

    Attributes:
        columns: The items, best first.
        scores: Their scores.
        place_of: The place of each item of the model in that order; -1 where it has none.
    """

    columns: Columns
    scores: Floats
    place_of: Columns
    users_at_once: int = USERS_AT_ONCE

    @classmethod
    def of(cls, model: Model, columns: Columns) -> "OneOrder":
        """Sort once."""
        scores = model.scores(no_histories(1, model.item_ids.len()))[0, columns]
        order = best_columns(scores[np.newaxis], columns.size)[0]
        place_of = np.full(model.item_ids.len(), -1)
        place_of[columns[order]] = np.arange(columns.size)
        return cls(columns[order], scores[order], place_of)

    def best(self, histories: csr_array, excluded: csr_array, n: int) -> Best:
        """See `Finder.best`; the first n, and as many more as are excluded among them."""
        users, n = histories.shape[0], min(n, self.columns.size)
        cells = excluded.tocoo()
        places = self.place_of[cells.col]
        rows, places = cells.row[places >= 0], places[places >= 0]
        width, is_enough = n, False
        while not is_enough:
            most = np.bincount(rows[places < width], minlength=1).max()
            width, is_enough = min(self.columns.size, n + int(most)), n + most <= width or width == self.columns.size
        is_allowed = np.ones((users, width), dtype=np.bool_)
        is_allowed[rows[places < width], places[places < width]] = False
        order = np.argsort(~is_allowed, axis=1, kind="stable")[:, :n]
        is_there = np.take_along_axis(is_allowed, order, axis=1)
        return np.where(is_there, self.columns[order], -1), np.where(is_there, self.scores[order], -np.inf)


@dataclass(frozen=True)
class ByVectors:
    """By the product of vectors."""

    model: FactorModel
    items: ItemVectors
    users_at_once: int = USERS_AT_ONCE

    def best(self, histories: csr_array, excluded: csr_array, n: int) -> Best:
        """See `Finder.best`."""
        return self.items.best(self.model.vectors(histories), excluded, n)


@dataclass(frozen=True)
class ByScores:
    """By every score.

    Attributes:
        model: Any.
        barrier: 0 for the items that may be recommended, minus infinity for the others, shape (items,).
        users_at_once: How many users' scores are kept at once.
    """

    model: Model
    barrier: Floats
    users_at_once: int

    @classmethod
    def of(cls, model: Model, columns: Columns) -> "ByScores":
        """Prepare a model."""
        barrier = np.full(model.item_ids.len(), -np.inf, dtype=np.float32)
        barrier[columns] = 0
        return cls(model, barrier, max(1, min(USERS_AT_ONCE, SCORES_AT_ONCE // max(1, barrier.size))))

    def best(self, histories: csr_array, excluded: csr_array, n: int) -> Best:
        """See `Finder.best`."""
        scores = self.model.scores(histories)
        scores += self.barrier
        cells = excluded.tocoo()
        scores[cells.row, cells.col] = -np.inf
        columns = best_columns(scores, n)
        values = np.take_along_axis(scores, columns, axis=1)
        return np.where(np.isfinite(values), columns, -1), values
