"""What the page of a user says."""

from datetime import date

import pytest

from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.one_user import seen_through
from recsys_assets.inspector.readings import Readings
from recsys_assets.inspector.side_by_side import ShownList
from recsys_assets.inspector.user_page import UserPage, read_user_page

TODAY = date(2026, 1, 9)


def page_of(readings: Readings, user_id: str) -> UserPage:
    page = read_user_page(readings, user_id)
    assert page is not None
    return page


def named(page: UserPage, name: str) -> ShownList:
    return next(one for one in page.lists if one.name == name)


def test_the_profile_is_that_of_the_day_in_use(readings: Readings) -> None:
    profile = page_of(readings, "ann").profile
    assert profile is not None
    assert (profile.segment, profile.purchases, profile.views) == ("light", 1, 2)
    assert profile.favourite_creator == "Herbert"


def test_what_is_never_recommended_is_named_with_the_titles_of_the_items(readings: Readings) -> None:
    ann, bob = page_of(readings, "ann").hidden, page_of(readings, "bob").hidden
    assert (ann.owned, [item.title for item in ann.blocked_items]) == (1, ["Sonnets"])
    assert (ann.blocked_creators, ann.blocked_categories, ann.may_see_adult) == (("Austen",), (), False)
    assert (bob.owned, bob.blocked_categories, bob.may_see_adult) == (2, ("poems",), True)


def test_the_history_begins_with_the_newest_and_tells_what_was_done(readings: Readings) -> None:
    deeds = page_of(readings, "ann").history
    assert [(deed.item.title, deed.events) for deed in deeds] == [
        ("Ilium", {"refund": 1}),
        ("Ilium", {"purchase": 1}),
        ("Emma", {"view": 1}),
        ("Dune", {"purchase": 1, "view": 1}),
    ]


def test_of_the_history_only_purchases_and_refunds_can_be_chosen(readings: Readings) -> None:
    page = read_user_page(readings, "ann", history="bought")
    assert page is not None
    assert [deed.item.title for deed in page.history] == ["Ilium", "Ilium", "Dune"]
    assert page.deeds == 3


def test_the_final_list_stands_first_and_families_that_only_fill_up_last(readings: Readings) -> None:
    assert [one.name for one in page_of(readings, "bob").lists] == ["final", "item_item", "popularity"]


def test_an_item_of_the_final_list_says_where_the_families_have_it_and_because_of_what(readings: Readings) -> None:
    first, second, _ = named(page_of(readings, "bob"), "final").entries
    assert (first.place, first.item.title, first.brought_by) == (1, "Ilium", "item_item")
    assert first.elsewhere == {"item_item": 1}
    assert second.elsewhere == {"item_item": 2, "popularity": 2}
    assert first.because_of is not None
    assert first.because_of.title == "Dune", "cid took both, and bob bought one of them"


def test_an_item_of_a_family_says_where_the_final_list_has_it(readings: Readings) -> None:
    popular = named(page_of(readings, "bob"), "popularity")
    assert [entry.elsewhere for entry in popular.entries] == [{}, {"final": 2}]


def test_a_fallback_is_called_one_and_gives_no_reasons(readings: Readings) -> None:
    neighbours = named(page_of(readings, "tester"), "item_item")
    assert neighbours.is_fallback
    assert all(entry.because_of is None for entry in neighbours.entries)


@pytest.mark.parametrize(("user_id", "kind"), [("ann", "customer"), ("tester", "test account"), ("robot", "machine")])
def test_who_does_not_count_is_told_apart(readings: Readings, user_id: str, kind: str) -> None:
    assert page_of(readings, user_id).kind == kind


def test_a_model_that_cannot_be_loaded_costs_its_reasons_and_nothing_else(readings: Readings) -> None:
    page = page_of(readings, "bob")  # no version of popularity was ever registered
    assert "popularity version 1 cannot say why" in page.trouble
    assert len(named(page, "popularity").entries) == 2


def test_without_the_online_store_the_lists_of_the_lake_are_shown_and_the_page_says_so(readings: Readings) -> None:
    page = page_of(readings, "ann")
    assert page.in_use.generation is None
    assert page.in_use.as_of == TODAY
    assert "does not answer" in page.in_use.trouble


@pytest.mark.parametrize("user_id", ["nobody", "", "ANN", "ann ", "an"])
def test_nobody_is_known_by_an_id_that_is_only_alike(readings: Readings, user_id: str) -> None:
    assert read_user_page(readings, user_id) is None


@pytest.mark.parametrize("user_id", ["ann", "bob", "tester", "robot"])
def test_seen_through_one_user_the_features_are_those_of_the_user_among_all(
    odd_store: FeatureStore, user_id: str
) -> None:
    alone = seen_through(odd_store, user_id)
    history = odd_store.history(TODAY, 60)
    assert alone.history(TODAY, 60).equals(history.filter(history["user_id"] == user_id))
    for view in ("user_profile", "exclusions", "purchase_sequence"):
        among_all = odd_store.read(view, TODAY)
        assert alone.read(view, TODAY).equals(among_all.filter(among_all["user_id"] == user_id)), view
