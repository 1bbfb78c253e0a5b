"""What those who run the API see: figures, and neighbours of items that the models agree on."""

from typing import Any

import pytest

from recsys_assets.inspector.item_page import neighbours


def figures(api: Any) -> dict[str, float]:
    lines = [line for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_requests_are_counted_by_route_and_status_and_never_by_who_asked(api: Any) -> None:
    for user in ("u01", "u02", "nobody"):
        api.items(user)
    api.get("/v1/users/u01/recommendations", limit=0)
    api.get("/some/where/else")
    api.session.request("WORD", f"{api.url}/v1/events", timeout=9)
    found = figures(api)
    route = 'route="/v1/users/{user_id}/recommendations"'
    assert found[f'recsys_requests_total{{method="GET",{route},status="200"}}'] == 3
    assert found[f'recsys_requests_total{{method="GET",{route},status="422"}}'] == 1
    assert found[f"recsys_request_seconds_count{{{route}}}"] == 4
    assert not [name for name in found if "u01" in name or "else" in name or "WORD" in name]


def test_lists_are_counted_by_where_they_came_from(api: Any) -> None:
    api.items("u01")
    api.items("nobody")
    api.rank(history=[{"item_id": "i003"}])
    found = figures(api)
    counts = {
        origin: found[f'recsys_lists_total{{origin="{origin}"}}'] for origin in ("stored", "popular", "real_time")
    }
    assert counts == {"stored": 1, "popular": 1, "real_time": 1}


def test_the_day_of_the_generation_and_the_components_are_told(api: Any) -> None:
    api.items("u01")
    found = figures(api)
    assert found["recsys_generation_as_of_seconds"] == 1_773_500_400  # 15 March 2026 in Seoul
    assert found['recsys_component_is_well{component="models"}'] == 1
    assert found["recsys_model_loads_total"] == 3


def test_similar_items_come_from_the_model_with_the_largest_weight(api: Any) -> None:
    told = api.get("/v1/items/i003/similar", limit=5).json()
    snapshot = api.services.live.snapshot
    number = snapshot.in_use["item_item"]
    model = snapshot.models["item_item", number].model
    assert (told["item_id"], told["family"], told["version"]) == ("i003", "item_item", str(number))
    found = [item["item_id"] for item in told["items"]]
    assert found == neighbours(model, "i003", snapshot.as_of, snapshot.eligible, 5)
    assert "i003" not in found
    assert "i000" not in found  # not on sale any more


def test_an_item_that_no_model_knows_yet_has_no_similar_ones(api: Any) -> None:
    told = api.get("/v1/items/i059/similar").json()
    assert told == {"item_id": "i059", "items": []}


def test_an_item_that_is_not_on_sale_any_more_still_has_similar_ones(api: Any) -> None:
    assert api.get("/v1/items/i000/similar").json()["items"]


@pytest.mark.parametrize("item", ["i9999", "I003", "i00", "\u97d3", "x" * 256, "a/b"])
def test_an_unknown_item_is_a_problem_that_names_no_other(api: Any, item: str) -> None:
    answer = api.get(f"/v1/items/{item}/similar")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "i0" not in answer.text.replace(item, "")


def test_the_quick_way_to_read_parameters_describes_what_it_takes(api: Any) -> None:
    described = api.get("/openapi.json").json()["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    taken = {one["name"]: one for one in described["parameters"]}
    assert set(taken) == {"user_id", "limit", "arm", "explain", "surface"}
    assert {name: taken["limit"]["schema"][name] for name in ("minimum", "maximum", "default")} == {
        "minimum": 1,
        "maximum": 30,
        "default": 20,
    }
    path = "/v1/users/u01/recommendations"
    for name, right, wrong in (
        ("limit", "30", "31"),
        ("arm", "default", "x" * 257),
        ("explain", "true", "perhaps"),
        ("surface", "home", "x" * 257),
    ):
        assert api.get(path, **{name: right}).status_code == 200
        answer = api.get(path, **{name: wrong})
        assert answer.json()["errors"][0]["place"] == f"query/{name}"
