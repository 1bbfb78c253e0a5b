"""The exact best items by the product of vectors, without sorting or even keeping all of the products.

Maximum inner product search over blocks of items whose products stay in the cache. A sample of the items tells how high
a score must be to be among the best; only products above it are kept, and a check afterwards proves that none is
missing (else the user is done again, in full). Items come by falling length of their vectors: no product is larger than
both lengths (Cauchy and Schwarz), so a user whose bound lies above that of the rest is finished.

**Which scores count.** Libraries add products up in orders of their own, so the same two vectors give other last digits
in a larger block or on another machine. So float32 products only choose candidates, with a margin for their error; the
candidates are scored anew by the exact product (in float64, rounded to float32), and that orders them: highest first,
among equal ones the lower column. The lists are the same however users and items are divided into blocks.
Source of the margin: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 3.1.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.models.selection import (
    NOTHING,
    Columns,
    Floats,
    Keys,
    columns_of,
    padded_rows,
    scores_of,
    sorting_keys,
)

SAMPLED_ITEMS = 4_096
BLOCK_ITEMS = 1_024
"""Items whose products are computed at once; with 512 users they take 2 MB."""
DEVIATIONS = 4
"""How far the sample may mislead, in standard deviations: one user in some thousands is done again."""
EXACT_AT_ONCE = 200_000
"""Factors in float64 that are in memory at once, so that they stay in the cache."""
LOWEST = np.float32(np.finfo(np.float32).min)
"""The lowest score; what is excluded lies below it."""

Doubles = NDArray[np.float64]
Cells = tuple[Columns, Columns]


@dataclass(frozen=True)
class ItemVectors:
    """The vectors of some items, in the order in which they are searched.

    Attributes:
        vectors: A sample first, then by falling length, each with a 1 behind; shape (items, factors + 1), float32.
        columns: The column that each of them stands for.
        lengths: Their Euclidean lengths.
        sampled: How many of the first are the sample.
        width: How many columns there are; not each of them must have a vector here.
    """

    vectors: Floats
    columns: Columns
    lengths: Doubles
    sampled: int
    width: int

    @classmethod
    def of(cls, vectors: Floats, columns: Columns) -> Self:
        """Prepare some of the vectors.

        Args:
            vectors: Of all columns, shape (columns, factors), float32.
            columns: Those that are searched.
        """
        lengths = _lengths(vectors[columns])
        falling = np.argsort(-lengths, kind="stable")
        is_sampled = np.zeros(columns.size, dtype=np.bool_)
        is_sampled[:: max(1, ceil(columns.size / SAMPLED_ITEMS))] = True  # some of every length
        order = np.concatenate([falling[is_sampled], falling[~is_sampled]])
        chosen = columns[order]
        return cls(_extended(vectors[chosen], 1), chosen, lengths[order], int(is_sampled.sum()), vectors.shape[0])

    def best(self, users: Floats, excluded: csr_array, n: int) -> tuple[Columns, Floats]:
        """The best columns of each user, without the excluded ones.

        Args:
            users: Their vectors, shape (users, factors), float32.
            excluded: What each must not get, shape (users, columns); stored cells are exclusions.
            n: How many.

        Returns:
            Columns, best first, and their scores, both of shape (users, at most n); -1 where there are no more.
        """
        n = min(n, self.columns.size)
        if not n or not len(users):
            return np.empty((len(users), 0), dtype=np.int64), np.empty((len(users), 0), dtype=np.float32)
        cells = self._excluded_places(excluded)
        candidates, is_proven = _candidates(self, users, cells, n)
        keys = np.full((len(users), max(n, candidates.shape[1])), NOTHING)
        keys[:, : candidates.shape[1]] = self._exact_keys(users, candidates)
        for user in np.flatnonzero(~is_proven):
            keys[user] = NOTHING
            in_full = self._best_in_full(users[user], cells[1][cells[0] == user], n)
            keys[user, : in_full.size] = in_full
        keys.sort(axis=1)
        best = keys[:, :n]
        is_there = best != NOTHING
        return np.where(is_there, columns_of(best), -1), np.where(is_there, scores_of(best), -np.inf)

    def exact(self, users: Floats, places: Columns) -> Floats:
        """The scores of some items of each user: exact products, rounded.

        Args:
            users: Their vectors.
            places: Rows of `vectors`, shape (users, items).
        """
        scores = np.empty(places.shape, dtype=np.float32)
        wide = _extended(users, 0).astype(np.float64)[:, :, np.newaxis]
        step = max(1, EXACT_AT_ONCE // max(1, places.shape[1] * users.shape[1]))
        for first in range(0, len(users), step):
            rows = slice(first, first + step)
            scores[rows] = (self.vectors.take(places[rows], axis=0).astype(np.float64) @ wide[rows])[:, :, 0]
        return scores

    def margin(self, users: Floats) -> Doubles:
        """How far below the n-th highest product that of one of the exact best can lie, per user.

        That is twice the largest error: as many roundings as there are factors, and some more, each of at most 2^-24 of
        what is added up; which is at most the product of the lengths, and once more as much for a bound.
        """
        error: Doubles = (users.shape[1] + 8) * 2.0**-24 * 2 * self.reach(users)
        return 2 * error + float(np.finfo(np.float32).tiny)

    def reach(self, users: Floats) -> Doubles:
        """What no product exceeds, per user."""
        reach: Doubles = self.lengths.max() * _lengths(users) * (1 + 1e-6)
        return reach

    def _exact_keys(self, users: Floats, candidates: Keys) -> Keys:
        """Keys by exact score and column, of candidates whose keys hold places."""
        is_there = candidates != NOTHING
        places = np.where(is_there, columns_of(candidates), 0)
        return np.where(is_there, sorting_keys(self.exact(users, places), self.columns[places]), NOTHING)

    def _best_in_full(self, user: Floats, excluded: Columns, n: int) -> Keys:
        """The keys of one user's best, from all products."""
        products = self.vectors @ _extended(user[np.newaxis], 0)[0]
        products[excluded] = -np.inf
        last = np.partition(products, products.size - n)[products.size - n]
        places = np.flatnonzero(products >= max(last - self.margin(user[np.newaxis])[0], LOWEST))
        parts = np.array_split(places, ceil(places.size * user.size / EXACT_AT_ONCE) or 1)
        scores = np.concatenate([self.exact(user[np.newaxis], part[np.newaxis])[0] for part in parts])
        keys = sorting_keys(scores, self.columns[places])
        keys.sort()
        return keys[:n]

    def _excluded_places(self, excluded: csr_array) -> Cells:
        """Rows and places of the excluded cells, sorted by place."""
        cells = excluded.tocoo()
        places = self._place_of[cells.col]
        order = np.argsort(places, kind="stable")
        order = order[np.searchsorted(places[order], 0) :]
        return cells.row[order].astype(np.int64), places[order].astype(np.int64)

    @cached_property
    def _place_of(self) -> NDArray[np.int32]:
        """The place of each column; -1 where it has none."""
        places = np.full(self.width, -1, dtype=np.int32)
        places[self.columns] = np.arange(self.columns.size)
        return places


def _candidates(items: ItemVectors, users: Floats, excluded: Cells, n: int) -> tuple[Keys, NDArray[np.bool_]]:
    """What may be among the best, and for which users it is proven that nothing else may.

    Args:
        items: Where to search.
        users: Their vectors.
        excluded: Rows and places of the excluded cells, sorted by place.
        n: How many are wanted, 1 to the number of items.

    Returns:
        Keys of products and places, at least the n best of each user where there are so many; and a row's proof.
    """
    starts = [*range(items.sampled, items.columns.size, BLOCK_ITEMS), items.columns.size]
    in_sample, at_most = _expected(items, n)
    margin = items.margin(users)
    products, found = _Products(items, users, excluded), _Found(len(users), at_most)
    sample = products.above_bounds(0, items.sampled, len(users))
    last = np.partition(sample, items.sampled - in_sample, axis=1)[:, items.sampled - in_sample]
    lowest = (-items.reach(users) - margin).astype(np.float32)  # all that is not excluded lies above it
    bound = np.maximum(last - margin, lowest).astype(np.float32)
    sample -= bound[:, np.newaxis]
    found.add(sample, np.arange(len(users)), 0)
    least = _least_lengths(bound, users)
    order = np.argsort(least)
    products.put_in_order(order, bound)
    for start, stop in pairwise(starts):
        active = np.searchsorted(least[order], items.lengths[start], side="right")
        if not active:
            break
        found.add(products.above_bounds(start, stop, int(active)), order[:active], start)
    return found.best(n, margin, bound == lowest)


def _expected(items: ItemVectors, n: int) -> tuple[int, int]:
    """How many of the best n the sample holds at most, by chance; and how many items are then found in all, at most."""
    share = items.sampled / items.columns.size
    in_sample = n * share + DEVIATIONS * sqrt(n * share * (1 - share))
    wanted = min(items.sampled, ceil(in_sample) + (share < 1))
    return wanted, 4 * ceil(wanted / share) + 64


def _least_lengths(bound: Floats, users: Floats) -> Doubles:
    """The least length of an item whose product with the user can reach the bound, with the error of the product."""
    error = 1 + 4 * (users.shape[1] + 2) * 2.0**-24
    lengths = _lengths(users)
    return np.where(lengths > 0, bound / np.where(lengths > 0, lengths, 1) / error, -np.inf)


class _Products:
    """Products of users with blocks of items, in memory that is used again; what is excluded is minus infinity."""

    def __init__(self, items: ItemVectors, users: Floats, excluded: Cells) -> None:
        self._items, self._users = items, _extended(users, 0)
        self._rows, self._places = excluded
        self._memory = np.empty(len(users) * max(items.sampled, BLOCK_ITEMS), dtype=np.float32)

    def put_in_order(self, order: Columns, bound: Floats) -> None:
        """Sort the users, and take a bound off every product of each: it is one more factor, and that of items is 1."""
        row_of = np.empty_like(order)
        row_of[order] = np.arange(order.size)
        self._rows = row_of[self._rows]
        self._users = self._users[order]
        self._users[:, -1] = -bound[order]

    def above_bounds(self, start: int, stop: int, active: int) -> Floats:
        """How far products with the items from `start` to `stop` lie above the bounds (at first 0) of some users."""
        products = self._memory[: active * (stop - start)].reshape(active, stop - start)
        np.matmul(self._users[:active], self._items.vectors[start:stop].T, out=products)
        first, last = np.searchsorted(self._places, (start, stop))
        rows, places = self._rows[first:last], self._places[first:last] - start
        products[rows[rows < active], places[rows < active]] = -np.inf
        return products


class _Found:
    """What was found so far: keys of products above their user's bound, and of their places."""

    def __init__(self, users: int, at_most: int) -> None:
        self._at_most = at_most
        self._keys: list[Keys] = []
        self._rows: list[Columns] = []
        self._counts = np.zeros(users, dtype=np.int64)

    def add(self, products: Floats, users: Columns, start: int) -> None:
        """Add what lies above its user's bound, from place `start` on; nothing more of a user of whom too much does."""
        flat = np.flatnonzero(products.reshape(-1) >= 0)
        row = flat // products.shape[1]
        if flat.size > self._at_most:
            is_wanted = self._counts[users[row]] <= self._at_most
            flat, row = flat[is_wanted], row[is_wanted]
        self._keys.append(sorting_keys(products.reshape(-1)[flat], flat - row * products.shape[1] + start))
        self._rows.append(users[row])
        self._counts[users] += np.bincount(row, minlength=users.size)

    def best(self, n: int, margin: Doubles, is_all: NDArray[np.bool_]) -> tuple[Keys, NDArray[np.bool_]]:
        """See `_candidates`; of some users every product lies above the bound, and is here."""
        rows, keys = np.concatenate(self._rows), np.concatenate(self._keys)
        is_crowded = self._counts > self._at_most
        if is_crowded.any():
            rows, keys = rows[~is_crowded[rows]], keys[~is_crowded[rows]]
        table = padded_rows(keys, rows, self._counts.size)
        if table.shape[1] <= n:
            return table, is_all & ~is_crowded
        table.partition(n - 1, axis=1)
        is_full = (self._counts >= n) & ~is_crowded
        last = np.where(is_full, scores_of(table[:, n - 1]), 0)
        lowest = np.maximum(last - margin, 0).astype(np.float32)
        close = (table <= sorting_keys(lowest, np.full(lowest.size, 2**32 - 1))[:, np.newaxis]).sum(axis=1)
        table.partition(max(n, close.max()) - 1, axis=1)
        return table[:, : max(n, close.max())], (is_all & ~is_crowded) | (is_full & (last >= margin))


def _extended(vectors: Floats, value: float) -> Floats:
    """Vectors with one more factor."""
    return np.hstack([vectors, np.full((len(vectors), 1), value, dtype=np.float32)])


def _lengths(vectors: Floats) -> Doubles:
    lengths: Doubles = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return lengths
