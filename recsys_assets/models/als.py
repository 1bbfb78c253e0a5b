"""Implicit-feedback matrix factorization by alternating least squares, fitted by `implicit`, or on Spark.

Source: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. A user's vector
is the closed-form solution of one ALS step for the user's history (fold-in), so only item factors are stored.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from recsys_assets.models.als_on_spark import factorize
from recsys_assets.models.family import (
    Arrays,
    CannotFitError,
    FactorModel,
    Family,
    Floats,
    Interactions,
    SparkInteractions,
    WeighedParameters,
    training_matrix,
)
from recsys_assets.models.on_spark import items_of, ratings
from recsys_assets.models.search import Between

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class AlsParameters(WeighedParameters):
    """Hyper-parameters of ALS.

    The defaults do well on Online Retail and on the simulated e-book store alike; strong regularization does on Gowalla
    too. `implicit`'s own (0.01, and alpha 1) rank the simulated store a sixth worse.
    """

    factors: Annotated[int, Field(ge=1), Between(16, 256, is_log=True)] = Field(
        64, description="length of the vectors of items and users"
    )
    regularization: Annotated[float, Field(gt=0), Between(0.001, 100.0, is_log=True)] = Field(
        10.0, description="of the vectors: higher where users are few or did little"
    )
    alpha: Annotated[float, Field(gt=0), Between(0.5, 64.0, is_log=True)] = Field(
        5.0, description="confidence of an interaction is alpha x weight (as implicit has it); of all else it is 1"
    )
    iterations: Annotated[int, Field(ge=1), Between(5, 30)] = Field(
        15, description="how often users' and items' vectors are solved in turn"
    )
    training_loss: bool = Field(
        default=True, description="compute the loss after each iteration; it takes about a tenth of the fit"
    )


@dataclass(frozen=True)
class AlsModel(FactorModel):
    """Item factors, shape (items, factors), float32.

    The loss is the mean over all users and items of the weighted squared error, with the regularization: equation 3 of
    the paper, divided by the summed confidence.
    """

    item_ids: pl.Series
    parameters: AlsParameters
    item_factors: Floats
    losses: tuple[float, ...] = field(default=(), compare=False)
    is_personal: ClassVar[bool] = True

    def vectors(self, histories: csr_array) -> Floats:
        """See `FactorModel.vectors`."""
        vectors: Floats = self._solver.recalculate_user(np.arange(histories.shape[0]), csr_matrix(histories))
        return vectors

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
        solver = _solver(self.parameters, seed=0, threads=1)  # whoever ranks has threads, and gives users to each
        solver.item_factors = self.item_factors
        return solver


def fit(interactions: Interactions, parameters: AlsParameters, seed: int) -> AlsModel:
    """Fit item factors; the same input, parameters and seed give the same factors.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Of the initial factors.

    Raises:
        CannotFitError: The factors are no finite numbers any more.
    """
    from implicit.recommender_base import ModelFitError

    matrix, item_ids = training_matrix(interactions, parameters)
    solver = _solver(parameters, seed)
    solver.calculate_training_loss = parameters.training_loss and matrix.nnz > 0  # the mean over nothing is no number
    losses: list[float | None] = []
    try:
        with threadpool_limits(1, "blas"):
            solver.fit(csr_matrix(matrix), show_progress=False, callback=lambda *told: losses.append(told[-1]))
    except ModelFitError as error:
        raise CannotFitError(
            f"als: {error}; raise families.als.parameters.regularization, or lower alpha or the event weights"
        ) from error
    factors = np.asarray(solver.item_factors, dtype=np.float32)
    return AlsModel(item_ids, parameters, factors, tuple(loss for loss in losses if loss is not None))


def fit_on_spark(interactions: SparkInteractions, parameters: AlsParameters, seed: int) -> AlsModel:
    """Fit item factors where the rows are; they mean the same as those of `fit`, and are not the very same.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters; there is no training loss.
        seed: Of the initial factors.

    Raises:
        CannotFitError: The factors are no finite numbers any more.
    """
    item_ids = items_of(interactions)
    item_factors = factorize(
        ratings(interactions, parameters, item_ids),
        item_ids.len(),
        factors=parameters.factors,
        regularization=parameters.regularization,
        alpha=parameters.alpha,
        iterations=parameters.iterations,
        seed=seed,
    )
    return AlsModel(item_ids, parameters, item_factors)


def load(item_ids: pl.Series, parameters: AlsParameters, arrays: Arrays) -> AlsModel:
    """Build the model from its stored arrays."""
    return AlsModel(item_ids, parameters, arrays["item_factors"])


def _solver(parameters: AlsParameters, seed: int, threads: int = 0) -> "AlternatingLeastSquares":
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # without it implicit warns that the two kinds of threads fight
        return AlternatingLeastSquares(
            factors=parameters.factors,
            regularization=parameters.regularization,
            alpha=parameters.alpha,
            iterations=parameters.iterations,
            random_state=seed,
            num_threads=threads,
        )


FAMILY = Family("als", AlsParameters, fit, load, fit_on_spark)
