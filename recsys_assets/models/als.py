"""Implicit-feedback matrix factorization by alternating least squares, fitted by the library `implicit`.

Source: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. A user's vector
is the closed-form solution of one ALS step for the user's history (fold-in), so only item factors are stored.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from recsys_assets.models.family import (
    Arrays,
    Family,
    Floats,
    Interactions,
    Model,
    WeighedParameters,
    training_matrix,
)

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class AlsParameters(WeighedParameters):
    """Hyper-parameters of ALS."""

    factors: Annotated[int, Field(ge=1)] = 64
    regularization: Annotated[float, Field(gt=0)] = 0.01
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Confidence of an interaction is alpha x weight (as `implicit` has it); of everything else it is 1."""
    iterations: Annotated[int, Field(ge=1)] = 15


@dataclass(frozen=True)
class AlsModel(Model):
    """Item factors, shape (items, factors), float32."""

    item_ids: pl.Series
    parameters: AlsParameters
    item_factors: Floats
    is_personal: ClassVar[bool] = True

    def scores(self, histories: csr_array) -> Floats:
        """See `Model.scores`."""
        with threadpool_limits(1, "blas"):  # implicit has threads of its own
            vectors = self._solver.recalculate_user(np.arange(histories.shape[0]), csr_matrix(histories))
        result: Floats = vectors @ self.item_factors.T
        return result

    def arrays(self) -> Arrays:
        """See `Model.arrays`."""
        return {"item_factors": self.item_factors}

    def reasons(self, history: csr_array, items: NDArray[np.int64]) -> Floats:
        """See `Model.reasons`; section 5 of the paper: a score is a sum over the items of the history."""
        owned = self.item_factors[history.indices]
        confidence = self.parameters.alpha * history.data
        gram = self.item_factors.T @ self.item_factors + (owned.T * (confidence - 1)) @ owned
        gram += self.parameters.regularization * np.eye(gram.shape[0], dtype=np.float32)
        result: Floats = self.item_factors[items] @ np.linalg.solve(gram, owned.T * confidence)
        return result

    @cached_property
    def _solver(self) -> "AlternatingLeastSquares":
        solver = _solver(self.parameters, seed=0)
        solver.item_factors = self.item_factors
        return solver


def fit(interactions: Interactions, parameters: AlsParameters, seed: int) -> AlsModel:
    """Fit item factors; the same input, parameters and seed give the same factors.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Of the initial factors.
    """
    matrix, item_ids = training_matrix(interactions, parameters)
    solver = _solver(parameters, seed)
    with threadpool_limits(1, "blas"):
        solver.fit(csr_matrix(matrix), show_progress=False)
    return AlsModel(item_ids, parameters, np.asarray(solver.item_factors, dtype=np.float32))


def load(item_ids: pl.Series, parameters: AlsParameters, arrays: Arrays) -> AlsModel:
    """Build the model from its stored arrays."""
    return AlsModel(item_ids, parameters, arrays["item_factors"])


def _solver(parameters: AlsParameters, seed: int) -> "AlternatingLeastSquares":
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # without it implicit warns that the two kinds of threads fight
        return AlternatingLeastSquares(
            factors=parameters.factors,
            regularization=parameters.regularization,
            alpha=parameters.alpha,
            iterations=parameters.iterations,
            random_state=seed,
        )


FAMILY = Family("als", AlsParameters, fit, load)
