"""Why an item is not on the list of a user."""

import pytest

from recsys_assets.inspector.absence import Absence, read_absence
from recsys_assets.inspector.readings import Readings


def answer(readings: Readings, user_id: str, item_id: str) -> Absence:
    found = read_absence(readings, user_id, item_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("user_id", "item_id", "because"),
    [
        ("ann", "dune", "The user owns it."),
        ("ann", "sonnets", "The user blocked it."),
        ("ann", "emma", "The user blocked its creator, Austen."),
        ("bob", "sonnets", "The user blocked its category, poems."),
        ("ann", "fanny", "It is an adult title, and the user is not verified as an adult."),
        ("ann", "future", "It is not released yet."),
        ("ann", "gone", "It is withdrawn from sale."),
        ("ann", "unheard of", "It is not in the catalogue."),
    ],
)
def test_the_rule_that_hides_an_item_is_named(readings: Readings, user_id: str, item_id: str, because: str) -> None:
    found = answer(readings, user_id, item_id)
    assert found.hidden_because == (because,)
    assert found.place is None
    assert found.standings == (), "where a rule decides, no family is asked"


@pytest.mark.parametrize(("user_id", "item_id"), [("bob", "fanny"), ("ann", "ilium"), ("bob", "persuasion")])
def test_what_no_rule_hides_is_not_said_to_be_hidden(readings: Readings, user_id: str, item_id: str) -> None:
    assert answer(readings, user_id, item_id).hidden_because == (), "adult, refunded, and another's block"


def test_several_rules_are_all_named(readings: Readings) -> None:
    assert len(answer(readings, "bob", "emma").hidden_because) == 1
    assert answer(readings, "ann", "persuasion").hidden_because == ("The user blocked its creator, Austen.",)


def test_an_item_that_is_on_the_list_has_its_place(readings: Readings) -> None:
    found = answer(readings, "bob", "untitled")
    assert (found.place, found.hidden_because) == (3, ())


def test_each_family_says_where_it_puts_an_item_that_nothing_hides(readings: Readings) -> None:
    neighbours, popularity = answer(readings, "ann", "ilium").standings
    assert (neighbours.family, neighbours.place, neighbours.of) == ("item_item", 2, 2), "after the odd one"
    assert "cannot be loaded" in popularity.sentence


def test_a_family_that_has_never_seen_the_item_says_so(readings: Readings) -> None:
    neighbours = answer(readings, "bob", "persuasion").standings[0]
    assert "has never seen the item taken" in neighbours.sentence
    assert "2026-01-09" in neighbours.sentence


def test_nothing_is_answered_about_somebody_unknown(readings: Readings) -> None:
    assert read_absence(readings, "nobody", "dune") is None
