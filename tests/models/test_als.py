"""ALS: the training loss is the one that the paper minimizes, and a fit that breaks down says what to change."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys_assets.models.als import AlsParameters, fit
from recsys_assets.models.family import CannotFitError, Interactions, training_matrix


@pytest.mark.parametrize("iterations", [1, 4])
def test_the_loss_is_the_weighted_error_with_the_regularization(random_sales: Interactions, iterations: int) -> None:
    parameters = AlsParameters(factors=3, alpha=5.0, regularization=0.3, iterations=iterations)
    weights = training_matrix(random_sales, parameters)[0]
    with threadpool_limits(1, "blas"):
        solver = AlternatingLeastSquares(3, 0.3, 5.0, iterations=iterations, random_state=7)
        solver.fit(csr_matrix(weights), show_progress=False)
    users, items = solver.user_factors.astype(float), solver.item_factors.astype(float)
    confidence = np.where(weights.toarray() > 0, 5.0 * weights.toarray(), 1.0)
    error = confidence * ((weights.toarray() > 0) - users @ items.T) ** 2
    penalty = 0.3 * ((users**2).sum() + (items**2).sum())
    losses = fit(random_sales, parameters, seed=7).losses
    assert len(losses) == iterations
    assert losses[-1] == pytest.approx((error.sum() + penalty) / confidence.sum(), rel=1e-4)


def test_the_loss_falls_with_every_iteration(random_sales: Interactions) -> None:
    losses = fit(random_sales, AlsParameters(factors=8, iterations=10), seed=7).losses
    assert list(losses) == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_computing_the_loss_changes_no_factor_and_can_be_left_out(random_sales: Interactions) -> None:
    with_loss, without = (fit(random_sales, AlsParameters(training_loss=told), seed=7) for told in (True, False))
    assert without.losses == ()
    assert with_loss.item_factors.tobytes() == without.item_factors.tobytes()


def test_factors_that_are_no_numbers_any_more_are_refused_with_what_to_change(random_sales: Interactions) -> None:
    with pytest.raises(CannotFitError, match=r"als: .*raise families\.als\.parameters\.regularization"):
        fit(random_sales, AlsParameters(alpha=1e30, factors=8), seed=7)
