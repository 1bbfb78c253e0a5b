"""EASE, against the closed form by brute force."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.models.ease import EaseParameters, TooManyItemsError, fit
from recsys_assets.models.family import Interactions, Model

MatrixOf = Callable[[Model, Interactions], csr_array]


def brute_force(interactions: csr_array, regularization: float) -> NDArray[np.float64]:
    """The item-item weights as algorithm 1 of the paper computes them."""
    users_items = interactions.toarray().astype(np.float64)
    inverse = np.linalg.inv(users_items.T @ users_items + regularization * np.eye(users_items.shape[1]))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("block_items", [1_024, 7])
@pytest.mark.parametrize("weighting", ["linear", "binary"])
def test_scores_are_those_of_the_closed_form(
    block_items: int, weighting: str, random_sales: Interactions, matrix_of: MatrixOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("item_item", "ease"):
        monkeypatch.setattr(f"recsys_assets.models.{module}.BLOCK_ITEMS", block_items)
    model = fit(random_sales, EaseParameters(regularization=3.0, weighting=weighting), seed=1)
    histories = matrix_of(model, random_sales)
    expected = histories.toarray() @ brute_force(histories, 3.0)
    assert model.scores(histories) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_item_speaks_for_itself(random_sales: Interactions) -> None:
    arrays = fit(random_sales, EaseParameters(), seed=1).arrays()
    itself = np.arange(arrays["neighbours"].shape[0])[:, np.newaxis]
    assert (arrays["weights"][arrays["neighbours"] == itself] == 0).all()


def test_what_speaks_against_an_item_is_kept_as_well(random_sales: Interactions) -> None:
    arrays = fit(random_sales, EaseParameters(regularization=3.0, neighbours=5), seed=1).arrays()
    assert arrays["weights"].shape[1] == 5
    assert (arrays["weights"] < 0).any()
    assert (np.diff(np.abs(arrays["weights"])) <= 0).all()


def test_too_many_items_are_refused_with_the_bound_and_what_to_do(random_sales: Interactions) -> None:
    with pytest.raises(TooManyItemsError, match="has 20 items and max_items is 19") as refusal:
        fit(random_sales, EaseParameters(max_items=19), seed=1)
    assert all(way in str(refusal.value) for way in ("graph_filter", "item_item", "window_days", "max_items"))
    assert fit(random_sales, EaseParameters(max_items=20), seed=1).item_ids.len() == 20
