"""Features as of a day: what the rules make of the lake, and that nothing from later days is ever seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, PURCHASE_SEQUENCE
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import Platform

OpenShop = Callable[..., FeatureStore]
FactsOf = Callable[[int, int], st.SearchStrategy[dict[str, Any]]]
AS_OF = 6
HISTORICAL = {"history", "purchase_sequence", "user_profile", "item_profile"}
"""What is made of what genuine users did."""


def january(day: int) -> date:
    return date(2026, 1, day)


def history(store: FeatureStore, as_of: int, window_days: int = 30) -> set[tuple[str, str, int, float]]:
    rows = store.history(january(as_of), window_days)
    return {(user, item, day.day, round(weight, 6)) for user, item, day, weight in rows.iter_rows()}


def excluded(store: FeatureStore, as_of: int, user: str) -> dict[str, Any]:
    (row,) = store.read("exclusions", january(as_of)).filter(pl.col("user_id") == user).iter_rows(named=True)
    return dict(row)


def eligible(store: FeatureStore, as_of: int) -> list[str]:
    return store.read("eligible_items", january(as_of))["item_id"].to_list()


def hits(store: FeatureStore, first: int, last: int) -> list[tuple[str, str, int]]:
    rows = store.hits(january(first), january(last))
    return [(user, item, day.day) for user, item, day in rows.iter_rows()]


def sequences(store: FeatureStore, as_of: int) -> dict[str, list[str]]:
    return dict(store.read("purchase_sequence", january(as_of)).select("user_id", "item_ids").iter_rows())


def views(store: FeatureStore, as_of: int) -> dict[str, pl.DataFrame]:
    """Everything that can be known as of a day."""
    day = january(as_of)
    return {
        "history": store.history(day, 4),
        "exclusions": store.read("exclusions", day),
        "eligible_items": store.read("eligible_items", day),
        "purchase_sequence": store.read("purchase_sequence", day),
        "user_profile": store.read("user_profile", day),
        "item_profile": store.read("item_profile", day),
        "interactions": store.read("interactions", day),
        "hits": store.hits(january(as_of - 2), day),
    }


def different(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> set[str]:
    return {name for name in left if not left[name].equals(right[name])}


# --- History ---


def test_history_weighs_what_users_did_per_item_and_day(open_shop: OpenShop) -> None:
    store = open_shop("1 ann view dune", "1 ann view dune", "1 ann purchase dune", "2 ann view dune", "1 bob view emma")
    assert history(store, 9) == {("ann", "dune", 1, 1.2), ("ann", "dune", 2, 0.1), ("bob", "emma", 1, 0.1)}


@pytest.mark.parametrize("users", [("ann", "ann"), ("b", "cleo"), ("bob", "dan"), ("e", "z")])
def test_the_history_of_some_users_is_their_part_of_everybodys(open_shop: OpenShop, users: tuple[str, str]) -> None:
    store = open_shop(
        "1 ann purchase dune",
        "2 ann refund dune",
        "2 bob purchase dune",
        "3 bob view emma",
        "3 cleo purchase emma",
        *(f"4 dan view book{number}" for number in range(9)),  # a machine
    )
    everybody = store.history(january(5), 30)
    assert everybody["user_id"].unique().sort().to_list() == ["bob", "cleo"]
    assert store.history(january(5), 30, users).equals(
        everybody.filter((pl.col("user_id") >= users[0]) & (pl.col("user_id") <= users[1]))
    )


def test_history_reaches_back_exactly_its_days_and_the_last_one_counts(open_shop: OpenShop) -> None:
    store = open_shop(*(f"{day} ann view dune" for day in range(1, 9)))
    assert {day for _, _, day, _ in history(store, 6, window_days=3)} == {4, 5, 6}


def test_a_refund_days_later_takes_back_its_purchase_from_then_on(open_shop: OpenShop) -> None:
    store = open_shop("1 ann purchase dune", "1 ann view dune", "3 ann purchase emma", "9 ann refund dune")
    assert history(store, 8) == {("ann", "dune", 1, 1.1), ("ann", "emma", 3, 1.0)}
    assert history(store, 9) == {("ann", "dune", 1, 0.1), ("ann", "emma", 3, 1.0)}


def test_a_purchase_before_the_window_still_nets_a_refund_inside_it(open_shop: OpenShop) -> None:
    store = open_shop("1 ann purchase dune", "5 ann refund dune", "6 ann purchase dune", "6 ann refund dune")
    assert history(store, 9, window_days=5) == set()


def test_who_is_found_out_as_a_test_account_or_a_bot_loses_earlier_days_too(open_shop: OpenShop) -> None:
    store = open_shop(
        *("1 tester view dune", "1 bot view dune", "1 ann view dune"),
        *["7 bot view emma"] * 6,
        users=[{"ds": 1, "user_id": "tester", "is_test": False}, {"ds": 7, "user_id": "tester", "is_test": True}],
    )
    assert {user for user, *_ in history(store, 6)} == {"ann", "bot", "tester"}
    assert {user for user, *_ in history(store, 7)} == {"ann"}


def test_a_test_account_that_is_given_to_a_customer_counts_again(open_shop: OpenShop) -> None:
    marks = [{"ds": 2, "user_id": "ann", "is_test": True}, {"ds": 5, "user_id": "ann", "is_test": False}]
    store = open_shop("1 ann view dune", users=marks)
    assert [len(history(store, day)) for day in (1, 2, 4, 5)] == [1, 0, 0, 1]


# --- Exclusions and eligibility ---


def test_exclusions_name_what_is_owned_and_what_is_blocked(open_shop: OpenShop) -> None:
    store = open_shop(
        *("1 ann purchase dune", "1 ann view walden", "2 ann purchase emma"),
        blocks=[
            {"ds": 1, "user_id": "ann", "target": target, "target_id": target_id, "is_blocked": True}
            for target, target_id in (
                *(("item", "dune"), ("item", "ulysses")),
                *(("creator", "Verne"), ("creator", "Dumas"), ("category", "horror")),
            )
        ],
    )
    row = excluded(store, 2, "ann")
    assert dict(zip(row["item_ids"], row["reasons"], strict=True)) == {
        "dune": "owned",
        "emma": "owned",
        "ulysses": "blocked",
    }
    assert (row["blocked_creators"], row["blocked_categories"]) == (["Dumas", "Verne"], ["horror"])


def test_every_user_who_is_known_from_anywhere_has_one_row(open_shop: OpenShop) -> None:
    store = open_shop(
        *("1 ann view dune", "2 ann view dune"),
        users=[{"ds": 1, "user_id": "bob", "is_adult_verified": True}, {"ds": 1, "user_id": "ann"}],
        blocks=[{"ds": 1, "user_id": "eve", "target": "item", "target_id": "emma", "is_blocked": False}],
    )
    rows = store.read("exclusions", january(2))
    assert rows.schema == EXCLUSIONS.schema
    assert rows.select("user_id", "may_see_adult").rows() == [("ann", False), ("bob", True)]
    assert rows.select("item_ids", "blocked_creators").rows() == [([], [])] * 2


def test_a_user_whose_only_trace_is_a_block_has_a_row(open_shop: OpenShop) -> None:
    store = open_shop(blocks=[{"ds": 1, "user_id": "eve", "target": "item", "target_id": "emma", "is_blocked": True}])
    assert excluded(store, 1, "eve")["item_ids"] == ["emma"]


def test_a_lifted_block_is_gone_from_its_day_on(open_shop: OpenShop) -> None:
    block = {"user_id": "ann", "target": "item", "target_id": "dune"}
    changes = [{"ds": 2, "is_blocked": True}, {"ds": 4, "is_blocked": False}, {"ds": 6, "is_blocked": True}]
    store = open_shop("1 ann view emma", blocks=[block | change for change in changes])
    assert [excluded(store, day, "ann")["item_ids"] for day in (1, 3, 4, 6)] == [[], ["dune"], [], ["dune"]]


def test_verification_is_known_as_of_the_day_and_may_be_lost_again(open_shop: OpenShop) -> None:
    marks = [{"ds": 2, "is_adult_verified": True}, {"ds": 4, "is_adult_verified": False}]
    store = open_shop("1 ann view dune", users=[{"user_id": "ann"} | mark for mark in marks])
    assert [excluded(store, day, "ann")["may_see_adult"] for day in (1, 2, 3, 4)] == [False, True, True, False]


def test_without_the_rule_everybody_may_see_adult_titles_also_who_has_no_row(open_shop: OpenShop) -> None:
    store = open_shop("1 ann view dune", adult_needs_verification=False)
    assert excluded(store, 1, "ann")["may_see_adult"] is True


def test_items_come_and_go_with_the_newest_row_of_the_catalogue(open_shop: OpenShop) -> None:
    store = open_shop(
        items=[
            {"ds": 1, "item_id": "dune", "released_on": 4},
            {"ds": 1, "item_id": "emma", "withdrawn_on": 4},
            {"ds": 5, "item_id": "emma"},
            {"ds": 5, "item_id": "dune", "released_on": 20},
        ]
    )
    assert {day: eligible(store, day) for day in (2, 3, 5)} == {2: ["emma"], 3: ["dune"], 5: ["emma"]}


def test_without_a_catalogue_an_item_is_eligible_from_its_first_event(
    open_shop: OpenShop, tiny_platform: Platform
) -> None:
    sources = {name: mapping for name, mapping in tiny_platform.sources.items() if name != "items"}
    bare = tiny_platform.model_copy(update={"sources": sources})
    store = open_shop("1 ann view dune", "3 ann view emma", platform=bare)
    assert {day: eligible(store, day) for day in (1, 2, 3)} == {1: ["dune"], 2: ["dune"], 3: ["dune", "emma"]}
    assert store.read("eligible_items", january(3)).schema == ELIGIBLE_ITEMS.schema


# --- Sequences ---


def test_a_sequence_is_the_last_purchases_in_their_order_without_refunded_ones(
    open_shop: OpenShop, tiny_platform: Platform
) -> None:
    short = tiny_platform.recommendations.model_copy(update={"sequence_length": 2})
    store = open_shop(
        *("1 ann purchase emma", "1 ann purchase dune", "2 ann purchase walden", "2 ann view ulysses"),
        *("3 ann purchase emma", "3 bob purchase dune", "4 bob refund dune"),
        platform=tiny_platform.model_copy(update={"recommendations": short}),
    )
    assert sequences(store, 1) == {"ann": ["emma", "dune"]}
    assert sequences(store, 3) == {"ann": ["walden", "emma"], "bob": ["dune"]}
    assert sequences(store, 4) == {"ann": ["walden", "emma"]}
    rows = store.read("purchase_sequence", january(4))
    assert rows.schema == PURCHASE_SEQUENCE.schema
    assert rows["bought_on"].to_list() == [[january(2), january(3)]]


# --- Hits ---


def test_a_hit_is_something_new_that_was_bought_and_kept(open_shop: OpenShop) -> None:
    store = open_shop(
        "1 ann purchase dune",
        "5 ann purchase dune",  # owned already
        "5 ann view walden",  # not bought
        "6 ann purchase emma",
        "5 ann purchase emma",  # the first day counts
        "5 ann purchase ulysses",
        "7 ann refund ulysses",  # taken back inside
        "8 bob purchase dune",  # after the last day
    )
    assert hits(store, 5, 7) == [("ann", "emma", 5)]


def test_a_refund_after_the_holdout_does_not_undo_a_hit(open_shop: OpenShop) -> None:
    store = open_shop("1 ann view emma", "5 ann purchase dune", "8 ann refund dune")
    assert hits(store, 5, 7) == [("ann", "dune", 5)]
    assert hits(store, 5, 8) == []


def test_what_was_refunded_before_the_holdout_can_be_a_hit_again(open_shop: OpenShop) -> None:
    store = open_shop("1 ann purchase dune", "2 ann refund dune", "5 ann purchase dune")
    assert hits(store, 5, 7) == [("ann", "dune", 5)]


def test_where_owning_does_not_exclude_a_repurchase_is_a_hit(open_shop: OpenShop) -> None:
    store = open_shop("1 ann purchase milk", "5 ann purchase milk", owned_is_excluded=False)
    assert hits(store, 5, 7) == [("ann", "milk", 5)]


def test_what_could_not_be_recommended_the_day_before_is_no_hit(open_shop: OpenShop) -> None:
    blocked = [("item", "emma", 4), ("creator", "Verne", 4), ("category", "horror", 4), ("item", "walden", 5)]
    store = open_shop(
        *(f"5 ann purchase {item}" for item in ("emma", "nautilus", "dracula")),
        *(f"6 ann purchase {item}" for item in ("fanny", "walden", "dune")),
        items=[
            {"ds": 1, "item_id": "nautilus", "creator": "Verne", "released_on": 6},  # not on sale yet
            {"ds": 1, "item_id": "dracula", "category": "horror"},
            {"ds": 1, "item_id": "fanny", "is_adult": True},
            {"ds": 1, "item_id": "dune", "creator": "Herbert", "category": "space"},
        ],
        blocks=[
            {"ds": day, "user_id": "ann", "target": target, "target_id": target_id, "is_blocked": True}
            for target, target_id, day in blocked
        ],
    )
    assert hits(store, 5, 7) == [("ann", "dune", 6), ("ann", "walden", 6)]  # walden was blocked too late


def test_an_adult_title_is_a_hit_for_who_was_verified_the_day_before(open_shop: OpenShop) -> None:
    store = open_shop(
        *("5 ann purchase fanny", "5 bob purchase fanny"),
        items=[{"ds": 1, "item_id": "fanny", "is_adult": True}],
        users=[{"ds": day, "user_id": user, "is_adult_verified": True} for user, day in (("ann", 4), ("bob", 5))],
    )
    assert hits(store, 5, 7) == [("ann", "fanny", 5)]


def test_an_item_that_nobody_knew_before_the_holdout_stays_a_hit(open_shop: OpenShop) -> None:
    novelty = [{"ds": 5, "item_id": "novel", "is_adult": True}]
    assert hits(open_shop("1 ann view dune", "6 ann purchase novel", items=novelty), 5, 7) == [("ann", "novel", 6)]


def test_test_accounts_and_bots_hit_nothing(open_shop: OpenShop) -> None:
    store = open_shop(
        *("5 tester purchase dune", "5 bot purchase dune", "5 ann purchase dune", *["1 bot view emma"] * 6),
        users=[{"ds": 7, "user_id": "tester", "is_test": True}],
    )
    assert hits(store, 5, 7) == [("ann", "dune", 5)]


def test_another_event_than_a_purchase_can_be_what_counts(open_shop: OpenShop, tiny_platform: Platform) -> None:
    viewers = tiny_platform.model_copy(update={"hit_event": "view"})
    store = open_shop("5 ann view dune", "5 ann purchase emma", "6 ann view dune", platform=viewers)
    assert hits(store, 5, 7) == [("ann", "dune", 5)]


# --- Point in time ---


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_that_happens_later_changes_what_is_known(
    facts_of: FactsOf, tell: OpenShop, data: st.DataObject
) -> None:
    past, future = data.draw(facts_of(1, AS_OF)), data.draw(facts_of(AS_OF + 1, 12))
    assume(any(future.values()))
    assert different(views(tell(past), AS_OF), views(tell(past, future), AS_OF)) == set()


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        ({"events": "7 ann refund emma"}, HISTORICAL | {"exclusions", "hits", "interactions"}),
        ({"events": "7 bob purchase walden"}, HISTORICAL | {"exclusions", "hits", "interactions"}),
        ({"items": {"ds": 7, "item_id": "emma", "withdrawn_on": 7}}, {"eligible_items"}),
        ({"users": {"ds": 7, "user_id": "ann", "is_test": True}}, HISTORICAL | {"hits"}),
        ({"users": {"ds": 7, "user_id": "ann", "is_adult_verified": True}}, {"exclusions"}),
        (
            {"blocks": {"ds": 7, "user_id": "ann", "target": "item", "target_id": "dune", "is_blocked": True}},
            {"exclusions"},
        ),
    ],
)
def test_a_planted_fact_is_unknown_the_day_before_and_known_on_its_day(
    tell: OpenShop, fact: dict[str, Any], changes: set[str]
) -> None:
    past: dict[str, Any] = {
        "events": ["1 ann view dune", "5 ann purchase emma", "6 bob view dune"],
        "items": [{"ds": 1, "item_id": "dune"}, {"ds": 1, "item_id": "emma"}],
        "users": [{"ds": 1, "user_id": "ann"}],
        "blocks": [],
    }
    planted = {name: [fact[name]] if name in fact else [] for name in past}
    without, with_it = tell(past), tell(past, planted)
    assert different(views(without, 6), views(with_it, 6)) == set()
    assert different(views(without, 7), views(with_it, 7)) == changes


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_order_of_the_rows_at_rest_changes_nothing(facts_of: FactsOf, tell: OpenShop, data: st.DataObject) -> None:
    everything = data.draw(facts_of(1, 6))
    in_order, shuffled = tell(everything), tell(everything, is_shuffled=True)
    assert different(views(in_order, 5), views(shuffled, 5)) == set()
    whole, view = (january(1), january(6)), VIEWS["interactions"]
    assert in_order.compute(view, *whole).equals(shuffled.compute(view, *whole))


@pytest.mark.parametrize("view", [view for view in VIEWS.values() if view.partitions == "day" and view.is_stored])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), day=st.integers(1, 4))
def test_a_day_computed_alone_is_the_same_as_within_a_range(
    facts_of: FactsOf, tell: OpenShop, view: FeatureView, data: st.DataObject, day: int
) -> None:
    store = tell(data.draw(facts_of(1, 4)))
    within = store.compute(view, january(1), january(4)).filter(pl.col("ds") == january(day))
    alone = store.compute(view, january(day), january(day))
    assert alone.equals(within)
    assert alone.schema == view.table.schema


def test_the_first_day_can_be_read_when_there_is_nothing_yet(open_shop: OpenShop) -> None:
    assert {name: rows.height for name, rows in views(open_shop(), 3).items()} == dict.fromkeys(
        views(open_shop(), 3), 0
    )


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("owned_is_excluded", {"exclusions", "hits"}),
        ("refunds_take_back", HISTORICAL | {"exclusions"}),
        ("drop_test_accounts", HISTORICAL | {"hits"}),
        ("bots", {"history", "user_profile", "item_profile"}),
        ("blocks_apply", {"exclusions"}),
        ("withdrawn_is_hidden", {"eligible_items"}),
        ("unreleased_is_hidden", {"eligible_items"}),
        ("adult_needs_verification", {"exclusions", "eligible_items", "hits"}),
    ],
)
def test_each_rule_can_be_switched_off_and_then_changes_only_what_it_is_about(
    open_shop: OpenShop, rule: str, changes: set[str]
) -> None:
    store = open_shop(
        *("1 ann purchase dune", "5 ann purchase dune", "3 bob purchase emma", "6 bob refund emma"),
        *("5 tester purchase emma", "5 ann purchase fanny", *["4 bot view dune"] * 6),
        items=[
            {"ds": 1, "item_id": "dune"},
            {"ds": 1, "item_id": "fanny", "is_adult": True},
            {"ds": 1, "item_id": "gone", "withdrawn_on": 2},
            {"ds": 1, "item_id": "soon", "released_on": 20},
        ],
        users=[{"ds": 1, "user_id": "tester", "is_test": True}],
        blocks=[{"ds": 1, "user_id": "ann", "target": "item", "target_id": "walden", "is_blocked": True}],
    )
    off = store.platform.rules.model_copy(update={rule: None if rule == "bots" else False})
    without = replace(store, platform=store.platform.model_copy(update={"rules": off}))
    assert different(views(store, 6), views(without, 6)) == changes


def test_the_catalogue_can_be_read_with_titles(open_shop: OpenShop) -> None:
    named = {"item_id": "dune", "creator": "Herbert"}
    store = open_shop(items=[{"ds": 1, "title": "Dune"} | named, {"ds": 5, "title": "Dune I"} | named])
    assert store.catalogue(january(4)).select("item_id", "title", "creator").rows() == [("dune", "Dune", "Herbert")]
