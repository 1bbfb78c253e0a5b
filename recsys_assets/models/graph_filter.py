"""Graph filtering: a history smoothed over the graph of users and items, in closed form.

Source: Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021 (GF-CF). With the interactions
R, degree-normalized on both sides as N = Du^-1/2 R Di^-1/2, a history h scores items by two filters:
linear h N^T N, and ideal low-pass h Di^-1/2 V V^T Di^1/2, where V are the strongest right singular vectors of N.
N has a row per user and must not be stored, so N^T N is computed while fitting and kept sparse.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, dia_array, diags_array
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recsys_assets.models.family import Arrays, Family, Floats, Interactions, WeighedParameters, training_matrix
from recsys_assets.models.item_item import NeighbourModel, Neighbours, padded, products
from recsys_assets.models.search import Between


class GraphFilterParameters(WeighedParameters):
    """Hyper-parameters of graph filtering.

    Neighbours, on Gowalla (41,000 items): 500 give Recall@20 .1844, 1,000 .1848, 2,000 .1849, which is all of it.
    """

    dimensions: Annotated[int, Field(ge=1), Between(16, 512, is_log=True)] = Field(
        256, description="singular vectors of the low-pass filter; fewer where there are fewer users or items"
    )
    low_pass_weight: Annotated[float, Field(ge=0), Between(0.0, 1.0)] = Field(
        0.3, description="weight of the low-pass filter beside the linear one"
    )
    neighbours: Neighbours = Field(
        500,
        description="cells kept per item of the linear filter, which would else have one for every item with a "
        "user in common",
    )


@dataclass(frozen=True)
class GraphFilterModel(NeighbourModel):
    """The linear filter as neighbours, and beside it the low-pass filter.

    Attributes:
        vectors: Right singular vectors, shape (items, dimensions), float32.
        root_degrees: Square root of the summed weight of each item, shape (items,), float32.
    """

    parameters: GraphFilterParameters
    vectors: Floats
    root_degrees: Floats

    def scores(self, histories: csr_array) -> Floats:
        """See `Model.scores`."""
        result = super().scores(histories)
        result += self._low_passed(histories, self.vectors, self.root_degrees)
        return result

    def arrays(self) -> Arrays:
        """See `Model.arrays`."""
        return {**super().arrays(), "vectors": self.vectors, "root_degrees": self.root_degrees}

    def reasons(self, history: csr_array, items: NDArray[np.int64]) -> Floats:
        """See `Model.reasons`; exact, because both filters are linear."""
        size = history.nnz
        apart = csr_array((history.data, (np.arange(size), history.indices)), shape=(size, history.shape[1]))
        low_passed = self._low_passed(apart, self.vectors[items], self.root_degrees[items])
        result: Floats = super().reasons(history, items) + low_passed.T
        return result

    def _low_passed(self, histories: csr_array, vectors: Floats, root_degrees: Floats) -> Floats:
        """The low-pass filter's weighted scores of some items, given by their vectors and degrees."""
        smoothed = (histories @ _reciprocals(self.root_degrees)) @ self.vectors
        result: Floats = (np.float32(self.parameters.low_pass_weight) * smoothed) @ vectors.T
        result *= root_degrees
        return result


def fit(interactions: Interactions, parameters: GraphFilterParameters, seed: int) -> GraphFilterModel:
    """Fit both filters; the same input, parameters and seed give the same arrays.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Of the vector that the search for singular vectors begins with.
    """
    matrix, item_ids = training_matrix(interactions, parameters)
    root_degrees = np.sqrt(matrix.sum(axis=0))
    normalized = csr_array(_reciprocals(np.sqrt(matrix.sum(axis=1))) @ matrix @ _reciprocals(root_degrees))
    neighbours, weights = padded(products(csr_array(normalized.T), normalized), parameters.neighbours)
    vectors = _singular_vectors(normalized, parameters.dimensions, seed)
    return GraphFilterModel(item_ids, parameters, neighbours, weights, vectors, root_degrees)


def load(item_ids: pl.Series, parameters: GraphFilterParameters, arrays: Arrays) -> GraphFilterModel:
    """Build the model from its stored arrays."""
    return GraphFilterModel(item_ids, parameters, **arrays)


def _reciprocals(values: Floats) -> dia_array:
    """Their reciprocals as a diagonal matrix; 0 for what has faded to 0."""
    return diags_array(np.divide(1, values, out=np.zeros_like(values), where=values > 0))


def _singular_vectors(normalized: csr_array, dimensions: int, seed: int) -> Floats:
    """Right singular vectors, strongest first, shape (items, dimensions); the largest entry of each is positive."""
    size = min(normalized.shape)
    dimensions = min(dimensions, size - 1)  # the search cannot find all of them
    if dimensions < 1:
        return np.zeros((normalized.shape[1], 0), dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(size)
    with threadpool_limits(1, "blas"):  # many small steps: more threads only wait for each other
        _, _, found = svds(normalized.astype(np.float64), k=dimensions, v0=start)
    vectors: Floats = np.ascontiguousarray(found[::-1].T, dtype=np.float32)
    strongest = np.abs(vectors).argmax(axis=0)
    vectors *= np.sign(vectors[strongest, np.arange(dimensions)])
    return vectors


FAMILY = Family("graph_filter", GraphFilterParameters, fit, load)
