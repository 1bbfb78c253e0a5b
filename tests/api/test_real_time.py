"""Lists that are ranked now: the same ranking and the same rules as the daily ones, for histories nobody has stored."""

from typing import Any

import polars as pl
import pytest
import redis

from recsys_assets.models.composition import final_lists
from recsys_assets.models.ranking import rank
from recsys_assets.platform import Platform


def composed(shop: Any, api: Any, user_id: str, arm: dict[str, float] | None = None, **exclusions: Any) -> list[str]:
    """What the daily lists would be, from the same parts."""
    snapshot = api.services.live.snapshot
    users = pl.Series("user_id", [user_id])
    owned = shop.history(user_id)["item_id"].unique().to_list()
    row = {"user_id": user_id, "item_ids": owned, "reasons": ["owned"] * len(owned), "may_see_adult": False}
    row |= {"blocked_creators": [], "blocked_categories": [], **exclusions}
    excluded = pl.DataFrame([row])
    lists = {
        family: rank(live.model, shop.sales, users, excluded, snapshot.eligible, n=30).with_columns(is_fallback=False)
        for (family, _), live in snapshot.models.items()
    }
    final = final_lists(lists, arm or {"item_item": 1.0, "als": 0.5}, "popularity", 30)
    items: list[str] = final["item_ids"].item().to_list()
    return items


def body_of(shop: Any, user_id: str) -> list[dict[str, str]]:
    """A user's history as somebody would send it."""
    return [
        {"item_id": item, "event_type": "purchase", "occurred_at": f"{day}T12:00:00+09:00"}
        for item, day in shop.history(user_id).select("item_id", "day").iter_rows()
    ]


def test_a_history_gets_the_list_that_the_batch_would_have_made(api: Any, shop: Any) -> None:
    found = api.rank(history=body_of(shop, "u05"), limit=30)
    assert found == composed(shop, api, "u05")


def test_a_known_user_gets_the_list_that_the_batch_would_have_made(api: Any, shop: Any, valkey: redis.Redis) -> None:
    owned = shop.history("u05")["item_id"].unique().to_list()
    shop.publish(valkey, {"u05": []}, excluded_ids=owned)
    api.get("/v1/users/u05/recommendations")  # the generation is noticed
    assert api.rank(user_id="u05", limit=30) == composed(shop, api, "u05")


def test_what_the_published_filter_hides_is_replaced_by_what_comes_next(
    api: Any, shop: Any, valkey: redis.Redis
) -> None:
    first = composed(shop, api, "u05")
    owned = shop.history("u05")["item_id"].unique().to_list()
    shop.publish(valkey, {"u05": []}, excluded_ids=[*owned, *first[:8]])
    api.get("/v1/users/u05/recommendations")
    found = api.rank(user_id="u05", limit=20)
    assert len(found) == 20
    assert found == composed(shop, api, "u05", item_ids=[*owned, *first[:8]], reasons=["owned"] * (len(owned) + 8))[:20]


def test_what_a_user_blocked_and_adult_titles_are_left_out(api: Any, shop: Any, valkey: redis.Redis) -> None:
    adult = {item for item, is_adult in shop.catalogue.select("item_id", "is_adult").iter_rows() if is_adult}
    creators = dict(shop.catalogue.select("item_id", "creator").iter_rows())
    shop.publish(valkey, {"u05": []}, blocked_creators=["creator3"], may_see_adult=True)
    api.items("u05")  # the generation is noticed
    found = api.rank(user_id="u05", limit=30)
    assert "creator3" not in {creators[item] for item in found}
    assert adult & set(found)
    assert not adult & set(api.rank(history=body_of(shop, "u05"), limit=30))


def test_a_session_changes_the_list_and_what_was_bought_in_it_is_not_shown(api: Any) -> None:
    before = api.rank(user_id="u01", limit=30)
    session = [{"item_id": before[0], "event_type": "purchase"}]
    after = api.rank(user_id="u01", history=session, limit=30)
    assert before[0] not in after
    assert after != before[1:]


def test_an_event_that_was_posted_counts_in_the_next_list(api: Any) -> None:
    before = api.rank(user_id="u01", limit=30)
    api.bought("u01", before[0])
    after = api.rank(user_id="u01", limit=30)
    assert before[0] not in after
    assert after == api.rank(user_id="u01", history=[{"item_id": before[0], "event_type": "purchase"}], limit=30)


def test_somebody_without_a_usable_history_gets_the_popular_items(api: Any) -> None:
    told = api.post("/v1/recommendations", {"history": [{"item_id": "never heard of"}]}).json()
    assert (told["is_fallback"], told["is_degraded"], told["generation"]) == (True, False, None)
    assert [item["item_id"] for item in told["items"]] == api.services.popular[:20]


def test_an_explained_list_says_what_brought_each_item_and_why(api: Any, shop: Any) -> None:
    history = body_of(shop, "u05")
    told = api.post("/v1/recommendations", {"history": history, "explain": True}).json()
    assert {item["source"] for item in told["items"]} <= {"als", "item_item", "popularity"}
    had = {one["item_id"] for one in history}
    assert {item["reason"] for item in told["items"] if item["source"] == "item_item"} <= had


def test_the_versions_that_rank_are_told(api: Any, shop: Any) -> None:
    told = api.post("/v1/recommendations", {"history": body_of(shop, "u05")}).json()
    assert told["versions"] == {family: str(number) for family, number in api.services.live.snapshot.in_use.items()}


def test_a_history_that_is_too_long_is_refused(api: Any) -> None:
    answer = api.post("/v1/recommendations", {"history": [{"item_id": "a"}] * 10_001})
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "body/history")
    answer = api.post("/v1/recommendations", {"history": [{"item_id": f"item-{one}"} for one in range(100_000)]})
    assert answer.status_code == 413


def test_the_longest_history_that_is_allowed_is_ranked(api: Any) -> None:
    history = [{"item_id": f"i{one % 60:03}", "event_type": "view"} for one in range(10_000)]
    assert len(api.rank(history=history, limit=30)) == 30


def test_the_first_and_the_last_moment_that_there_are_break_nothing(api: Any) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        assert api.rank(history=[{"item_id": "i003", "occurred_at": moment}])


@pytest.fixture
def experiment(shop: Any) -> Platform:
    """Two arms: one as usual, one with one family alone."""
    arms = {"control": {"share": 0.5}, "plain": {"share": 0.5, "family": "als"}}
    content = shop.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Platform.model_validate({**content, "experiments": {"one": {"first_day": "2026-03-01", "arms": arms}}})


def test_another_arm_than_the_published_one_is_ranked_now(
    serve: Any, shop: Any, valkey: redis.Redis, experiment: Platform
) -> None:
    owned = shop.history("u05")["item_id"].unique().to_list()
    arms = {"control": {"als": "1"}, "plain": {"als": "1"}}
    shop.publish(valkey, {"u05": ["i001"]}, arms=arms, arm="control", excluded_ids=owned)
    with serve(store=shop.store_of(experiment)) as api:
        assert api.items("u05") == ["i001"]
        assert api.items("u05", arm="control") == ["i001"]
        told = api.get("/v1/users/u05/recommendations", arm="plain", limit=30).json()
        assert (told["arm"], told["generation"]) == ("plain", None)
        assert [item["item_id"] for item in told["items"]] == composed(shop, api, "u05", {"als": 1.0})


def test_an_arm_that_there_is_not_is_a_problem_that_lists_those_there_are(
    serve: Any, shop: Any, valkey: redis.Redis, experiment: Platform
) -> None:
    with serve(store=shop.store_of(experiment)) as api:
        for answer in (
            api.get("/v1/users/u05/recommendations", arm="other"),
            api.post("/v1/recommendations", {"user_id": "u05", "arm": "other"}),
        ):
            assert answer.status_code == 422
            assert answer.json()["detail"] == "there is no such arm; the arms are control, plain"
    assert valkey.ping()


def test_an_arm_is_ranked_by_the_approved_version_that_it_names_and_by_no_other(
    serve: Any, shop: Any, valkey: redis.Redis
) -> None:
    newer, refused = (shop.release("als", shop.sales.rows.head(200), approves=False) for _ in range(2))
    shop.registry.set_status(refused, "Rejected", "it ranks badly")
    named = {"newer": newer.version, "refused": refused.version}
    arms = {"control": {"share": 0.4}} | {arm: {"share": 0.3, "versions": {"als": one}} for arm, one in named.items()}
    content = shop.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    platform = Platform.model_validate({**content, "experiments": {"one": {"first_day": "2026-03-01", "arms": arms}}})
    with serve(store=shop.store_of(platform)) as api:
        body = {"history": [{"item_id": "i003"}]}
        told = {arm: api.post("/v1/recommendations", {**body, "arm": arm}).json()["versions"] for arm in arms}
        assert told["newer"]["als"] == str(newer.version) != told["control"]["als"]
        assert "als" not in told["refused"]
        detail = api.get("/health/ready").json()["components"]["models"]["detail"]
        assert f"arm refused: version {refused.version} of als is Rejected" in detail
    assert valkey.ping()
