"""The best products of vectors, against every product in exact arithmetic, all of them sorted."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.models import product_search
from recsys_assets.models.product_search import ItemVectors

Floats = NDArray[np.float32]
quickly = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dozens of items are already a sample and many blocks."""
    monkeypatch.setattr(product_search, "SAMPLED_ITEMS", 12)
    monkeypatch.setattr(product_search, "BLOCK_ITEMS", 5)


def cells(excluded: Sequence[set[int]], width: int) -> csr_array:
    dense = np.zeros((len(excluded), width), dtype=np.bool_)
    for row, columns in enumerate(excluded):
        dense[row, sorted(columns)] = True
    return csr_array(dense)


def expected(
    users: Floats, items: Floats, excluded: Sequence[set[int]], searched: Sequence[int], n: int
) -> list[list[int]]:
    """Every product summed without an error, rounded once, and sorted."""

    def score(user: int, item: int) -> float:
        pairs = zip(users[user].tolist(), items[item].tolist(), strict=True)
        return float(np.float32(math.fsum(one * other for one, other in pairs)))

    allowed = [[item for item in searched if item not in excluded[user]] for user in range(len(users))]
    return [
        sorted(mine, key=lambda item, user=user: (-score(user, item), item))[:n] for user, mine in enumerate(allowed)
    ]


def found(
    users: Floats, items: Floats, excluded: Sequence[set[int]], searched: Sequence[int], n: int
) -> list[list[int]]:
    columns, scores = ItemVectors.of(items, np.array(searched, dtype=np.int64)).best(
        users, cells(excluded, len(items)), n
    )
    assert ((columns >= 0) == np.isfinite(scores)).all()
    assert (np.diff(np.nan_to_num(scores, neginf=-1e30), axis=1) <= 0).all()
    return [[column for column in row if column >= 0] for row in columns.tolist()]


@st.composite
def vectors(draw: st.DrawFn, most: int) -> Floats:
    """Whole numbers, which tie; or any: nearly the same, so far apart that float32 loses digits, or all parallel."""
    rows, kind, seed = draw(st.integers(1, most)), draw(st.sampled_from("wnflp")), draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    if kind == "w":
        return random.integers(-1, 2, (rows, 3)).astype(np.float32)
    values = random.standard_normal((rows, 3))
    if kind == "n":
        values = values[:1] + 1e-7 * random.integers(-2, 3, (rows, 3))
    if kind == "l":
        values *= 10.0 ** random.integers(-4, 5, (rows, 3))
    if kind == "p":
        values[:, 1:] = 0
    return values.astype(np.float32)


@pytest.mark.usefixtures("small_blocks")
@quickly
@given(data=st.data(), users=vectors(4), items=vectors(60), n=st.integers(1, 70))
def test_they_are_what_sorting_every_exact_product_would_give(
    data: st.DataObject, users: Floats, items: Floats, n: int
) -> None:
    column = st.integers(0, len(items) - 1)
    searched = sorted(data.draw(st.one_of(st.just(set(range(len(items)))), st.sets(column))))
    excluded = [data.draw(st.sets(column)) for _ in users]
    assert found(users, items, excluded, searched, n) == expected(users, items, excluded, searched, n)


@pytest.mark.usefixtures("small_blocks")
@quickly
@given(users=vectors(6), items=vectors(60), n=st.integers(1, 20))
def test_the_other_users_of_a_block_change_no_bit(users: Floats, items: Floats, n: int) -> None:
    search = ItemVectors.of(items, np.arange(len(items)))
    columns, scores = search.best(users, cells([set()] * len(users), len(items)), n)
    for user in range(len(users)):
        alone = search.best(users[user : user + 1], cells([set()], len(items)), n)
        assert (columns[user].tobytes(), scores[user].tobytes()) == (alone[0].tobytes(), alone[1].tobytes())


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_many_items_of_equal_and_of_very_different_length(exponent: float) -> None:
    random = np.random.default_rng(3)
    items = random.standard_normal((20_000, 8)).astype(np.float32)
    items *= random.permutation(np.arange(1, 20_001) ** -exponent)[:, np.newaxis].astype(np.float32)
    users = random.standard_normal((40, 8)).astype(np.float32)
    excluded = [set(random.integers(0, 20_000, 50).tolist()) for _ in users]
    columns, _ = ItemVectors.of(items, np.arange(20_000)).best(users, cells(excluded, 20_000), 100)
    scores = (users.astype(np.float64) @ items.astype(np.float64).T).astype(np.float32)
    scores[cells(excluded, 20_000).toarray()] = -np.inf
    assert (columns == np.argsort(-scores, axis=1, kind="stable")[:, :100]).all()


@pytest.mark.usefixtures("small_blocks")
def test_a_sample_that_misleads_is_noticed() -> None:
    items = np.full((200, 1), 2, dtype=np.float32)
    sampled = slice(0, None, -(-200 // 12))  # all are equally long, so the sample is taken in their order
    items[sampled] = 3
    rest = np.setdiff1d(np.arange(200), np.arange(200)[sampled])
    user = np.array([[1.0]], dtype=np.float32)
    # Nearly everything that the sample has is excluded for one, and for another nothing is.
    assert found(np.repeat(user, 2, axis=0), items, [set(range(0, 200, 17)), set()], range(200), 30) == [
        rest[:30].tolist(),
        [*range(0, 200, 17), *rest[:18].tolist()],
    ]


def test_a_user_with_no_direction_gets_the_first_items() -> None:
    items = np.random.default_rng(0).standard_normal((9_000, 4)).astype(np.float32)
    users = np.array([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=np.float32)
    best = found(users, items, [{0, 2}, set()], range(9_000), 5)
    assert best == [[1, 3, 4, 5, 6], np.argsort(-items[:, 0], kind="stable")[:5].tolist()]


def test_nothing_to_search_or_nobody_to_search_for() -> None:
    items = np.ones((3, 2), dtype=np.float32)
    assert found(items[:2], items, [set(), set()], [], 5) == [[], []]
    assert found(items[:0], items, [], range(3), 5) == []
    assert found(items[:1], items, [{0, 1, 2}], range(3), 5) == [[]]
