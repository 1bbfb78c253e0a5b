"""From the lists of the families to one list per user."""

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.models.composition import FamilyLists, blend, compose

Lists = dict[str, str]
"""User to list; one letter is one item, best first."""

quickly = settings(deadline=None, max_examples=60)
USERS = ("ann", "bob", "eve")
ITEMS = "abcdef"


def lists_of(lists: Lists, fallback: tuple[str, ...] = ()) -> pl.DataFrame:
    rows = [(user, list(items), user in fallback) for user, items in lists.items()]
    schema = {"user_id": pl.String, "item_ids": pl.List(pl.String), "is_fallback": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def family(lists: Lists, weight: float = 1.0, fallback: tuple[str, ...] = ()) -> FamilyLists:
    return FamilyLists(lists_of(lists, fallback), weight)


def blended(**families: FamilyLists) -> dict[tuple[str, str], tuple[float, str]]:
    """User and item to score and source."""
    return {(user, item): (score, source) for user, item, score, source in blend(families).iter_rows()}


def composed(fallback: Lists, length: int, **families: FamilyLists) -> dict[str, dict[str, object]]:
    """User to the row of the final table."""
    rows = compose(blend(families), lists_of(fallback), "popularity", length)
    return {row["user_id"]: row for row in rows.iter_rows(named=True)}


def test_an_item_scores_the_sum_of_weight_by_sixty_plus_rank() -> None:
    scores = blended(als=family({"ann": "ab"}, 2.0), ease=family({"ann": "bc"}, 1.0))
    expected = {"a": Fraction(2, 61), "b": Fraction(2, 62) + Fraction(1, 61), "c": Fraction(1, 62)}
    assert {item: score for (_, item), (score, _) in scores.items()} == pytest.approx(
        {item: float(score) for item, score in expected.items()}
    )


def test_two_second_places_beat_one_first_place() -> None:
    row = composed({"ann": ""}, 3, als=family({"ann": "ab"}), ease=family({"ann": "cb"}))["ann"]
    assert row["item_ids"] == ["b", "a", "c"]


def test_the_source_is_the_family_with_the_largest_share_of_the_score() -> None:
    row = composed({"ann": "z"}, 9, als=family({"ann": "ab"}, 1.0), ease=family({"ann": "ba"}, 1.5))["ann"]
    assert dict(zip(row["item_ids"], row["sources"], strict=True)) == {"b": "ease", "a": "ease", "z": "popularity"}
    assert blended(als=family({"ann": "ab"}), ease=family({"ann": "ba"})) == {
        ("ann", "a"): (pytest.approx(1 / 61 + 1 / 62), "als"),
        ("ann", "b"): (pytest.approx(1 / 61 + 1 / 62), "ease"),
    }


def test_families_that_agree_share_by_name_whatever_their_order() -> None:
    als, ease = family({"ann": "a"}), family({"ann": "a"})
    assert blended(als=als, ease=ease) == blended(ease=ease, als=als)
    assert blended(ease=ease, als=als)["ann", "a"][1] == "als"


def test_a_family_without_weight_takes_no_part() -> None:
    assert set(blended(als=family({"ann": "a"}), popularity=family({"ann": "b"}, 0.0))) == {("ann", "a")}


def test_lists_that_are_a_fallback_already_take_no_part() -> None:
    als = family({"ann": "a", "bob": "b"}, fallback=("bob",))
    assert set(blended(als=als)) == {("ann", "a")}


def test_a_list_is_filled_up_with_the_fallback_in_its_order_and_without_repetition() -> None:
    row = composed({"ann": "ecba"}, 4, als=family({"ann": "bd"}))["ann"]
    assert row["item_ids"] == ["b", "d", "e", "c"]
    assert row["sources"] == ["als", "als", "popularity", "popularity"]
    assert row["scores"] == [pytest.approx(1 / 61), pytest.approx(1 / 62), 0, 0]


def test_a_list_that_is_filled_up_is_not_a_fallback_and_a_list_of_nothing_else_is() -> None:
    rows = composed({"ann": "c", "bob": "c"}, 3, als=family({"ann": "a"}))
    assert {user: row["is_fallback"] for user, row in rows.items()} == {"ann": False, "bob": True}
    assert rows["bob"]["item_ids"] == ["c"]


def test_a_full_blend_needs_no_filling() -> None:
    row = composed({"ann": "xyz"}, 2, als=family({"ann": "abc"}))["ann"]
    assert row["item_ids"] == ["a", "b"]


def test_a_user_for_whom_there_is_nothing_has_an_empty_list() -> None:
    row = composed({"ann": ""}, 3, als=family({}))["ann"]
    assert (row["item_ids"], row["scores"], row["sources"], row["is_fallback"]) == ([], [], [], True)


def test_where_no_family_has_weight_everybody_gets_the_fallback() -> None:
    rows = composed({"bob": "ab", "ann": "ba"}, 1, popularity=family({"ann": "c"}, 0.0))
    assert {user: row["item_ids"] for user, row in rows.items()} == {"ann": ["b"], "bob": ["a"]}


def test_equal_scores_are_ordered_by_item_id() -> None:
    row = composed({"ann": ""}, 2, als=family({"ann": "ba"}), ease=family({"ann": "ab"}))["ann"]
    assert row["item_ids"] == ["a", "b"]


def test_rows_are_sorted_by_user() -> None:
    assert list(composed({"eve": "a", "ann": "a", "bob": "a"}, 1)) == ["ann", "bob", "eve"]


def test_scores_have_the_type_of_the_table() -> None:
    rows = compose(blend({"als": family({"ann": "a"})}), lists_of({"ann": ""}), "popularity", 1)
    assert rows.schema["scores"] == pl.List(pl.Float32)
    assert rows.schema["sources"] == pl.List(pl.String)


some_items = st.permutations(ITEMS).flatmap(
    lambda items: st.integers(0, len(items)).map(lambda count: "".join(items[:count]))
)
some_lists = st.dictionaries(st.sampled_from(USERS), some_items)
weights = st.sampled_from((0.0, 0.5, 1.0, 3.0))
some_families = st.dictionaries(st.sampled_from(("als", "ease", "item_item")), st.builds(family, some_lists, weights))
everybody = st.fixed_dictionaries(dict.fromkeys(USERS, some_items))


@quickly
@given(some_families, everybody, st.integers(1, 8))
def test_lists_hold_no_item_twice_and_are_as_long_as_they_can_be(
    families: dict[str, FamilyLists], fallback: Lists, length: int
) -> None:
    pairs = set(blended(**families))
    for user, row in composed(fallback, length, **families).items():
        items = row["item_ids"]
        possible = {item for owner, item in pairs if owner == user} | set(fallback[user])
        assert len(items) == len(set(items)) == min(length, len(possible))
        assert len(row["scores"]) == len(row["sources"]) == len(items)


@quickly
@given(some_families, everybody)
def test_blended_items_come_first_by_score_and_filled_ones_after_them_in_the_order_of_the_fallback(
    families: dict[str, FamilyLists], fallback: Lists
) -> None:
    scores = blended(**families)
    for user, row in composed(fallback, 99, **families).items():
        mine = {item: score for (owner, item), (score, _) in scores.items() if owner == user}
        best = sorted(mine, key=lambda item, mine=mine: (-mine[item], item))
        assert row["item_ids"] == best + [item for item in fallback[user] if item not in mine]
        assert row["is_fallback"] is (not mine)


@quickly
@given(some_families, everybody, st.sampled_from(USERS))
def test_the_list_of_a_user_depends_on_the_rows_of_that_user_only(
    families: dict[str, FamilyLists], fallback: Lists, user: str
) -> None:
    alone = {
        name: FamilyLists(one.lists.filter(pl.col("user_id") == user), one.weight) for name, one in families.items()
    }
    everyone = composed(fallback, 4, **families)
    assert composed({user: fallback[user]}, 4, **alone) == {user: everyone[user]}
