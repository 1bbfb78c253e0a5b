"""Graph filtering, against the formulas of the paper on dense matrices."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.models.artifact import is_finite
from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.graph_filter import GraphFilterParameters, fit

Bought = Callable[..., Interactions]
MatrixOf = Callable[[Model, Interactions], csr_array]


def dense_scores(interactions: csr_array, dimensions: int, low_pass_weight: float) -> NDArray[np.float64]:
    """Section 4 of the paper, word for word."""
    users_items = interactions.toarray().astype(np.float64)
    users, items = users_items.sum(axis=1), users_items.sum(axis=0)
    normalized = np.diag(users**-0.5) @ users_items @ np.diag(items**-0.5)
    strongest = np.linalg.svd(normalized)[2][:dimensions].T
    linear = users_items @ normalized.T @ normalized
    low_passed = users_items @ np.diag(items**-0.5) @ strongest @ strongest.T @ np.diag(items**0.5)
    scores: NDArray[np.float64] = linear + low_pass_weight * low_passed
    return scores


@pytest.mark.parametrize("low_pass_weight", [0.0, 0.3, 2.0])
def test_scores_are_those_of_the_dense_formulas(
    low_pass_weight: float, random_sales: Interactions, matrix_of: MatrixOf
) -> None:
    model = fit(random_sales, GraphFilterParameters(dimensions=5, low_pass_weight=low_pass_weight), seed=1)
    histories = matrix_of(model, random_sales)
    assert model.scores(histories) == pytest.approx(dense_scores(histories, 5, low_pass_weight), rel=1e-4, abs=1e-5)


def test_pruning_drops_the_weakest_cells_of_the_linear_filter_only(random_sales: Interactions) -> None:
    full, pruned = (
        fit(random_sales, GraphFilterParameters(dimensions=5, neighbours=bound), seed=1).arrays() for bound in (99, 4)
    )
    assert (pruned["weights"] == full["weights"][:, :4]).all()
    assert (pruned["vectors"] == full["vectors"]).all()


def test_the_seed_changes_where_the_search_begins_and_not_what_it_finds(random_sales: Interactions) -> None:
    first, second = (
        fit(random_sales, GraphFilterParameters(dimensions=5), seed).arrays()["vectors"] for seed in (1, 2)
    )
    assert first == pytest.approx(second, abs=1e-5)


def test_more_dimensions_than_there_are_users_and_items_are_no_error(bought: Bought) -> None:
    model = fit(bought(("u", "a", 0), ("u", "b", 0), ("v", "b", 0)), GraphFilterParameters(dimensions=256), seed=1)
    assert model.vectors.shape == (2, 1)


def test_what_has_faded_to_nothing_divides_nothing_by_zero(bought: Bought, matrix_of: MatrixOf) -> None:
    sales = bought(("u", "a", 0), ("u", "b", 0), ("v", "b", 0), ("long ago", "old", 900), ("v", "old", 900))
    model = fit(sales, GraphFilterParameters(half_life_days=1.0), seed=1)
    assert is_finite(model)
    assert np.isfinite(model.scores(matrix_of(model, sales))).all()
