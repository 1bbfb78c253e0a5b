"""Ranking for one user now: what `ranking` gives, without the frames that pay off for many users only.

The best items are found by the same `Ranker`; here the history and the exclusions of one user become its matrices.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.models.best_items import no_histories
from recsys_assets.models.candidates import Excluded
from recsys_assets.models.family import Interactions
from recsys_assets.models.ranking import Ranker


@dataclass(frozen=True)
class Hidden:
    """What one user must not see.

    Attributes:
        item_ids: Items.
        creators: Creators of items.
        categories: Categories of items.
        may_see_adult: Whether adult titles may be shown.
    """

    item_ids: Collection[str] = ()
    creators: Collection[str] = ()
    categories: Collection[str] = ()
    may_see_adult: bool = False


@dataclass(frozen=True)
class OneList:
    """A list of one user, best first."""

    item_ids: list[str]
    scores: list[float]


def rank_one(ranker: Ranker, history: Interactions, hidden: Hidden, n: int) -> OneList | None:
    """The best items of one user, as `Ranker.blocks` ranks them.

    Args:
        ranker: The model, prepared.
        history: What the user did, within the family's window; of nobody else.
        hidden: What to leave out.
        n: How many.

    Returns:
        The list; None where a personal model knows nothing of the history.
    """
    model, shelf = ranker.model, ranker.shelf
    matrix = no_histories(1, model.item_ids.len())
    if model.is_personal:
        weights = model.parameters.history_weights(history)
        places, is_known = _places(model.item_ids, weights["item_id"])
        if not is_known.any():
            return None
        matrix = _row(places[is_known], weights["weight"].cast(pl.Float32).to_numpy()[is_known], model.item_ids.len())
    by_kind = {"item_id": hidden.item_ids, "creator": hidden.creators, "category": hidden.categories}
    targets = {kind: _targets(shelf.places[kind][kind], named) for kind, named in by_kind.items()}
    excluded = Excluded(shelf, targets, np.array([hidden.may_see_adult]))
    columns, scores = ranker.best(matrix, excluded, n)
    is_there = columns[0] >= 0
    return OneList(model.item_ids.gather(columns[0][is_there]).to_list(), scores[0][is_there].tolist())


def _places(known: pl.Series, ids: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each id among the known ones, which are sorted, and whether it is among them."""
    if known.is_empty() or ids.is_empty():
        return np.zeros(ids.len(), dtype=np.int64), np.zeros(ids.len(), dtype=np.bool_)
    places = np.minimum(known.search_sorted(ids).to_numpy().astype(np.int64), known.len() - 1)
    return places, (known.gather(places) == ids).to_numpy()


def _targets(known: pl.Series, named: Collection[str]) -> csr_array:
    """One row that is true for what is named, shape (1, known)."""
    places, is_known = _places(known, pl.Series(list(named), dtype=pl.String))
    chosen = np.unique(places[is_known])
    return _row(chosen, np.ones(chosen.size, dtype=np.bool_), known.len())


def _row(places: NDArray[np.int64], values: NDArray[np.generic], width: int) -> csr_array:
    """A matrix of one row; places are different ones."""
    order = np.argsort(places)
    ends = np.array([0, places.size], dtype=np.int32)
    return csr_array((values[order], places[order].astype(np.int32), ends), shape=(1, width))
