"""What the page of an item says."""

import pytest

from recsys_assets.inspector.item_page import ItemPage, read_item_page
from recsys_assets.inspector.readings import Readings
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStoreError


def no_store() -> None:
    raise OnlineStoreError("it was never there")


def page_of(readings: Readings, item_id: str) -> ItemPage:
    page = read_item_page(readings, item_id)
    assert page is not None
    return page


def test_the_catalogue_entry_and_the_sales_are_those_of_the_day_in_use(readings: Readings) -> None:
    page = page_of(readings, "emma")
    assert (page.item.title, page.item.creator, page.is_in_catalogue) == ("Emma", "Austen", True)
    assert page.sales is not None
    assert (page.sales.purchases, page.sales.views, page.sales.buyers) == (1, 1, 1)
    assert page.place_by_purchases == 2, "only Dune sold more"


def test_what_was_never_bought_has_no_place(readings: Readings) -> None:
    assert page_of(readings, "sonnets").place_by_purchases is None


@pytest.mark.parametrize(
    ("item_id", "hidden"), [("dune", ()), ("future", ("not released yet",)), ("gone", ("withdrawn from sale",))]
)
def test_whether_it_may_be_recommended_is_what_the_rules_say(
    readings: Readings, item_id: str, hidden: tuple[str, ...]
) -> None:
    assert page_of(readings, item_id).hidden_because == hidden


def test_an_item_that_people_used_without_the_catalogue_knowing_it_has_a_page(readings: Readings) -> None:
    page = page_of(readings, "item1")
    assert not page.is_in_catalogue
    assert page.hidden_because == ("not in the catalogue",)


@pytest.mark.parametrize("item_id", ["", "nothing", "DUNE"])
def test_nothing_is_known_by_another_id(readings: Readings, item_id: str) -> None:
    assert read_item_page(readings, item_id) is None


def test_neighbours_are_what_those_who_took_the_item_took_too(readings: Readings) -> None:
    (found,) = page_of(readings, "ilium").neighbours
    assert found.family == "item_item"
    assert found.items[0].title == "Dune", "cid took both"
    assert "ilium" not in [item.item_id for item in found.items]


def test_neighbours_of_an_item_that_nobody_took_are_none_and_the_page_says_why(readings: Readings) -> None:
    (found,) = page_of(readings, "persuasion").neighbours
    assert (found.items, found.silence) == ((), "it was trained before anybody took the item")


def test_a_registry_that_is_gone_costs_the_neighbours_and_nothing_else(readings: Readings, gone: ModelRegistry) -> None:
    page = read_item_page(Readings(readings.store, gone, no_store), "dune")
    assert page is not None
    assert page.sales is not None
    assert "does not answer" in page.trouble
