"""The one ranking, against a reference in plain Python that sorts everything."""

import random
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models import best_items
from recsys_assets.models.family import HISTORY_SCHEMA, Arrays, Floats, Interactions, Model, Parameters
from recsys_assets.models.ranking import RANKED_SCHEMA, Ranker, rank
from recsys_assets.models.selection import best_columns

TODAY = date(2026, 3, 1)
ITEM_POOL = ("a", "b", "b1", "b10", "b2", "z")  # sorted as text, as id maps are
USER_POOL = ("u1", "u10", "u2", "u3")
quickly = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Neighbours(Model):
    """A small item-item model: what an item of the history says for each other item, in whole numbers."""

    item_ids: pl.Series
    weights: Floats
    parameters: Parameters = field(default_factory=Parameters)
    is_personal: ClassVar[bool] = True

    def scores(self, histories: csr_array) -> Floats:
        product: Floats = (histories @ self.weights).astype(np.float32)
        return product

    def arrays(self) -> Arrays:
        return {"weights": self.weights}


@dataclass(frozen=True)
class Bestsellers(Neighbours):
    """The same for everybody, with or without a history."""

    is_personal: ClassVar[bool] = False

    def scores(self, histories: csr_array) -> Floats:
        return np.repeat(self.weights[:1], histories.shape[0], axis=0)


@dataclass(frozen=True)
class Item:
    """What the shop says of an item that is on sale."""

    creator: str | None = None
    category: str | None = None
    is_adult: bool = False


@dataclass(frozen=True)
class Wishes:
    """What one user must not see."""

    items: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    may_see_adult: bool = False

    def allow(self, item_id: str, item: Item) -> bool:
        return (
            item_id not in self.items
            and item.creator not in self.creators
            and item.category not in self.categories
            and (self.may_see_adult or not item.is_adult)
        )


@dataclass(frozen=True)
class World:
    """Everything that a ranking depends on, as plain values."""

    model: Neighbours
    histories: dict[str, dict[str, int]]
    on_sale: dict[str, Item]
    wishes: dict[str, Wishes]

    def ranked(self, n: int, users: list[str] | None = None, block_users: int = 2_048) -> dict[str, list[str]]:
        lists = rank(
            self.model,
            histories_of(self.histories),
            pl.Series("user_id", list(self.histories) if users is None else users, dtype=pl.String),
            exclusions_of(self.wishes),
            eligible_of(self.on_sale),
            n=n,
            block_users=block_users,
        )
        assert lists.schema == RANKED_SCHEMA
        return dict(lists.select("user_id", "item_ids").iter_rows())

    def expected(self, n: int) -> dict[str, list[str]]:
        """Every item of the model scored in a loop, forbidden ones dropped, all of the rest sorted."""
        ids = self.model.item_ids.to_list()
        lists = {}
        for user, history in self.histories.items():
            if self.model.is_personal and not set(history) & set(ids):
                continue
            wishes = self.wishes.get(user, Wishes())
            allowed = [item for item in ids if item in self.on_sale and wishes.allow(item, self.on_sale[item])]
            scores = {item: self._score(history, item) for item in allowed}
            lists[user] = sorted(allowed, key=lambda item, scores=scores: (-scores[item], item))[:n]
        return lists

    def _score(self, history: dict[str, int], item: str) -> float:
        ids = self.model.item_ids.to_list()
        column = self.model.weights[:, ids.index(item)]
        if not self.model.is_personal:
            return float(column[0])
        return sum(weight * float(column[ids.index(old)]) for old, weight in history.items() if old in ids)


def histories_of(histories: dict[str, dict[str, int]]) -> Interactions:
    rows = [
        (user, item, TODAY, float(weight)) for user, history in histories.items() for item, weight in history.items()
    ]
    return Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row"), TODAY)


def eligible_of(on_sale: dict[str, Item]) -> pl.DataFrame:
    rows = [(TODAY, name, item.creator, item.category, item.is_adult) for name, item in on_sale.items()]
    return pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")


def exclusions_of(wishes: dict[str, Wishes]) -> pl.DataFrame:
    rows = [
        (
            TODAY,
            user,
            list(one.items),
            ["owned"] * len(one.items),
            list(one.creators),
            list(one.categories),
            one.may_see_adult,
        )
        for user, one in wishes.items()
    ]
    return pl.DataFrame(rows, schema=EXCLUSIONS.schema, orient="row")


def subsets(values: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=least).map(tuple)


names = st.sampled_from((None, "ann", "bob"))
wishes = st.builds(
    Wishes,
    items=subsets((*ITEM_POOL, "unheard of")),
    creators=subsets(("ann", "bob")),
    categories=subsets(("ann", "bob")),
    may_see_adult=st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    known = sorted(draw(subsets(ITEM_POOL, least=1)))
    cells = draw(
        st.lists(st.integers(-1, 1), min_size=len(known) ** 2, max_size=len(known) ** 2)
    )  # few values, so many ties
    weights = np.array(cells, dtype=np.float32).reshape(len(known), len(known))
    kind = draw(st.sampled_from((Neighbours, Bestsellers)))
    histories = st.dictionaries(st.sampled_from(ITEM_POOL), st.integers(1, 2), max_size=4)
    return World(
        model=kind(pl.Series("item_id", known), weights),
        histories=draw(st.dictionaries(st.sampled_from(USER_POOL), histories)),
        on_sale=draw(st.dictionaries(st.sampled_from(ITEM_POOL), st.builds(Item, names, names, st.booleans()))),
        wishes=draw(st.dictionaries(st.sampled_from((*USER_POOL, "stranger")), wishes)),
    )


def shelf(*items: str, scores: list[float] | None = None) -> Bestsellers:
    row = np.zeros(len(items)) if scores is None else np.array(scores)
    return Bestsellers(pl.Series("item_id", list(items)), row[np.newaxis].astype(np.float32))


@quickly
@given(worlds(), st.integers(1, 8))
def test_lists_are_what_sorting_everything_would_give(world: World, n: int) -> None:
    assert world.ranked(n) == world.expected(n)


@quickly
@given(worlds(), st.integers(1, 4))
def test_the_size_of_a_block_of_users_changes_nothing(world: World, block_users: int) -> None:
    assert world.ranked(3, block_users=block_users) == world.ranked(3)


@quickly
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_users_changes_only_the_order_of_rows(world: World, choose: random.Random) -> None:
    users = choose.sample(list(world.histories), len(world.histories))
    lists = world.ranked(3, users)
    assert lists == world.ranked(3)
    assert list(lists) == [user for user in users if user in lists]


@quickly
@given(worlds(), st.integers(1, 5))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(world: World, n: int) -> None:
    longer = world.ranked(n + 2)
    assert world.ranked(n) == {user: items[:n] for user, items in longer.items()}


@quickly
@given(worlds(), st.integers(1, 4))
def test_what_is_prepared_once_ranks_again_and_again(world: World, block_users: int) -> None:
    ranker = Ranker.of(world.model, eligible_of(world.on_sale))
    users = pl.Series("user_id", list(world.histories), dtype=pl.String)
    for some in (users, users.reverse(), users[:1]):
        blocks = ranker.blocks(
            histories_of(world.histories), some, exclusions_of(world.wishes), n=3, block_users=block_users
        )
        lists = pl.concat([pl.DataFrame(schema=RANKED_SCHEMA), *blocks])
        assert dict(lists.select("user_id", "item_ids").iter_rows()) == world.ranked(3, some.to_list())


def test_memory_holds_the_scores_of_few_users_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    score = Neighbours.scores

    def counted(self: Neighbours, histories: csr_array) -> Floats:
        asked.append(histories.shape[0])
        return score(self, histories)

    monkeypatch.setattr(Neighbours, "scores", counted)
    monkeypatch.setattr(best_items, "SCORES_AT_ONCE", 30)
    model = Neighbours(pl.Series("item_id", list(ITEM_POOL)), np.eye(6, dtype=np.float32))
    world = World(model, {f"u{number:03}": {"a": 1} for number in range(100)}, {"a": Item()}, {})
    assert world.ranked(2) == {f"u{number:03}": ["a"] for number in range(100)}
    assert sum(asked) == 100
    assert max(asked) <= 5


def test_equal_scores_are_ordered_by_item_id_as_text() -> None:
    world = World(
        shelf("b", "b1", "b10", "b2", scores=[1, 2, 2, 2]),
        {"u1": {}},
        {name: Item() for name in ("b2", "b10", "b1", "b")},
        {},
    )
    assert world.ranked(4) == {"u1": ["b1", "b10", "b2", "b"]}
    assert world.ranked(2) == {"u1": ["b1", "b10"]}


def test_what_was_viewed_and_is_not_excluded_stays_in_the_list() -> None:
    model = Neighbours(pl.Series("item_id", ["a", "b"]), np.array([[2, 1], [0, 0]], dtype=np.float32))
    world = World(model, {"u1": {"a": 1}}, {"a": Item(), "b": Item()}, {})
    assert world.ranked(2) == {"u1": ["a", "b"]}


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        (Wishes(items=("a",), may_see_adult=True), ["b", "z"]),
        (Wishes(creators=("ann",), may_see_adult=True), ["z"]),
        (Wishes(categories=("crime",), may_see_adult=True), ["a", "z"]),
        (Wishes(), ["a", "b"]),
        (Wishes(items=("a", "b", "z")), []),
    ],
)
def test_exclusions_by_item_creator_category_and_age_leave_shorter_lists(wishes: Wishes, left: list[str]) -> None:
    on_sale = {"a": Item("ann"), "b": Item("ann", "crime"), "z": Item(is_adult=True)}
    assert World(shelf("a", "b", "z"), {"u1": {}}, on_sale, {"u1": wishes}).ranked(9) == {"u1": left}


def test_an_item_without_creator_is_not_excluded_by_another_without_one() -> None:
    world = World(shelf("a"), {"u1": {}}, {"a": Item(None, None)}, {"u1": Wishes(creators=("",))})
    assert world.ranked(1) == {"u1": ["a"]}


def test_a_user_without_a_row_of_exclusions_sees_no_adult_titles() -> None:
    on_sale = {"a": Item(is_adult=True), "b": Item()}
    adult = {"u2": Wishes(may_see_adult=True)}
    lists = World(shelf("a", "b"), {"u1": {}, "u2": {}}, on_sale, adult).ranked(2)
    assert lists == {"u1": ["b"], "u2": ["a", "b"]}


def test_an_item_that_is_not_eligible_is_never_used_to_fill_a_list_up() -> None:
    assert World(shelf("a", "b", "z"), {"u1": {}}, {"b": Item()}, {}).ranked(3) == {"u1": ["b"]}


def test_scores_stand_beside_their_items_and_never_rise() -> None:
    lists = rank(
        shelf("a", "b", "z", scores=[-3, 5, 0.5]),
        histories_of({}),
        pl.Series("user_id", ["u1"]),
        exclusions_of({}),
        eligible_of({"a": Item(), "b": Item(), "z": Item()}),
        n=3,
    )
    assert lists.row(0) == ("u1", ["b", "z", "a"], [5.0, 0.5, -3.0])


def test_nobody_to_rank_for_gives_no_rows() -> None:
    assert World(shelf("a"), {}, {"a": Item()}, {}).ranked(3) == {}


@quickly
@given(
    st.integers(1, 7).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from((-np.inf, -1.0, 0.0, 2.0)), min_size=width, max_size=width),
            min_size=1,
            max_size=4,
        )
    ),
    st.integers(1, 9),
)
def test_best_columns_are_the_first_of_a_full_stable_sort(rows: list[list[float]], n: int) -> None:
    chosen = best_columns(np.array(rows, dtype=np.float32), n)
    columns = range(len(rows[0]))
    assert chosen.tolist() == [sorted(columns, key=lambda one, row=row: (-row[one], one))[:n] for row in rows]


def test_best_columns_of_a_wide_matrix_with_ties_at_the_edge() -> None:
    scores: NDArray[np.float32] = np.random.default_rng(5).integers(0, 12, size=(40, 1_000)).astype(np.float32)
    assert (best_columns(scores, 100) == np.argsort(-scores, axis=1, kind="stable")[:, :100]).all()


def test_best_columns_of_a_wide_matrix_keep_ties_in_order_where_the_edge_is_clear() -> None:
    tens = np.repeat(np.arange(100, dtype=np.float32), 10)
    scores: NDArray[np.float32] = np.stack([np.random.default_rng(row).permutation(tens) for row in range(20)])
    assert (best_columns(scores, 50) == np.argsort(-scores, axis=1, kind="stable")[:, :50]).all()


@pytest.mark.parametrize("equal", [1, 3, 40, 2_000])
def test_best_columns_among_many_are_those_of_a_full_sort_however_many_scores_are_equal(equal: int) -> None:
    rng = np.random.default_rng(equal)
    scores: NDArray[np.float32] = (rng.permuted(np.tile(np.arange(4_000), (30, 1)), axis=1) // equal).astype(np.float32)
    scores[::3, rng.integers(4_000, size=3_000)] = -np.inf  # what may not be recommended
    scores[1] = -np.inf
    assert (best_columns(scores, 50) == np.argsort(-scores, axis=1, kind="stable")[:, :50]).all()
