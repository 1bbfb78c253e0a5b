"""Item-item neighbours, against the library that computes them."""

from collections.abc import Callable

import implicit.nearest_neighbours as library
import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from recsys_assets.models.artifact import is_finite
from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.item_item import ItemItemParameters, NeighbourModel, fit, padded, products

RECOMMENDERS = {
    "bm25": library.BM25Recommender,
    "cosine": library.CosineRecommender,
    "tfidf": library.TFIDFRecommender,
}

Bought = Callable[..., Interactions]
MatrixOf = Callable[[Model, Interactions], csr_array]


@pytest.mark.filterwarnings("ignore:Method expects CSR input")
@pytest.mark.parametrize("similarity", RECOMMENDERS)
def test_scores_are_those_of_implicit(similarity: str, random_sales: Interactions, matrix_of: MatrixOf) -> None:
    model = fit(random_sales, ItemItemParameters(similarity=similarity, neighbours=7), seed=1)
    histories = matrix_of(model, random_sales)
    expected = RECOMMENDERS[similarity](K=7)
    expected.fit(csr_matrix(histories), show_progress=False)
    items, scores = expected.recommend(3, csr_matrix(histories)[3], N=20, filter_already_liked_items=False)
    assert items.size > 7
    ours = model.scores(histories)[3]
    assert ours[items] == pytest.approx(scores, rel=1e-5)
    assert np.count_nonzero(ours) == items.size


@pytest.mark.parametrize("similarity", RECOMMENDERS)
def test_an_item_known_only_from_users_who_did_everything_stays_finite(similarity: str, bought: Bought) -> None:
    model = fit(bought(("u", "a", 0), ("v", "b", 0)), ItemItemParameters(similarity=similarity), seed=1)
    assert is_finite(model)


def test_an_item_that_few_bought_is_nearer_by_cosine_than_a_bestseller(bought: Bought) -> None:
    sales = bought(*((f"u{user}", "bestseller", 0) for user in range(9)), ("u0", "rare", 0), ("u0", "read", 0))
    model = fit(sales, ItemItemParameters(similarity="cosine"), seed=1)
    assert model.item_ids.to_list() == ["bestseller", "rare", "read"]
    assert model.scores(csr_array(np.array([[0, 0, 1]], dtype=np.float32)))[0] == pytest.approx([1 / 3, 1, 1])


def test_the_strongest_cells_of_a_row_are_kept_and_of_equal_ones_the_first() -> None:
    rows = csr_array(np.array([[1, -3, 2, 1], [0, 0, 0, 5], [0, 0, 0, 0], [2, 2, 2, 2]], dtype=np.float32))
    columns, weights = padded([rows[:3], rows[3:]], bound=3)
    assert weights.tolist() == [[-3, 2, 1], [5, 0, 0], [0, 0, 0], [2, 2, 2]]
    assert columns.tolist() == [[1, 2, 0], [3, 0, 0], [0, 0, 0], [0, 1, 2]]


def test_no_row_is_longer_than_its_cells() -> None:
    columns, weights = padded([csr_array(np.array([[0, 1], [0, 0]], dtype=np.float32))], bound=100)
    assert columns.shape == weights.shape == (2, 1)


def test_padding_says_nothing_and_hides_nothing(bought: Bought) -> None:
    names = bought(("u", "a", 0), ("u", "b", 0), ("u", "c", 0)).rows["item_id"]
    columns, weights = padded([csr_array(np.array([[4, 0, 2], [0, 0, 0], [0, 3, 0]], dtype=np.float32))], bound=2)
    model = NeighbourModel(names, ItemItemParameters(), columns, weights)
    assert model.scores(csr_array(np.eye(3, dtype=np.float32))).tolist() == [[4, 0, 2], [0, 0, 0], [0, 3, 0]]


def test_a_product_in_blocks_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_assets.models.item_item.BLOCK_ITEMS", 3)
    left, right = (np.random.default_rng(seed).integers(0, 3, (8, 8)) for seed in (1, 2))
    blocks = [block.toarray() for block in products(csr_array(left), csr_array(right))]
    assert [block.shape[0] for block in blocks] == [3, 3, 2]
    assert (np.vstack(blocks) == left @ right).all()
