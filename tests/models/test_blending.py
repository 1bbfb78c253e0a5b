"""Fusing the lists of the families, by ranks and by scores."""

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.composing import BlendRule
from recsys_assets.models.blending import FamilyLists, as_enum, blend, families_of, fill

Lists = dict[str, str]
"""User to list; one letter is one item, best first."""
RULES: tuple[BlendRule, BlendRule] = ("reciprocal_ranks", "z_scores")
LISTS = pl.Schema(
    {"user_id": pl.String(), "item_ids": pl.List(pl.String), "scores": pl.List(pl.Float32), "is_fallback": pl.Boolean()}
)
USERS, ITEMS = ("ann", "bob", "eve"), "abcdef"
quickly = settings(deadline=None, max_examples=60)


def lists_of(lists: Lists, fallback: tuple[str, ...] = (), scores: tuple[float, ...] = ()) -> pl.DataFrame:
    rows = [
        (user, list(items), list(scores) or [float(-place) for place in range(len(items))], user in fallback)
        for user, items in lists.items()
    ]
    return pl.DataFrame(rows, schema=LISTS, orient="row")


def family(
    lists: Lists, weight: float = 1.0, fallback: tuple[str, ...] = (), scores: tuple[float, ...] = ()
) -> FamilyLists:
    return FamilyLists(lists_of(lists, fallback, scores), weight)


def blended(rule: BlendRule = "reciprocal_ranks", **families: FamilyLists) -> dict[tuple[str, str], tuple[float, str]]:
    """User and item to score and source."""
    rows = blend(families, rule).select("user_id", "item_id", "score", "source")
    return {(user, item): (score, source) for user, item, score, source in rows.iter_rows()}


def in_order(rows: pl.DataFrame, user: str = "ann") -> str:
    return "".join(rows.filter(pl.col("user_id").cast(pl.String) == user)["item_id"])


def test_by_ranks_an_item_scores_the_sum_of_weight_by_sixty_plus_rank() -> None:
    scores = blended(als=family({"ann": "ab"}, 2.0), ease=family({"ann": "bc"}, 1.0))
    expected = {"a": Fraction(2, 61), "b": Fraction(2, 62) + Fraction(1, 61), "c": Fraction(1, 62)}
    assert {item: score for (_, item), (score, _) in scores.items()} == pytest.approx(
        {item: float(score) for item, score in expected.items()}
    )


def test_by_scores_an_item_scores_the_sum_of_its_deviations_above_the_lowest_of_each_list() -> None:
    als = family({"ann": "abc"}, 2.0, scores=(5.0, 3.0, 1.0))  # a standard deviation of sqrt(8 / 3)
    ease = family({"ann": "ca"}, 1.0, scores=(0.9, 0.5))  # of 0.2
    scores = {item: score for (_, item), (score, _) in blended("z_scores", als=als, ease=ease).items()}
    deviation = (8 / 3) ** 0.5
    assert scores == pytest.approx({"a": 2 * 4 / deviation, "b": 2 * 2 / deviation, "c": 2.0})


def test_by_scores_it_counts_how_far_ahead_an_item_is_and_by_ranks_it_does_not() -> None:
    sure = family({"ann": "abcdefghij"}, scores=(9.0, *(1.0,) * 9))
    unsure = family({"ann": "bcdefghija"}, scores=tuple(range(10, 0, -1)))
    assert in_order(blend({"sure": sure, "unsure": unsure}, "z_scores"))[0] == "a"
    assert in_order(blend({"sure": sure, "unsure": unsure}))[0] == "b"


def test_by_scores_only_differences_within_a_list_count() -> None:
    plain = family({"ann": "abc"}, scores=(3.0, 2.0, 1.0))
    shifted = family({"ann": "abc"}, scores=(1_003.0, 1_002.0, 1_001.0))
    other = family({"ann": "cd"}, scores=(0.4, 0.1))
    scores = [[score for score, _ in blended("z_scores", als=one, ease=other).values()] for one in (plain, shifted)]
    assert scores[0] == pytest.approx(scores[1])


@pytest.mark.parametrize("items", ["a", "abc"])
def test_in_a_list_of_equal_scores_each_item_counts_one_deviation(items: str) -> None:
    scores = blended("z_scores", als=family({"ann": items}, 0.5, scores=(7.0,) * len(items)))
    assert {score for score, _ in scores.values()} == {0.5}


def test_two_second_places_beat_one_first_place() -> None:
    assert in_order(blend({"als": family({"ann": "ab"}), "ease": family({"ann": "cb"})})) == "bac"


def test_the_source_is_the_family_with_the_largest_share_of_the_score() -> None:
    found = blended(als=family({"ann": "ab"}, 1.0), ease=family({"ann": "ba"}, 1.5))
    assert {item: source for (_, item), (_, source) in found.items()} == {"b": "ease", "a": "ease"}
    equal = blended(als=family({"ann": "ab"}), ease=family({"ann": "ba"}))
    assert {item: source for (_, item), (_, source) in equal.items()} == {"a": "als", "b": "ease"}


def test_each_item_says_which_families_list_it() -> None:
    families = {"ease": family({"ann": "bc"}), "als": family({"ann": "ab"}), "popularity": family({"ann": "abc"}, 0.0)}
    rows = blend(families)
    brought = families_of(rows["brought_by"], sorted(families)).to_list()
    assert dict(zip(rows["item_id"], brought, strict=True)) == {"a": ["als"], "b": ["als", "ease"], "c": ["ease"]}


def test_families_that_agree_share_by_name_whatever_their_order() -> None:
    als, ease = family({"ann": "a"}), family({"ann": "a"})
    assert blended(als=als, ease=ease) == blended(ease=ease, als=als)
    assert blended(ease=ease, als=als)["ann", "a"][1] == "als"


@pytest.mark.parametrize("rule", RULES)
def test_a_family_without_weight_and_lists_that_are_a_fallback_already_take_no_part(rule: BlendRule) -> None:
    als = family({"ann": "a", "bob": "b"}, fallback=("bob",))
    assert set(blended(rule, als=als, popularity=family({"ann": "b"}, 0.0))) == {("ann", "a")}
    assert blended(rule, popularity=family({"ann": "b"}, 0.0)) == {}


@pytest.mark.parametrize("rule", RULES)
def test_equal_scores_are_ordered_by_item_id(rule: BlendRule) -> None:
    one, other = family({"ann": "ba"}, scores=(2.0, 1.0)), family({"ann": "ab"}, scores=(2.0, 1.0))
    assert in_order(blend({"als": one, "ease": other}, rule)) == "ab"


def test_a_list_is_filled_up_with_the_fallback_in_its_order_and_without_repetition() -> None:
    rows = blend({"als": family({"ann": "bd"}), "popularity": family({}, 0.0)})
    filled = fill(rows, lists_of({"ann": "ecba"}), "popularity")
    assert in_order(filled) == "bdeca"
    assert filled["source"].to_list() == ["als", "als", "popularity", "popularity", "popularity"]
    assert filled["rule"].to_list() == ["blend", "blend", "fallback", "fallback", "fallback"]
    assert filled["score"].to_list() == [pytest.approx(1 / 61), pytest.approx(1 / 62), 0, 0, 0]
    assert families_of(filled["brought_by"], ["als", "popularity"]).to_list()[2] == ["popularity"]


some_items = st.permutations(ITEMS).flatmap(
    lambda items: st.integers(0, len(items)).map(lambda count: "".join(items[:count]))
)
some_lists = st.dictionaries(st.sampled_from(USERS), some_items)
some_families = st.dictionaries(
    st.sampled_from(("als", "ease", "item_item")),
    st.builds(family, some_lists, st.sampled_from((0.0, 0.5, 1.0, 3.0))),
)


@quickly
@given(some_families, st.sampled_from(RULES))
def test_every_listed_item_is_there_once_by_score_and_then_by_id(
    families: dict[str, FamilyLists], rule: BlendRule
) -> None:
    rows = blend(families, rule).select(pl.col("user_id", "item_id").cast(pl.String), "score")
    listed = {
        (user, item)
        for one in families.values()
        if one.weight > 0
        for user, items in one.lists.select("user_id", "item_ids").iter_rows()
        for item in items
    }
    assert rows.height == len(listed)
    assert set(rows.select("user_id", "item_id").iter_rows()) == listed
    assert rows.equals(rows.sort("user_id", -pl.col("score"), "item_id"))
    assert rows.filter(pl.col("score") < 0).is_empty()


@quickly
@given(some_families, st.sampled_from(RULES))
def test_ids_may_be_texts_or_an_enum_of_all_of_them(families: dict[str, FamilyLists], rule: BlendRule) -> None:
    items, users = as_enum(pl.Series(list(ITEMS))).dtype, as_enum(pl.Series(USERS)).dtype
    numbered = {
        name: FamilyLists(one.lists.cast({"user_id": users, "item_ids": pl.List(items)}), one.weight)
        for name, one in families.items()
    }
    texts, enums = (
        blend(one, rule).with_columns(pl.col("user_id", "item_id").cast(pl.String)) for one in (families, numbered)
    )
    assert texts.equals(enums)
