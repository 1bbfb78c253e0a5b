"""Item-item neighbours: what an item of the history says for each of its neighbours, by a similarity of `implicit`.

`NeighbourModel` is the form that every linear item-item family has; how the weights come about is the family's own.
Sources: Sarwar, Karypis, Konstan and Riedl, "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001;
BM25: Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, csr_matrix

from recsys_assets.models.family import (
    Arrays,
    Family,
    Floats,
    Interactions,
    Model,
    Parameters,
    WeighedParameters,
    training_matrix,
)
from recsys_assets.models.search import Among, Between

Similarity = Literal["bm25", "cosine", "tfidf"]
BLOCK_ITEMS = 1_024
"""Items whose weights are computed at once; memory is about this times the number of items times 12 bytes."""
Neighbours = Annotated[
    int,
    Field(ge=1, description="neighbours kept per item; the model takes this times the number of items times 8 bytes"),
]


class ItemItemParameters(WeighedParameters):
    """Hyper-parameters of item-item neighbours."""

    similarity: Annotated[Similarity, Among(get_args(Similarity))] = Field(
        "bm25",
        description="of two items, over their users; in tfidf, users who did much count less; in bm25, weights also "
        "saturate",
    )
    neighbours: Annotated[Neighbours, Between(20, 500, is_log=True)] = 100
    bm25_saturation: Annotated[float, Field(gt=0), Between(0.1, 100.0, is_log=True)] = Field(
        1.2, description="K1 of BM25: the weight at which more of the same counts little more; only for bm25"
    )
    bm25_length_share: Annotated[float, Field(ge=0, le=1), Between(0.0, 1.0)] = Field(
        0.75, description="B of BM25: how far popular items are discounted, 0 (not) to 1 (in full); only for bm25"
    )


@dataclass(frozen=True)
class NeighbourModel(Model):
    """A sparse item-item matrix as padded rows: a score is the sum over the history of what its items say.

    Attributes:
        neighbours: The items that each item speaks for, shape (items, at most the bound), int32.
        weights: How much it speaks for them, strongest first, same shape, float32; 0 is padding.
    """

    item_ids: pl.Series
    parameters: Parameters
    neighbours: NDArray[np.int32]
    weights: Floats
    is_personal: ClassVar[bool] = True

    def scores(self, histories: csr_array) -> Floats:
        """See `Model.scores`."""
        result: Floats = (histories @ self._matrix).toarray()
        return result

    def arrays(self) -> Arrays:
        """See `Model.arrays`."""
        return {"neighbours": self.neighbours, "weights": self.weights}

    def reasons(self, history: csr_array, items: NDArray[np.int64]) -> Floats:
        """See `Model.reasons`; exact, because a score is a sum over the items of the history."""
        result: Floats = self._matrix[history.indices][:, items].toarray().T * history.data
        return result

    @cached_property
    def _matrix(self) -> csr_array:
        """Shape (items of the history, items to score), float32."""
        is_cell = self.weights != 0
        starts = np.concatenate([[0], np.cumsum(is_cell.sum(axis=1))])
        count = self.item_ids.len()
        return csr_array((self.weights[is_cell], self.neighbours[is_cell], starts), shape=(count, count))


def fit(interactions: Interactions, parameters: ItemItemParameters, seed: int) -> NeighbourModel:
    """Compute similarities; nothing is random.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Not used.
    """
    from implicit.nearest_neighbours import ItemItemRecommender

    del seed
    matrix, item_ids = training_matrix(interactions, parameters)
    recommender = ItemItemRecommender(K=parameters.neighbours)
    if item_ids.is_empty():  # implicit divides by the number of users
        return NeighbourModel(item_ids, parameters, *padded([], parameters.neighbours))
    recommender.fit(_comparable(matrix, parameters), show_progress=False)
    return NeighbourModel(item_ids, parameters, *padded([csr_array(recommender.similarity)], parameters.neighbours))


def load(item_ids: pl.Series, parameters: ItemItemParameters, arrays: Arrays) -> NeighbourModel:
    """Build the model from its stored arrays."""
    return NeighbourModel(item_ids, parameters, arrays["neighbours"], arrays["weights"])


def products(left: csr_array, right: csr_array) -> Iterator[csr_array]:
    """A product of two sparse matrices, a block of rows at a time, so that it is never in memory as a whole."""
    for first in range(0, left.shape[0], BLOCK_ITEMS):
        yield left[first : first + BLOCK_ITEMS] @ right


def padded(blocks: Iterable[csr_array], bound: int) -> tuple[NDArray[np.int32], Floats]:
    """Keep the strongest cells of each row of an item-item matrix.

    Args:
        blocks: The rows of the matrix, in order.
        bound: Cells kept per row: those of the largest absolute weights, among equal ones the lower columns.

    Returns:
        Columns (int32) and weights (float32), each of shape (rows, longest row kept), strongest first, padded with 0.
    """
    kept = [cells for block in blocks for cells in _strongest(block, bound)]
    width = max((columns.size for columns, _ in kept), default=0)
    neighbours, weights = np.zeros((len(kept), width), dtype=np.int32), np.zeros((len(kept), width), dtype=np.float32)
    for row, (columns, values) in enumerate(kept):
        neighbours[row, : columns.size], weights[row, : columns.size] = columns, values
    return neighbours, weights


def _strongest(block: csr_array, bound: int) -> Iterator[tuple[NDArray[np.int32], Floats]]:
    """The columns and weights that `padded` keeps, row by row."""
    cells = block.astype(np.float32)
    cells.eliminate_zeros()
    cells.sort_indices()
    for start, end in pairwise(cells.indptr):
        chosen = start + np.argsort(-np.abs(cells.data[start:end]), kind="stable")[:bound]
        yield cells.indices[chosen], cells.data[chosen]


def _comparable(matrix: csr_array, parameters: ItemItemParameters) -> csr_matrix:
    """Users' weights such that the product of two items' columns is their similarity.

    The same as `implicit`'s recommenders of these names, which pass on a format that `implicit` then warns of.
    """
    from implicit.nearest_neighbours import bm25_weight, normalize, tfidf_weight

    item_users = csr_matrix(matrix.T)
    if parameters.similarity == "bm25":
        return csr_matrix(bm25_weight(item_users, parameters.bm25_saturation, parameters.bm25_length_share).T)
    if parameters.similarity == "tfidf":
        item_users = csr_matrix(tfidf_weight(item_users))
        item_users.eliminate_zeros()  # an item known only from users who did everything has no length to divide by
    return csr_matrix(normalize(item_users).T)


FAMILY = Family("item_item", ItemItemParameters, fit, load)
