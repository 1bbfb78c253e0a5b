"""A published list as the API serves it: whose it is, what it is made of, and what is left out."""

import gzip
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import redis

from recsys_assets.api.landing_day import land_finished
from recsys_assets.serving.overlay import Overlaid, remember

OWN = [f"i{number:03}" for number in range(20, 50)]
POPULAR = [f"i{number:03}" for number in range(1, 31)]


def test_a_user_gets_the_published_list_and_is_told_what_it_is_made_of(api: Any) -> None:
    answer = api.get("/v1/users/u01/recommendations", limit=3)
    told = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert len(told.pop("request_id")) == 24
    assert told == {
        "user_id": "u01",
        "generation": "20260315-1",
        "as_of": "2026-03-15",
        "arm": "default",
        "versions": {"als": "1", "item_item": "1", "popularity": "1"},
        "is_fallback": False,
        "is_degraded": False,
        "items": [{"item_id": item, "rank": rank} for rank, item in enumerate(OWN[:3], 1)],
    }


def test_an_unknown_user_gets_the_popular_items_marked_as_such(api: Any) -> None:
    answer = api.get("/v1/users/nobody/recommendations")
    assert (answer.json()["is_fallback"], answer.json()["generation"]) == (True, "20260315-1")
    assert [item["item_id"] for item in answer.json()["items"]] == POPULAR[:20]


@pytest.mark.parametrize("odd", ["a/b", "a\nb", "recs:20260315-1:u01", "\N{SNOWMAN}", "a?b#c"])
def test_an_id_may_be_any_text(api: Any, odd: str) -> None:
    answer = api.get(f"/v1/users/{quote(odd, safe='')}/recommendations")
    assert (answer.status_code, answer.json()["user_id"]) == (200, odd)


def test_every_answer_has_a_name_of_its_own(api: Any) -> None:
    names = {api.get("/v1/users/u01/recommendations").json()["request_id"] for _ in range(20)}
    assert len(names) == 20


def test_a_purchase_that_was_posted_is_gone_from_the_list_in_the_next_request(api: Any) -> None:
    assert OWN[0] in api.items("u01")
    assert api.bought("u01", OWN[0]) == {"accepted": 1, "refused": []}
    assert api.items("u01") == OWN[1:21]
    assert OWN[10] in api.items("u02")
    assert api.bought("u01", OWN[10])["accepted"] == 1
    assert OWN[10] in api.items("u02")


def test_a_purchase_hides_the_item_from_an_unknown_user_too(api: Any) -> None:
    api.bought("somebody new", POPULAR[0])
    assert api.items("somebody new") == POPULAR[1:21]


def test_what_was_only_viewed_stays_and_what_was_given_back_returns(api: Any) -> None:
    api.bought("u01", OWN[1], "view")
    api.bought("u01", OWN[0])
    api.bought("u01", OWN[0], "refund")
    assert api.items("u01") == OWN[:20]


def test_what_others_write_into_the_overlay_is_seen_too(api: Any, valkey: redis.Redis) -> None:
    remember(valkey, [Overlaid("u01", OWN[2], "purchase", api.clock.now)])
    assert OWN[2] not in api.items("u01")


def test_a_new_publication_is_served_from_the_next_request_on(api: Any, shop: Any, valkey: redis.Redis) -> None:
    assert api.items("u01", limit=2) == OWN[:2]
    shop.publish(valkey, {"u01": OWN[::-1]})
    told = api.get("/v1/users/u01/recommendations", limit=2).json()
    assert ([item["item_id"] for item in told["items"]], told["generation"]) == (OWN[:-3:-1], "20260315-2")


def test_a_user_whose_list_was_removed_gets_the_popular_items(api: Any, valkey: redis.Redis) -> None:
    valkey.delete("recs:20260315-1:u01")
    assert api.items("u01") == POPULAR[:20]


@pytest.mark.parametrize(
    "user_id",
    [
        "recs-current",
        "20260315-1:u01",
        "u01/../../v1",
        "a/b",
        "ann smith?x=1#y",
        "\u97d3\u570b\u8a9e \U0001f4da",
        "e\u0301",
        "%2e%2e",
        "*",
        "{u01}",
        "\0",
        "\rSET recs-current x",
        "x" * 256,
    ],
)
def test_any_id_is_an_id_and_its_purchases_are_its_own(api: Any, user_id: str) -> None:
    path = f"/v1/users/{quote(user_id, safe='')}/recommendations"
    assert api.get(path).json()["user_id"] == user_id
    if user_id == user_id.strip():
        api.bought(user_id, POPULAR[0])
        assert [item["item_id"] for item in api.get(path).json()["items"]] == POPULAR[1:21]
    assert api.items("nobody") == POPULAR[:20]
    assert api.items("u01") == OWN[:20]


@pytest.mark.parametrize(
    ("query", "place"), [({"limit": 0}, "limit"), ({"limit": 31}, "limit"), ({"limit": "x"}, "limit")]
)
def test_a_limit_out_of_range_is_a_problem_that_says_the_range(api: Any, query: dict[str, Any], place: str) -> None:
    answer = api.get("/v1/users/u01/recommendations", **query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["place"] == f"query/{place}"


def test_an_id_that_is_too_long_is_a_problem(api: Any) -> None:
    assert api.get(f"/v1/users/{'x' * 257}/recommendations").status_code == 422


def test_an_explained_list_says_what_brought_each_item(api: Any) -> None:
    told = api.get("/v1/users/nobody/recommendations", explain=True, limit=2).json()
    assert [(item["source"], item["reason"]) for item in told["items"]] == [("popularity", None)] * 2
    own = api.get("/v1/users/u01/recommendations", explain=True, limit=2).json()
    assert {item["source"] for item in own["items"]} == {"unknown"}  # the lake has no lists of that day


def test_what_was_served_is_landed_as_impressions(api: Any) -> None:
    own = api.get("/v1/users/u01/recommendations", limit=2, surface="home").json()["request_id"]
    popular = api.get("/v1/users/nobody/recommendations", limit=1).json()["request_id"]
    api.services._write_served()
    api.clock.now += timedelta(days=1)
    land_finished(api.services.log, api.given.landing, api.services._sources_of)
    (file,) = api.given.landing.files()
    assert file.path == "api/2026-03-16.impressions.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(api.given.landing.read(file.path)).splitlines()]
    told = [tuple(row[name] for name in ("request_id", "user_id", "item_id", "position", "surface")) for row in rows]
    assert told == [
        (own, "u01", OWN[0], 1, "home"),
        (own, "u01", OWN[1], 2, "home"),
        (popular, "nobody", POPULAR[0], 1, "api"),
    ]
    assert [(row["family"], row["version"]) for row in rows] == [(None, None)] * 2 + [("popularity", "1")]
