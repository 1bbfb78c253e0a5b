"""From the lists of the families to one list per user: the steps together."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.composing import BlendRule, Composition, CreatorLimit, NewReleaseSlots, SeriesFirst
from recsys_assets.features.assortment import Assortment
from recsys_assets.models import composition
from recsys_assets.models.composition import final_lists

Lists = dict[str, str]
"""User to list; one letter is one item, best first."""
Rows = dict[str, dict[str, Any]]
PLAIN = Composition()
PER_ITEM = ("item_ids", "scores", "sources", "families", "rules")
quickly = settings(deadline=None, max_examples=50)
LISTS = pl.Schema(
    {"user_id": pl.String(), "item_ids": pl.List(pl.String), "scores": pl.List(pl.Float32), "is_fallback": pl.Boolean()}
)
USERS, ITEMS = ("ann", "bob", "eve"), "abcdefgh"
ASSORTMENT = Assortment(
    pl.DataFrame({"item_id": list(ITEMS), "creator": list("XXXYYYZW"), "is_new": [item in "dgh" for item in ITEMS]}),
    pl.DataFrame({"user_id": ["ann", "eve"], "item_id": ["c", "z"]}),
)
EVERYTHING = Composition(
    max_per_creator=CreatorLimit(items=1, within=3),
    new_release_slots=NewReleaseSlots(every=3),
    series_first=SeriesFirst(items=1),
)


def lists_of(lists: Lists, fallback: tuple[str, ...] = ()) -> pl.DataFrame:
    rows = [
        (user, list(items), [float(-place) for place in range(len(items))], user in fallback)
        for user, items in lists.items()
    ]
    return pl.DataFrame(rows, schema=LISTS, orient="row")


def composed(fallback: Lists, length: int, rules: Composition = PLAIN, **families: Lists) -> Rows:
    """User to the row of the final table."""
    lists = {"popularity": lists_of(fallback)} | {name: lists_of(one) for name, one in families.items()}
    rows = final_lists(
        lists, dict.fromkeys(families, 1.0), "popularity", length, composition=rules, assortment=ASSORTMENT
    )
    return {row["user_id"]: row for row in rows.iter_rows(named=True)}


def test_a_list_is_blended_filled_up_and_cut() -> None:
    row = composed({"ann": "ecba"}, 4, als={"ann": "bd"})["ann"]
    assert row["item_ids"] == ["b", "d", "e", "c"]
    assert row["sources"] == ["als", "als", "popularity", "popularity"]
    assert row["families"] == [["als"], ["als"], ["popularity"], ["popularity"]]
    assert row["rules"] == ["blend", "blend", "fallback", "fallback"]
    assert row["scores"] == [pytest.approx(1 / 61), pytest.approx(1 / 62), 0, 0]


def test_a_full_blend_needs_no_filling() -> None:
    assert composed({"ann": "xyz"}, 2, als={"ann": "abc"})["ann"]["item_ids"] == ["a", "b"]


def test_a_list_that_is_filled_up_is_not_a_fallback_and_a_list_of_nothing_else_is() -> None:
    rows = composed({"ann": "c", "bob": "c"}, 3, als={"ann": "a"})
    assert {user: row["is_fallback"] for user, row in rows.items()} == {"ann": False, "bob": True}
    assert rows["bob"]["item_ids"] == ["c"]


def test_a_user_for_whom_there_is_nothing_has_an_empty_list() -> None:
    row = composed({"ann": ""}, 3, als={})["ann"]
    assert [row[name] for name in PER_ITEM] == [[]] * len(PER_ITEM)
    assert row["is_fallback"] is True


def test_where_no_family_has_weight_everybody_gets_the_fallback() -> None:
    rows = composed({"bob": "ab", "ann": "ba"}, 1)
    assert {user: row["item_ids"] for user, row in rows.items()} == {"ann": ["b"], "bob": ["a"]}


def test_rows_are_sorted_by_user() -> None:
    assert list(composed({"eve": "a", "ann": "a", "bob": "a"}, 1)) == ["ann", "bob", "eve"]


def test_series_go_first_then_each_creator_has_its_share_and_every_third_place_is_for_a_new_release() -> None:
    row = composed({"ann": ""}, 8, EVERYTHING, als={"ann": "abcdefgh"})["ann"]
    assert "".join(row["item_ids"]) == "cdgabhef"
    assert row["rules"] == ["series", "blend", "blend", "blend", "blend", "new_release", "blend", "blend"]


def test_rules_hold_for_what_fills_up_too() -> None:
    limit = Composition(max_per_creator=CreatorLimit(items=1, within=None))
    row = composed({"ann": "bdg"}, 3, limit, als={"ann": "ac"})["ann"]
    assert row["item_ids"] == ["a", "d", "g"]


def test_a_limit_gives_way_before_a_list_stays_short_and_the_list_says_so() -> None:
    limit = Composition(max_per_creator=CreatorLimit(items=1, within=None))
    row = composed({"ann": "bd"}, 4, limit, als={"ann": "ac"})["ann"]
    assert row["item_ids"] == ["a", "d", "c", "b"]
    assert row["rules"] == ["blend", "fallback", "over_creator_limit", "over_creator_limit"]


def test_the_next_volume_comes_also_if_no_family_knows_it() -> None:
    row = composed({"eve": "ab"}, 2, Composition(series_first=SeriesFirst()), als={"eve": "b"})["eve"]
    assert (row["item_ids"], row["sources"], row["families"]) == (["z", "b"], ["series", "als"], [[], ["als"]])


def test_lists_can_be_blended_by_scores() -> None:
    lists = {"popularity": lists_of({"ann": ""}), "als": lists_of({"ann": "ab"}), "ease": lists_of({"ann": "bc"})}
    made = {
        rule: final_lists(lists, {"als": 1.0, "ease": 1.0}, "popularity", 3, rule=rule)["scores"].to_list()
        for rule in ("reciprocal_ranks", "z_scores")
    }
    assert made["z_scores"] == [[pytest.approx(2.0)] * 2 + [0.0]]
    assert made["reciprocal_ranks"] != made["z_scores"]


def test_scores_have_the_type_of_the_table() -> None:
    rows = final_lists({"popularity": lists_of({"ann": "a"})}, {}, "popularity", 1)
    assert rows.schema["scores"] == pl.List(pl.Float32)
    assert rows.schema["families"] == pl.List(pl.List(pl.String))


def test_nobody_gets_no_list() -> None:
    assert final_lists({"popularity": lists_of({})}, {"popularity": 1.0}, "popularity", 5).is_empty()


some_items = st.permutations(ITEMS).flatmap(
    lambda items: st.integers(0, len(items)).map(lambda count: "".join(items[:count]))
)
some_lists = st.dictionaries(st.sampled_from(USERS), some_items)
some_families = st.dictionaries(st.sampled_from(("als", "ease", "item_item")), some_lists)
everybody = st.fixed_dictionaries(dict.fromkeys(USERS, some_items))
rules = st.builds(
    Composition,
    max_per_creator=st.none() | st.builds(CreatorLimit, items=st.integers(1, 3), within=st.none() | st.integers(1, 8)),
    new_release_slots=st.none() | st.builds(NewReleaseSlots, every=st.integers(1, 5)),
    series_first=st.none() | st.builds(SeriesFirst, items=st.integers(1, 3)),
)


@quickly
@given(some_families, everybody, st.integers(1, 9), rules)
def test_lists_hold_no_item_twice_none_that_nobody_brought_and_as_many_as_there_are(
    families: dict[str, Lists], fallback: Lists, length: int, chosen: Composition
) -> None:
    for user, row in composed(fallback, length, chosen, **families).items():
        possible = set(fallback[user]).union(*(one.get(user, "") for one in families.values()))
        if chosen.series_first:
            possible |= set(ASSORTMENT.continuations.filter(user_id=user)["item_id"])
        items = row["item_ids"]
        assert len(items) == len(set(items)) == min(length, len(possible))
        assert set(items) <= possible
        assert {len(row[name]) for name in PER_ITEM} == {len(items)}


@quickly
@given(some_families, everybody, rules, st.sampled_from(USERS))
def test_the_list_of_a_user_depends_on_the_rows_of_that_user_only(
    families: dict[str, Lists], fallback: Lists, chosen: Composition, user: str
) -> None:
    alone = {name: {user: one[user]} if user in one else {} for name, one in families.items()}
    everyone = composed(fallback, 4, chosen, **families)
    assert composed({user: fallback[user]}, 4, chosen, **alone) == {user: everyone[user]}


@quickly
@given(some_families, everybody, rules)
def test_it_makes_no_difference_how_many_users_are_composed_together(
    families: dict[str, Lists], fallback: Lists, chosen: Composition
) -> None:
    together = composed(fallback, 5, chosen, **families)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "USERS_AT_ONCE", 1)
        assert composed(fallback, 5, chosen, **families) == together


@pytest.mark.parametrize("rule", ["reciprocal_ranks", "z_scores"])
def test_what_is_everybodys_best_stays_first_without_rules(rule: BlendRule) -> None:
    lists = {name: lists_of({"ann": "abc"}) for name in ("popularity", "als", "ease")}
    assert final_lists(lists, {"als": 1.0, "ease": 2.0}, "popularity", 3, rule=rule)["item_ids"].to_list() == [
        ["a", "b", "c"]
    ]
