"""The one ranking: exact best items per user, without what may not be recommended, ties broken by item id.

Validation, daily inference and serving all call it; only histories and candidates differ. How the best are found
depends on what the model is, and stays in `best_items`; here are users, their blocks, and threads.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import ThreadpoolController

from recsys_assets.models.best_items import Best, Finder, finder_for, no_histories
from recsys_assets.models.candidates import EXCLUDING, Excluded, Shelf, excluded_from, shelf_of
from recsys_assets.models.family import Interactions, Model, history_matrix

RANKED_SCHEMA = pl.Schema([("user_id", pl.String()), ("item_ids", pl.List(pl.String)), ("scores", pl.List(pl.Float32))])
BLOCK_USERS = 8_192
"""Users whose matrices and lists are in memory at once, where nobody says otherwise."""


def rank(
    model: Model,
    histories: Interactions,
    users: pl.Series,
    exclusions: pl.DataFrame,
    eligible: pl.DataFrame,
    *,
    n: int,
    block_users: int = BLOCK_USERS,
) -> pl.DataFrame:
    """The best `n` items of each user.

    Args:
        model: What is known about items.
        histories: What the users did, within the family's window.
        users: Whom to rank for, each once.
        exclusions: Rows of `features/exclusions`.
        eligible: Rows of `features/eligible_items`.
        n: The longest list.
        block_users: Users ranked at once, as `Ranker.blocks` has it.

    Returns:
        user_id, item_ids, scores, in the order of `users`. A personal model gives no row to a user of whose
        history it knows nothing. A list is shorter than `n` where fewer items may be recommended.
    """
    blocks = Ranker.of(model, eligible).blocks(histories, users, exclusions, n=n, block_users=block_users)
    return pl.concat([pl.DataFrame(schema=RANKED_SCHEMA), *blocks])


@dataclass(frozen=True)
class Ranker:
    """A model and what may be recommended by it, prepared for any number of users.

    Whoever ranks again and again with the same two keeps one; it can be used by several threads.

    Attributes:
        model: What is known about items.
        shelf: What may be recommended to somebody.
    """

    model: Model
    shelf: Shelf

    @classmethod
    def of(cls, model: Model, eligible: pl.DataFrame) -> "Ranker":
        """Prepare a model for rows of `features/eligible_items`."""
        return cls(model, shelf_of(model.item_ids, eligible))

    def blocks(
        self,
        histories: Interactions,
        users: pl.Series,
        exclusions: pl.DataFrame,
        *,
        n: int,
        block_users: int = BLOCK_USERS,
    ) -> Iterator[pl.DataFrame]:
        """Rank, some users at a time.

        Args:
            histories: What the users did, within the family's window.
            users: Whom to rank for, each once.
            exclusions: Rows of `features/exclusions`.
            n: The longest list.
            block_users: Users ranked at once. What is in memory, besides what is given, is their matrices and lists
                (about 40 bytes per item of a list), the model, and some 40 MB per core.

        Yields:
            What `rank` returns, for the next users.
        """
        blocks = pl.DataFrame({"user_id": users}).with_columns(block=pl.int_range(pl.len()) // block_users)
        done, excluded = _by_block(histories.rows, blocks), _by_block(exclusions.select(EXCLUDING), blocks)
        for block, first in enumerate(range(0, users.len(), block_users)):
            asked = users.slice(first, block_users)
            yield self._ranked(Interactions(done(block), histories.as_of), asked, excluded(block), n)

    def _ranked(self, histories: Interactions, users: pl.Series, exclusions: pl.DataFrame, n: int) -> pl.DataFrame:
        """What `rank` returns, for one block."""
        if self.model.is_personal:
            matrix = history_matrix(self.model.parameters.history_weights(histories), users, self.model.item_ids)
            known = np.flatnonzero(np.diff(matrix.indptr))
            users, matrix = users.gather(known), matrix[known]
        else:
            matrix = no_histories(users.len(), self.model.item_ids.len())
        columns, scores = self.best(matrix, excluded_from(self.shelf, users, exclusions), n)
        return _lists(users, columns, scores, self.model.item_ids)

    def best(self, histories: csr_array, excluded: Excluded, n: int) -> Best:
        """The best items of some users, as `Finder.best` finds them, on all cores.

        Args:
            histories: As `Model.scores` takes them, shape (users, items).
            excluded: What the same users must not see.
            n: How many.

        Returns:
            Columns, best first, and their scores, both of shape (users, n); -1 where there are no more.
        """
        columns = np.full((histories.shape[0], n), -1)
        scores = np.full(columns.shape, -np.inf, dtype=np.float32)

        def find(finder: Finder, rows: NDArray[np.int64]) -> None:
            found = finder.best(histories[rows], excluded.items(rows), n)
            columns[rows, : found[0].shape[1]], scores[rows, : found[1].shape[1]] = found

        portions = list(self._portions(excluded))
        with _blas().limit(limits=1, user_api="blas"):  # a core for each portion, and not all cores for each product
            if len(portions) > 1:
                with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
                    list(threads.map(find, *zip(*portions, strict=True)))
            else:
                for portion in portions:
                    find(*portion)
        return columns, scores

    def _portions(self, excluded: Excluded) -> Iterator[tuple[Finder, NDArray[np.int64]]]:
        """Users of a block that are ranked at once, and among what; few users are divided among the cores too."""
        allowed = excluded.may_see_adult | (not self.shelf.has_adult)
        for with_adult, rows in ((True, np.flatnonzero(allowed)), (False, np.flatnonzero(~allowed))):
            if rows.size:
                finder = self._for_adults if with_adult else self._for_all
                by_memory, by_cores = rows.size / finder.users_at_once, min(pl.thread_pool_size(), rows.size // 32)
                yield from ((finder, part) for part in np.array_split(rows, max(ceil(by_memory), by_cores)))

    @cached_property
    def _for_adults(self) -> Finder:
        return finder_for(self.model, self.shelf.columns(with_adult=True))

    @cached_property
    def _for_all(self) -> Finder:
        return finder_for(self.model, self.shelf.columns(with_adult=False))


@cache
def _blas() -> ThreadpoolController:
    """What sets the threads of BLAS; finding its libraries anew takes as long as ranking for a user."""
    return ThreadpoolController()


def _by_block(rows: pl.DataFrame, blocks: pl.DataFrame) -> Callable[[int], pl.DataFrame]:
    """Makes a function that gives the rows of a block's users, in their order; once for each block."""
    if blocks["block"].max() == 0:
        only = rows.join(blocks, on="user_id", how="semi", maintain_order="left")
        return lambda _: only
    mine = rows.join(blocks, on="user_id", maintain_order="left")
    nothing = rows.clear()
    parts = mine.partition_by("block", as_dict=True, include_key=False)
    return lambda block: parts.pop((block,), nothing)


def _lists(
    users: pl.Series, columns: NDArray[np.int64], scores: NDArray[np.float32], item_ids: pl.Series
) -> pl.DataFrame:
    """Rows of user_id, item_ids, scores; what may not be recommended (column -1) is left out."""
    lengths = pl.Series((columns >= 0).sum(axis=1), dtype=pl.UInt32)
    if not lengths.sum():
        empty = (pl.lit([], RANKED_SCHEMA[name]).alias(name) for name in ("item_ids", "scores"))
        return pl.DataFrame({"user_id": users}).with_columns(empty)
    flat = {"item_ids": item_ids.gather(np.maximum(columns, 0).ravel()), "scores": pl.Series(scores.ravel())}
    lists = {name: values.reshape(columns.shape).arr.to_list() for name, values in flat.items()}
    frame = pl.DataFrame({"user_id": users, **lists})
    if lengths.min() == columns.shape[1]:
        return frame
    return frame.with_columns(pl.col(name).list.head(pl.lit(lengths)) for name in flat)
