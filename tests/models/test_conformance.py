"""What every model family must do. A new family joins by itself, and so does the one that the README shows."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models.artifact import ARRAYS, Artifact, Provenance, is_finite, load, save
from recsys_assets.models.catalogue import available_families
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Interactions, Model, history_matrix
from recsys_assets.models.ranking import rank

FOR_SMALL_DATA: dict[str, dict[str, Any]] = {
    "als": {"factors": 2, "regularization": 0.1, "alpha": 5.0, "iterations": 10},
    "item_item": {"similarity": "cosine"},
    "graph_filter": {"dimensions": 2},
    "ease": {"regularization": 1.0},
}
"""Hyper-parameters of families whose defaults are made for more than a dozen users."""
README_FAMILY = "also_bought"
FAMILIES = (*available_families(), README_FAMILY)

SLOT = date(2026, 3, 2)
AS_OF = date(2026, 3, 1)
PROVENANCE = Provenance(SLOT, AS_OF, 7, 3, "spec", "1.0")
HALF = 6
"""Users and items in each half of the checkerboard."""


@dataclass(frozen=True)
class Fitted:
    """A family with the parameters it is tested with."""

    family: Family
    parameters: Any

    def fit(self, interactions: Interactions, seed: int = 7) -> Model:
        return self.family.fit(interactions, self.parameters, seed)


def models_of_nothing() -> dict[str, Model]:
    """A model of each of our families, to ask what it is; the README's is like a linear one."""
    nothing = Interactions(pl.DataFrame(schema=HISTORY_SCHEMA), AS_OF)
    models = {name: family.fit(nothing, family.parameters(), 0) for name, family in available_families().items()}
    return models | {README_FAMILY: models["item_item"]}


PERSONAL = [name for name, model in models_of_nothing().items() if model.is_personal]
"""Families that learn which items go together."""
EXPLAINS = [name for name, model in models_of_nothing().items() if type(model).reasons is not Model.reasons]
"""Families that say how much each item of the history counts."""


def configured(name: str, **changes: object) -> Fitted:
    family: Family = importlib.import_module(f"recsys_assets.models.{name}").FAMILY
    return Fitted(family, family.parameters(**{**FOR_SMALL_DATA.get(name, {}), **changes}))


@pytest.fixture(scope="module", autouse=True)
def also_bought(readme_family: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """The family of the README can be imported, as if its file lay beside the others."""
    with readme_family():
        yield


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Fitted:
    return configured(request.param)


def bought(*rows: tuple[str, str, int, float]) -> Interactions:
    """Rows of user, item, age in days and weight."""
    dated = [(user, item, AS_OF - timedelta(days=age), weight) for user, item, age, weight in rows]
    return Interactions(pl.DataFrame(dated, schema=HISTORY_SCHEMA, orient="row"), AS_OF)


def checkerboard() -> Interactions:
    """Users of each half bought every item of their half but one: user 2 lacks item 2."""
    pairs = [(half, user, item) for half in "ab" for user in range(HALF) for item in range(HALF)]
    return bought(*((f"{half}-user{u}", f"{half}{i}", u, 1.0) for half, u, i in pairs if u != i))


def many() -> Interactions:
    """A few thousand rows with weights that do not add up exactly."""
    rng = np.random.default_rng(1)
    days = [AS_OF - timedelta(days=int(age)) for age in rng.integers(0, 90, 4_000)]
    rows = {
        "user_id": [f"u{user}" for user in rng.integers(0, 200, 4_000)],
        "item_id": [f"i{item}" for item in rng.zipf(1.5, 4_000) % 150],
        "day": days,
        "weight": rng.random(4_000) + 0.1,
    }
    return Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA), AS_OF)


@cache
def fitted_to_many(name: str) -> Model:
    """The model of a family, fitted once."""
    return configured(name).fit(many())


def on_sale(*items: str) -> pl.DataFrame:
    rows = [(AS_OF, item, None, None, False) for item in items]
    return pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")


def owning(owned: Mapping[str, list[str]]) -> pl.DataFrame:
    rows = [(AS_OF, user, items, ["owned"] * len(items), [], [], False) for user, items in owned.items()]
    return pl.DataFrame(rows, schema=EXCLUSIONS.schema, orient="row")


def lists(
    model: Model, histories: Interactions, *users: str, owned: Mapping[str, list[str]] | None = None, n: int = 99
) -> dict[str, list[str]]:
    exclusions, eligible = owning(owned or {}), on_sale(*model.item_ids)
    ranked = rank(model, histories, pl.Series(users, dtype=pl.String), exclusions, eligible, n=n)
    return dict(ranked.select("user_id", "item_ids").iter_rows())


def matrix_of(model: Model, histories: Interactions, *users: str) -> csr_array:
    """What the model scores, made as `rank` makes it."""
    return history_matrix(model.parameters.history_weights(histories), pl.Series(users), model.item_ids)


def test_the_id_map_is_sorted_and_holds_each_item_once(family: Fitted) -> None:
    model = family.fit(bought(("u", "b", 0, 1), ("u", "a", 0, 1), ("v", "b", 3, 1), ("v", "b10", 0, 1)))
    assert model.item_ids.to_list() == ["a", "b", "b10"]
    assert {values.shape[0] for values in model.arrays().values()} == {3}


def test_scores_are_fresh_floats_for_every_user_and_item(family: Fitted) -> None:
    model = family.fit(checkerboard())
    matrix = matrix_of(model, checkerboard(), "a-user0", "b-user1", "nobody")
    scores = model.scores(matrix)
    assert (scores.shape, scores.dtype) == ((3, 2 * HALF), np.float32)
    before = scores.copy()
    scores[:] = -np.inf
    assert (model.scores(matrix) == before).all()


@pytest.mark.parametrize("name", PERSONAL)
def test_the_item_of_the_own_group_that_a_user_lacks_comes_first(name: str) -> None:
    board = checkerboard()
    owned = {
        user: rows["item_id"].to_list() for (user,), rows in board.rows.group_by("user_id") if isinstance(user, str)
    }
    ranked = lists(configured(name).fit(board), board, *sorted(owned), owned=owned, n=1)
    assert ranked == {f"{half}-user{number}": [f"{half}{number}"] for half in "ab" for number in range(HALF)}


@pytest.mark.parametrize("name", PERSONAL)
def test_a_user_who_came_after_the_training_gets_a_list_of_the_own_group(name: str) -> None:
    first_steps = bought(("late", "b1", 0, 1), ("late", "b4", 0, 1))
    ranked = lists(configured(name).fit(checkerboard()), first_steps, "late", owned={"late": ["b1", "b4"]})
    assert set(ranked["late"][: HALF - 2]) == {"b0", "b2", "b3", "b5"}


def test_only_a_personal_family_leaves_users_without_known_history_out(family: Fitted) -> None:
    model = family.fit(checkerboard())
    histories = bought(("newcomer", "a title of today", 0, 1.0), ("reader", "a1", 0, 1.0))
    ranked = lists(model, histories, "stranger", "newcomer", "reader")
    assert list(ranked) == (["reader"] if model.is_personal else ["stranger", "newcomer", "reader"])


def test_one_item_and_one_user_are_enough(family: Fitted) -> None:
    only = bought(("u", "a", 0, 2.0))
    model = family.fit(only)
    assert is_finite(model)
    assert lists(model, only, "u") == {"u": ["a"]}


def test_a_family_that_learned_from_nothing_recommends_nothing(family: Fitted) -> None:
    model = family.fit(bought())
    assert lists(model, bought(("u", "a", 0, 1.0)), "u") == ({} if model.is_personal else {"u": []})


def test_an_item_that_was_viewed_and_is_not_owned_stays_rankable(family: Fitted) -> None:
    seen = bought(("reader", "a1", 0, 0.1), ("reader", "a2", 0, 1.0))
    ranked = lists(family.fit(checkerboard()), seen, "reader", owned={"reader": ["a2"]})
    assert "a1" in ranked["reader"]
    assert len(ranked["reader"]) == 2 * HALF - 1


def test_what_a_user_owns_is_never_recommended_and_everything_else_may_be(family: Fitted) -> None:
    history = bought(*(("reader", item, 0, 1.0) for item in ("a0", "a3", "b2")))
    ranked = lists(family.fit(checkerboard()), history, "reader", owned={"reader": ["a0", "a3", "b2"]})
    everything = {f"{half}{item}" for half in "ab" for item in range(HALF)}
    assert set(ranked["reader"]) == everything - {"a0", "a3", "b2"}


def test_whatever_the_weights_parameters_and_scores_are_finite(family: Fitted) -> None:
    model = family.fit(many())
    assert is_finite(model)
    assert np.isfinite(model.scores(matrix_of(model, many(), "u1", "u2", "nobody"))).all()


def test_the_same_seed_gives_the_same_bits(family: Fitted) -> None:
    first, second = family.fit(many()).arrays(), family.fit(many()).arrays()
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_the_order_of_rows_changes_no_bit(family: Fitted) -> None:
    rows = many().rows.unique(["user_id", "item_id"], keep="first", maintain_order=True)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3)
    assert not shuffled.equals(rows)
    first, second = (family.fit(Interactions(one, AS_OF)).arrays() for one in (rows, shuffled))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_the_loss_of_the_training_is_no_part_of_the_artifact(family: Fitted, tmp_path: Path) -> None:
    model = family.fit(checkerboard())
    save(Artifact(model, PROVENANCE), family.family, tmp_path)
    assert load(family.family, tmp_path).model.losses == ()
    assert all(np.isfinite(loss) for loss in model.losses)


def test_als_begins_from_its_seed() -> None:
    one, other = (configured("als").fit(checkerboard(), seed).arrays() for seed in (1, 2))
    assert not np.array_equal(one["item_factors"], other["item_factors"])


def test_an_artifact_is_written_byte_for_byte_alike_and_ranks_alike(family: Fitted, tmp_path: Path) -> None:
    model = family.fit(many())
    folders = [tmp_path / name for name in ("first", "second", "again")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        save(Artifact(model, PROVENANCE), family.family, folder)
    loaded = load(family.family, folders[0])
    save(loaded, family.family, folders[2])
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1] == contents[2]
    assert loaded.provenance == PROVENANCE
    assert loaded.model.parameters == family.parameters
    assert lists(loaded.model, many(), "u1", "u2") == lists(model, many(), "u1", "u2")


def test_an_artifact_is_two_files_and_nothing_in_it_is_pickled(family: Fitted, tmp_path: Path) -> None:
    save(Artifact(family.fit(checkerboard()), PROVENANCE), family.family, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "manifest.json"]
    with np.load(tmp_path / ARRAYS, allow_pickle=False) as stored:
        assert {stored[name].dtype.kind for name in stored.files} <= {"f", "i"}


def test_a_model_holds_no_user(family: Fitted, tmp_path: Path) -> None:
    save(Artifact(family.fit(checkerboard()), PROVENANCE), family.family, tmp_path)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    users = checkerboard().rows["user_id"].unique().to_list()
    assert not any(user.encode() in stored for user in users)


@dataclass(frozen=True)
class Shopper:
    """What one user must not see."""

    items: set[str]
    creators: set[str]
    categories: set[str]
    may_see_adult: bool


shoppers = st.builds(
    Shopper,
    st.sets(st.integers(0, 149).map("i{}".format), max_size=30),
    st.sets(st.integers(0, 29).map("creator {}".format), max_size=3),
    st.sets(st.integers(0, 4).map("category {}".format), max_size=2),
    st.booleans(),
)


def allowed_of(shopper: Shopper, eligible: pl.DataFrame) -> set[str]:
    return {
        item
        for item, creator, category, is_adult in eligible.select("item_id", "creator", "category", "is_adult").rows()
        if item not in shopper.items and creator not in shopper.creators and category not in shopper.categories
        if shopper.may_see_adult or not is_adult
    }


@pytest.mark.parametrize("name", FAMILIES)
@settings(deadline=None, max_examples=15)
@given(wishes=st.lists(shoppers, min_size=1, max_size=40), unsold=st.sets(st.integers(0, 149)), n=st.integers(1, 160))
def test_lists_are_what_sorting_every_score_would_give(
    name: str, wishes: list[Shopper], unsold: set[int], n: int
) -> None:
    model = fitted_to_many(name)
    numbers = [number for number in range(150) if number not in unsold]
    rows = [(AS_OF, f"i{i}", f"creator {i // 5}", f"category {i % 5}", i % 7 == 0) for i in numbers]
    eligible = pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")
    users = [f"u{number}" for number in range(len(wishes))]
    excluded = [
        (AS_OF, user, [*one.items], [], [*one.creators], [*one.categories], one.may_see_adult)
        for user, one in zip(users, wishes, strict=True)
    ]
    exclusions = pl.DataFrame(excluded, schema=EXCLUSIONS.schema, orient="row")
    ranked = rank(model, many(), pl.Series(users), exclusions, eligible, n=n, block_users=7)
    assert ranked["user_id"].to_list() == users
    scores = model.scores(matrix_of(model, many(), *users))
    for row, (_, items, listed) in enumerate(ranked.iter_rows()):
        score = dict(zip(model.item_ids, scores[row].tolist(), strict=True))
        allowed = allowed_of(wishes[row], eligible) & set(score)
        assert len(items) == len(set(items)) == min(n, len(allowed))
        assert set(items) <= allowed
        assert listed == pytest.approx([score[item] for item in items], rel=1e-5, abs=1e-6)
        # Scores that are equal but for their last digit may come in either order, and really equal ones by item id.
        assert [*zip(items, listed, strict=True)] == sorted(
            zip(items, listed, strict=True), key=lambda one: (-one[1], one[0])
        )
        best_left = max((score[item] for item in allowed - set(items)), default=-np.inf)
        assert min(listed, default=np.inf) >= best_left - 1e-5 * abs(best_left) - 1e-6


def test_a_purchase_counts_half_for_each_half_life_that_has_passed() -> None:
    sales = bought(
        ("u", "old", 21, 4.0), ("v", "old", 21, 4.0), ("u", "new", 0, 1.0), ("u", "mid", 7, 1.0), ("v", "mid", 14, 1.0)
    )
    model = configured("popularity", half_life_days=7.0).fit(sales)
    expected = {"mid": Fraction(1, 2) + Fraction(1, 4), "new": Fraction(1), "old": Fraction(8) * Fraction(1, 8)}
    assert dict(zip(model.item_ids, model.arrays()["popularity"].tolist(), strict=True)) == expected
    assert lists(model, sales, "u") == {"u": ["new", "old", "mid"]}


def test_popularity_without_a_half_life_never_fades() -> None:
    sales = bought(("u", "old", 365, 2.0), ("u", "new", 0, 1.0))
    model = configured("popularity", half_life_days=None).fit(sales)
    assert model.arrays()["popularity"].tolist() == [1.0, 2.0]


def test_a_history_fades_when_it_is_ranked_with() -> None:
    model = configured("als", half_life_days=7.0).fit(checkerboard())
    then_and_now = bought(("u", "a1", 70, 1.0), ("u", "b1", 0, 1.0))
    assert {item[0] for item in lists(model, then_and_now, "u", owned={"u": ["a1", "b1"]}, n=5)["u"]} == {"b"}


@pytest.mark.parametrize("weighting", ["linear", "log", "binary"])
@pytest.mark.parametrize("name", EXPLAINS)
def test_reasons_add_up_to_the_score(name: str, weighting: str) -> None:
    model = configured(name, weighting=weighting).fit(many())
    history = matrix_of(model, many(), "u5")
    items = np.array([3, 0, 41])
    reasons = model.reasons(history, items)
    assert reasons is not None
    assert reasons.shape == (3, history.nnz)
    assert reasons.sum(axis=1) == pytest.approx(model.scores(history)[0, items], abs=1e-4)


@pytest.mark.parametrize("name", EXPLAINS)
def test_the_reason_for_an_item_is_the_purchase_of_its_own_group(name: str) -> None:
    model = configured(name).fit(checkerboard())
    history = matrix_of(model, bought(("u", "a1", 0, 1), ("u", "b1", 0, 1)), "u")
    of_a2 = model.reasons(history, np.array([model.item_ids.to_list().index("a2")]))
    assert of_a2 is not None
    assert of_a2[0, 0] > 10 * abs(of_a2[0, 1])


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - set(EXPLAINS)))
def test_a_family_that_cannot_tell_its_reasons_says_so(name: str) -> None:
    model = configured(name).fit(checkerboard())
    history = matrix_of(model, checkerboard(), "a-user0")
    assert model.reasons(history, np.array([0])) is None


def test_weights_of_the_same_pair_are_summed_before_they_are_weighed() -> None:
    twice = bought(("u", "a", 0, 1.0), ("u", "a", 3, 2.0), ("u", "b", 0, 3.0))
    assert twice.faded(None)["weight"].to_list() == [3.0, 3.0]


def test_the_window_counts_the_last_day_and_leaves_older_ones_out() -> None:
    rows = bought(("u", "a", 0, 1.0), ("u", "b", 6, 1.0), ("u", "c", 7, 1.0))
    assert rows.within(7).rows["item_id"].to_list() == ["a", "b"]
    assert rows.within(1).rows["item_id"].to_list() == ["a"]
