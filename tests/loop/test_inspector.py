"""The pages for people, on an installation that has done everything that is due."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.absence import read_absence
from recsys_assets.inspector.item_page import read_item_page
from recsys_assets.inspector.one_user import seen_through
from recsys_assets.inspector.readings import Readings
from recsys_assets.inspector.start_page import read_start_page
from recsys_assets.inspector.user_page import UserPage, read_user_page
from recsys_assets.serving.explanation import explain
from recsys_assets.serving.overlay import Overlaid, remember


@pytest.fixture(scope="module")
def readings(finished: Installation) -> Readings:
    store = FeatureStore(finished.platform, finished.lake, finished.engine)
    return Readings(store, finished.model_registry, finished.online_store.connect)


@pytest.fixture(scope="module")
def user_id(readings: Readings) -> str:
    """The user who bought most."""
    return read_start_page(readings).users[0].user_id


def page_of(readings: Readings, user_id: str) -> UserPage:
    page = read_user_page(readings, user_id)
    assert page is not None
    return page


def test_the_start_page_says_which_versions_made_the_lists_and_how_they_were_judged(readings: Readings) -> None:
    page = read_start_page(readings)
    assert page.in_use.generation is not None
    assert page.in_use.as_of == page.in_use.generation.as_of
    assert {one.family: one.published for one in page.families} == page.in_use.generation.versions
    for one in page.families:
        assert one.published == one.approved
        assert one.ndcg_at_10 is not None
        assert one.ndcg_at_10.low <= one.ndcg_at_10.value <= one.ndcg_at_10.high
    assert {user.segment for user in page.users} >= {"heavy", "light"}
    assert page.trouble == ""


def test_the_final_list_is_the_published_one_with_the_reasons_that_the_command_gives(
    readings: Readings, user_id: str
) -> None:
    page, generation = page_of(readings, user_id), readings.in_use().generation
    assert generation is not None
    entries = page.lists[0].entries
    expected = explain(readings.store, readings.registry, generation, user_id)[: len(entries)]
    assert [entry.item.item_id for entry in entries] == [reason.item_id for reason in expected]
    assert [entry.brought_by for entry in entries] == [reason.source for reason in expected]
    because = [entry.because_of.item_id if entry.because_of else None for entry in entries]
    assert because == [reason.because_of for reason in expected]
    assert any(because)
    assert all(entry.item.title for entry in entries)


def test_places_in_the_other_lists_are_those_of_the_lists(readings: Readings, user_id: str) -> None:
    page = read_user_page(readings, user_id, all_places=True)
    assert page is not None
    final, *families = page.lists
    order = {one.name: [entry.item.item_id for entry in one.entries] for one in page.lists}
    for entry in final.entries:
        for family, place in entry.elsewhere.items():
            assert order[family][place - 1] == entry.item.item_id
    for one in families:
        for entry in one.entries:
            assert ("final" in entry.elsewhere) == (entry.item.item_id in order["final"])


def test_what_a_user_bought_since_is_marked_as_left_out_and_stands_on_top_of_the_history(
    readings: Readings, finished: Installation, user_id: str
) -> None:
    first = page_of(readings, user_id).lists[0].entries[0].item.item_id
    client, as_of = finished.online_store.connect(), readings.in_use().as_of
    assert as_of is not None
    moment = datetime(as_of.year, as_of.month, as_of.day, 12, tzinfo=UTC) + timedelta(days=1)
    remember(client, [Overlaid(user_id, first, "purchase", moment)])
    try:
        page = page_of(readings, user_id)
        assert [entry.is_left_out for entry in page.lists[0].entries][:2] == [True, False]
        assert [(deed.item.item_id, deed.events) for deed in page.since] == [(first, {"purchase": 1})]
        answer = read_absence(readings, user_id, first)
        assert answer is not None
        assert answer.hidden_because == ("The user has bought it since the lists were computed.",)
    finally:
        client.delete(f"bought:{user_id}")


def test_every_eligible_item_is_either_on_the_list_or_has_a_rule_or_a_place(readings: Readings, user_id: str) -> None:
    page = read_user_page(readings, user_id, all_places=True)
    assert page is not None
    assert page.in_use.as_of is not None
    listed = [entry.item.item_id for entry in page.lists[0].entries]
    for item_id in readings.eligible(page.in_use.as_of)["item_id"].sort().to_list()[::20]:
        answer = read_absence(readings, user_id, item_id)
        assert answer is not None
        assert (answer.place is not None) == (item_id in listed)
        assert answer.place or answer.hidden_because or answer.standings


def test_neighbours_are_other_items_that_may_be_recommended(readings: Readings, user_id: str) -> None:
    item_id = page_of(readings, user_id).lists[0].entries[0].item.item_id
    page = read_item_page(readings, item_id)
    assert page is not None
    assert page.in_use.as_of is not None
    eligible = set(readings.eligible(page.in_use.as_of)["item_id"])
    assert {one.family for one in page.neighbours} == {"als"}, "popularity is no neighbourhood"
    for one in page.neighbours:
        ids = [item.item_id for item in one.items]
        assert ids
        assert item_id not in ids
        assert set(ids) <= eligible


def test_seen_through_one_user_the_history_is_the_one_that_the_lists_were_made_of(readings: Readings) -> None:
    day = readings.in_use().as_of
    assert day is not None
    users = readings.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).select("user_id").collect()["user_id"].sort()
    whole = readings.store.history(day, readings.history_days)
    for user_id in users.gather_every(25):
        alone = seen_through(readings.store, user_id).history(day, readings.history_days)
        assert alone.equals(whole.filter(pl.col("user_id") == user_id))
