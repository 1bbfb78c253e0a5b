"""What must not be recommended is found in the lists themselves, whatever the ranking did or forgot."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.models.ranking import rank
from recsys_assets.validation.forbidden import forbidden_pairs, without_pairs

TODAY = date(2026, 2, 22)
ITEMS = "abcdefgh"
CREATORS = {"a": "ada", "b": "ada", "c": "bea"}
CATEGORIES = {"c": "crime", "d": "crime"}


def eligible_items(items: str = ITEMS, adult: str = "") -> pl.DataFrame:
    rows = [(TODAY, item, CREATORS.get(item), CATEGORIES.get(item), item in adult) for item in items]
    return pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")


def exclusions(
    user: str, items: str = "", creators: tuple[str, ...] = (), categories: tuple[str, ...] = (), *, adult: bool = False
) -> pl.DataFrame:
    row = (TODAY, user, list(items), ["owned"] * len(items), list(creators), list(categories), adult)
    return pl.DataFrame([row], schema=EXCLUSIONS.schema, orient="row")


def lists_of(lists: dict[str, str]) -> pl.DataFrame:
    rows = [(user, list(items)) for user, items in lists.items()]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_ids": pl.List(pl.String)}, orient="row")


def pairs(lists: dict[str, str], excluded: pl.DataFrame, eligible: pl.DataFrame) -> list[tuple[str, str]]:
    return forbidden_pairs(lists_of(lists), excluded, eligible).rows()


@pytest.mark.parametrize(
    ("excluded", "wrong"),
    [
        (exclusions("ann", items="bd"), "bd"),
        (exclusions("ann", creators=("ada",)), "ab"),
        (exclusions("ann", categories=("crime",)), "cd"),
        (exclusions("ann", items="a", creators=("ada", "bea"), categories=("crime",)), "abcd"),
        (exclusions("ann", items="z", creators=("nobody",)), ""),
        (exclusions("bob", items="abcd"), ""),
    ],
    ids=["owned", "creator", "category", "counted once", "of other things", "of somebody else"],
)
def test_what_a_user_must_not_see_is_found(excluded: pl.DataFrame, wrong: str) -> None:
    assert pairs({"ann": "dcba"}, excluded, eligible_items()) == [("ann", item) for item in wrong]


def test_what_nobody_may_be_recommended_is_found_for_everybody() -> None:
    lists = {"ann": "ax", "bob": "x", "eve": "a", "idle": ""}
    assert pairs(lists, exclusions("ann"), eligible_items()) == [("ann", "x"), ("bob", "x")]


def test_an_adult_title_is_for_those_who_may_see_it_and_a_stranger_may_not() -> None:
    excluded = pl.concat([exclusions("adult", adult=True), exclusions("minor")])
    lists = dict.fromkeys(("adult", "minor", "stranger"), "ab")
    assert pairs(lists, excluded, eligible_items(adult="b")) == [("minor", "b"), ("stranger", "b")]


def test_taking_out_what_is_wrong_leaves_the_rest_in_its_order() -> None:
    lists, excluded = lists_of({"ann": "dcba", "bob": "ba", "eve": "a"}), exclusions("ann", items="c")
    eligible = eligible_items("bcd")
    left = without_pairs(lists, forbidden_pairs(lists, excluded, eligible))
    assert dict(left.iter_rows()) == {"ann": ["d", "b"], "bob": ["b"], "eve": []}
    assert forbidden_pairs(left, excluded, eligible).is_empty()


a_user = st.tuples(
    st.text(ITEMS, max_size=4),
    st.lists(st.sampled_from(["ada", "bea", "nobody"]), max_size=2, unique=True),
    st.lists(st.sampled_from(["crime", "poems"]), max_size=2, unique=True),
    st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(a_user, min_size=1, max_size=4), st.sets(st.sampled_from(ITEMS)), st.sets(st.sampled_from(ITEMS)))
def test_the_ranking_recommends_nothing_of_it(
    users: list[tuple[str, list[str], list[str], bool]], on_sale: set[str], adult: set[str]
) -> None:
    names = [f"user {number}" for number in range(len(users))]
    excluded = pl.concat(
        exclusions(name, "".join(sorted(set(items))), tuple(creators), tuple(categories), adult=may_see)
        for name, (items, creators, categories, may_see) in zip(names, users, strict=True)
    )
    eligible = eligible_items("".join(sorted(on_sale)), "".join(adult))
    scores = np.arange(len(ITEMS), dtype=np.float32)
    model = PopularityModel(pl.Series("item_id", list(ITEMS)), PopularityParameters(), scores)
    nothing = Interactions(pl.DataFrame(schema=HISTORY_SCHEMA), TODAY)
    lists = rank(model, nothing, pl.Series([*names, "stranger"]), excluded, eligible, n=len(ITEMS))
    assert forbidden_pairs(lists, excluded, eligible).is_empty()

    # And nothing else keeps an item out of a list: whatever is missing would have been wrong.
    everything = lists_of(dict.fromkeys([*names, "stranger"], ITEMS))
    wrong = forbidden_pairs(everything, excluded, eligible).height
    assert wrong + lists["item_ids"].list.len().sum() == everything.height * len(ITEMS)
