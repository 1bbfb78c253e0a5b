"""What users did since: at once, whatever the order and however often it is told, and gone by itself."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recsys_assets.serving.generations import UserList, publish, remove_user
from recsys_assets.serving.overlay import MOST_PER_USER, Overlaid, remember, remembered, since
from resources.online_store import Client

DAY = date(2026, 1, 5)
SEOUL = ZoneInfo("Asia/Seoul")
NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)


def event(item: str, hours: float = 0, event_type: str = "purchase", user: str = "ann") -> Overlaid:
    return Overlaid(user, item, event_type, NOON + timedelta(hours=hours))


def test_what_a_user_did_is_there_at_once_in_the_order_of_time(store: Client) -> None:
    told = [event("emma", 2), event("dune", 1, "view"), event("walden", 0, user="bob")]
    remember(store, told)
    assert remembered(store, "ann") == [told[1], told[0]]
    assert remembered(store, "bob") == [told[2]]
    assert remembered(store, "stranger") == []


def test_the_same_event_told_again_changes_nothing_and_an_older_one_hides_no_newer_one(store: Client) -> None:
    remember(store, [event("dune", 1), event("dune", 3), event("dune", 2)])
    remember(store, [event("dune", 1)])
    assert remembered(store, "ann") == [event("dune", 3)]


def test_only_what_was_done_after_the_day_had_ended_in_the_shops_time_zone_is_since(store: Client) -> None:
    just_before = Overlaid("ann", "dune", "purchase", datetime(2026, 1, 5, 14, 59, 59, tzinfo=UTC))
    just_after = Overlaid("ann", "emma", "purchase", datetime(2026, 1, 5, 15, 0, tzinfo=UTC))
    remember(store, [just_before, just_after])
    assert since(store, "ann", DAY, SEOUL) == [just_after]
    assert since(store, "ann", DAY, ZoneInfo("UTC")) == []
    assert since(store, "ann", DAY - timedelta(days=1), SEOUL) == [just_before, just_after]


def test_it_expires_by_itself(store: Client) -> None:
    remember(store, [event("dune")], keep_days=7)
    assert 6 * 86_400 < store.ttl("bought:ann") <= 7 * 86_400


def test_a_machine_does_not_fill_the_store(store: Client) -> None:
    remember(store, [event(f"item{number}", number / 3_600) for number in range(MOST_PER_USER + 50)])
    kept = remembered(store, "ann")
    assert (len(kept), kept[0].item_id, kept[-1].item_id) == (MOST_PER_USER, "item50", f"item{MOST_PER_USER + 49}")


def test_it_outlives_publications_and_goes_when_its_user_is_forgotten(store: Client) -> None:
    for user in ("ann", "20260105-1:ann", "{recs-current}"):
        remember(store, [event("dune", user=user)])
    for _ in range(3):
        publish(store, DAY, {}, [UserList("ann", ["emma"])], [])
    assert [len(remembered(store, user)) for user in ("ann", "20260105-1:ann", "{recs-current}")] == [1, 1, 1]
    assert remove_user(store, "ann") == 5
    assert remembered(store, "ann") == []


@pytest.mark.parametrize("item", ["", "a:b", "gro\u00df", "x" * 10_000])
def test_any_text_can_be_an_item(store: Client, item: str) -> None:
    remember(store, [event(item)])
    assert remembered(store, "ann") == [event(item)]
