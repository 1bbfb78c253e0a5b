"""Events over HTTP: what is told, what counts once, what is refused, and what a mapping reads when it has landed."""

import json
import threading
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from recsys_assets.api.landing_day import land_finished
from recsys_assets.columns import EVENTS, IMPRESSIONS
from recsys_assets.ingestion.intake import take_in
from recsys_assets.ingestion.landing_days import landed_days

DAY = date(2026, 3, 16)


def event(api: Any, name: str, **more: Any) -> dict[str, Any]:
    told = {"event_id": name, "user_id": "u01", "item_id": "i021", "event_type": "purchase"}
    return {**told, "occurred_at": api.clock.now.isoformat(), **more}


def tomorrow(api: Any) -> dict[date, int]:
    api.clock.now += timedelta(days=1)
    return land_finished(api.services.log, api.given.landing, api.services._sources_of)


def taken_in(api: Any, shop: Any, table: Any = EVENTS) -> Any:
    days = landed_days(api.given.landing.files(), shop.platform)
    return take_in(api.given.landing, table, shop.platform, list(days.values()))


@pytest.mark.parametrize(
    "wrong", [{"unit_price": False}, {"quantity": "2"}, {"quantity": True}, {"occurred_at": 1_773_640_800}]
)
def test_what_only_looks_like_a_number_or_a_moment_is_not_guessed(api: Any, wrong: dict[str, Any]) -> None:
    answer = api.post("/v1/events", {"events": [event(api, "odd", **wrong)]})
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text


def test_a_posted_event_is_read_by_ingestion_when_its_day_has_ended(api: Any, shop: Any) -> None:
    posted = [event(api, "one", quantity=2, unit_price=9.9), event(api, "two", event_type="view", user_id="\u97d3 b")]
    assert api.post("/v1/events", {"events": posted}).json() == {"accepted": 2, "refused": []}
    assert tomorrow(api) == {DAY: 2}
    rows = taken_in(api, shop)
    assert rows.rejected.is_empty()
    now = datetime.fromisoformat("2026-03-16T03:00:00+00:00")
    assert rows.accepted.rows() == [
        (DAY, "u01", "i021", "purchase", now, 2, 9.9),
        (DAY, "\u97d3 b", "i021", "view", now, 1, None),
    ]


def test_two_events_that_are_alike_but_for_their_ids_are_two(api: Any, shop: Any) -> None:
    api.post("/v1/events", {"events": [event(api, "one"), event(api, "two"), event(api, "one")]})
    tomorrow(api)
    assert taken_in(api, shop).accepted.height == 2


def test_the_shops_own_files_and_those_of_the_api_make_one_day(api: Any, shop: Any) -> None:
    api.post("/v1/events", {"events": [event(api, "one")]})
    tomorrow(api)
    header = "user_id,item_id,occurred_at,quantity,unit_price,event_type\n"
    api.given.landing.write(f"events/{DAY}.csv", f"{header}u02,i007,{DAY} 13:00,1,2.5,view\n".encode())
    rows = taken_in(api, shop)
    assert sorted(rows.accepted["user_id"]) == ["u01", "u02"]
    assert rows.counts.select(pl.col("parsed").sum()).item() == 2


def test_posted_impressions_are_read_by_ingestion(api: Any, shop: Any) -> None:
    seen = {"request_id": "r1", "user_id": None, "item_id": "i021", "position": 1, "surface": "home"}
    seen |= {"shown_at": api.clock.now.isoformat(), "family": "als", "version": "1", "is_clicked": True}
    for _ in range(2):
        assert api.post("/v1/events", {"impressions": [seen]}).json() == {"accepted": 1, "refused": []}
    tomorrow(api)
    (row,) = taken_in(api, shop, IMPRESSIONS).accepted.rows(named=True)
    assert (row["request_id"], row["user_id"], row["position"], row["is_clicked"]) == ("r1", None, 1, True)
    assert (row["family"], row["arm"], row["propensity"]) == ("als", None, None)


def test_each_event_is_refused_alone_with_its_place_and_the_reason(api: Any) -> None:
    past, future = (api.clock.now + timedelta(days=days) for days in (-2, 1))
    posted = [event(api, "old", occurred_at=past.isoformat()), event(api, "good")]
    posted.append(event(api, "early", occurred_at=future.isoformat()))
    assert api.post("/v1/events", {"events": posted}).json() == {
        "accepted": 1,
        "refused": [{"place": "events/0", "reason": "wrong_day"}, {"place": "events/2", "reason": "in_the_future"}],
    }
    assert api.items("u01", limit=2) == ["i020", "i022"]  # the good one was a purchase


def test_a_refused_purchase_hides_nothing(api: Any) -> None:
    past = api.clock.now - timedelta(days=2)
    api.post("/v1/events", {"events": [event(api, "old", occurred_at=past.isoformat())]})
    assert "i021" in api.items("u01")


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_type": "purchased"},
        {"user_id": ""},
        {"user_id": " "},
        {"item_id": " i001"},
        {"item_id": "x" * 257},
        {"occurred_at": "2026-03-16T12:00:00"},
        {"occurred_at": "yesterday"},
        {"quantity": -1},
        {"unit_price": -0.5},
        {"misspelt": 1},
    ],
)
def test_an_event_that_cannot_be_used_is_a_problem_and_none_of_the_request_is_stored(
    api: Any, wrong: dict[str, Any]
) -> None:
    answer = api.post("/v1/events", {"events": [event(api, "good"), event(api, "bad", **wrong)]})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["place"].startswith("body/events/1/")
    assert tomorrow(api) == {}


def test_nothing_to_tell_is_told(api: Any) -> None:
    assert api.post("/v1/events", {}).json() == {"accepted": 0, "refused": []}


def test_many_at_once_all_land_exactly_once(api: Any, shop: Any) -> None:
    def post(worker: int) -> None:
        for number in range(25):
            moment = api.clock.now.isoformat()
            one = {"event_id": f"e{(worker * 13 + number) % 60}", "user_id": "u09", "item_id": "i009"}
            body = {"events": [{**one, "event_type": "view", "occurred_at": moment}]}
            assert api.post("/v1/events", body).json()["accepted"] == 1

    threads = [threading.Thread(target=post, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tomorrow(api)
    assert taken_in(api, shop).accepted.height == 60


def test_events_of_a_stopped_api_land_when_the_next_one_starts(serve: Any, shop: Any, valkey: Any) -> None:
    with serve() as api:
        api.post("/v1/events", {"events": [event(api, "one")]})
        assert [path.name[:7] for path in (api.given.events / str(DAY)).glob("*.jsonl")] == ["events-"]
    with serve() as api:
        tomorrow(api)
        assert taken_in(api, shop).accepted.height == 1
    assert valkey.ping()


def test_a_full_disk_is_told_and_nothing_is_promised(api: Any) -> None:
    folder = api.given.events
    folder.mkdir(exist_ok=True)
    (folder / str(DAY)).write_text("where the folder of the day should be")
    answer = api.post("/v1/events", {"events": [event(api, "one")]})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:recsys:problem:not-stored")
    assert not api.get("/health/ready").json()["components"]["event_log"]["is_well"]
    assert "i021" in api.items("u01")
    (folder / str(DAY)).unlink()
    assert api.post("/v1/events", {"events": [event(api, "one")]}).json()["accepted"] == 1
    assert api.get("/health/ready").json()["components"]["event_log"]["is_well"]


def test_the_log_holds_one_object_a_line(api: Any) -> None:
    api.post("/v1/events", {"events": [event(api, "line\nbreak", item_id="a\u2028b")]})
    (segment,) = (api.given.events / str(DAY)).glob("events-*.jsonl")
    (line,) = segment.read_bytes().split(b"\n")[:-1]
    assert json.loads(line)["event_id"] == "line\nbreak"
