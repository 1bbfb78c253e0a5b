"""EASE: the item-item weights that reconstruct every history best, no item speaking for itself, in closed form.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. With P the inverse of the regularized
Gram matrix of the interactions, item i speaks for item j by -P[i, j] / P[j, j].
"""

from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from recsys_assets.models.family import (
    Arrays,
    CannotFitError,
    Family,
    Floats,
    Interactions,
    WeighedParameters,
    training_matrix,
)
from recsys_assets.models.item_item import BLOCK_ITEMS, NeighbourModel, Neighbours, padded, products
from recsys_assets.models.search import Between


class TooManyItemsError(CannotFitError):
    """The training set has more items than the closed form is allowed to take."""


class EaseParameters(WeighedParameters):
    """Hyper-parameters of EASE."""

    regularization: Annotated[float, Field(gt=0), Between(1.0, 5_000.0, is_log=True)] = Field(
        200.0, description="added to each item's summed squared weights: lower for few users, higher for many"
    )
    neighbours: Neighbours = Field(
        1_000, description="cells kept per item: those of the largest absolute weights, negative ones too"
    )
    max_items: Annotated[int, Field(ge=1)] = Field(
        20_000,
        description="refuse more items: memory grows with their square, time with their cube; 20,000 take "
        "5 GB and 7 minutes",
    )


def fit(interactions: Interactions, parameters: EaseParameters, seed: int) -> NeighbourModel:
    """Solve the closed form; nothing is random.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Not used.

    Raises:
        TooManyItemsError: There are more items than `max_items`.
    """
    del seed
    matrix, item_ids = training_matrix(interactions, parameters)
    if item_ids.len() > parameters.max_items:
        raise TooManyItemsError(
            f"ease: the training set has {item_ids.len()} items and max_items is {parameters.max_items}: memory grows "
            "with its square; use graph_filter or item_item instead, or give ease fewer window_days, or, with enough "
            "memory, raise families.ease.parameters.max_items"
        )
    inverse = _inverse_gram(matrix, parameters.regularization)
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal
    np.fill_diagonal(inverse, 0)
    blocks = (csr_array(inverse[first : first + BLOCK_ITEMS]) for first in range(0, inverse.shape[0], BLOCK_ITEMS))
    return NeighbourModel(item_ids, parameters, *padded(blocks, parameters.neighbours))


def load(item_ids: pl.Series, parameters: EaseParameters, arrays: Arrays) -> NeighbourModel:
    """Build the model from its stored arrays."""
    return NeighbourModel(item_ids, parameters, **arrays)


def _inverse_gram(matrix: csr_array, regularization: float) -> Floats:
    """The inverse of matrix^T matrix + regularization x identity, shape (items, items), float32.

    Solved a block of columns at a time: LAPACK's inverse in place has crashed on large matrices, solving has not.
    """
    size = matrix.shape[1]
    gram, inverse = np.empty((size, size), order="F"), np.empty((size, size), dtype=np.float32)
    if not size:
        return inverse
    exact = matrix.astype(np.float64)
    for number, block in enumerate(products(csr_array(exact.T), exact)):
        gram[:, number * BLOCK_ITEMS : number * BLOCK_ITEMS + block.shape[0]] = block.T.toarray()
    gram[np.diag_indices(size)] += regularization
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    for first in range(0, size, BLOCK_ITEMS):
        columns = np.eye(size, min(BLOCK_ITEMS, size - first), -first)
        inverse[first : first + BLOCK_ITEMS] = cho_solve(factor, columns, overwrite_b=True, check_finite=False).T
    return inverse


FAMILY = Family("ease", EaseParameters, fit, load)
