"""Each business rule by a worked example, on frames alone."""

from collections.abc import Callable
from datetime import date
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from recsys_assets.columns import (
    INTERACTIONS,
    ITEMS,
    PAIR_TOTALS,
    USER_BLOCK_STATE,
    USER_BLOCKS,
    USERS,
    USERS_SEEN,
    Table,
)
from recsys_assets.features import rules
from recsys_assets.features.past import KEPT
from recsys_assets.features.rules import Frame
from recsys_assets.platform import BotRule, EventWeights, Rules, Segments

Make = Callable[..., Any]


def january(day: int) -> date:
    return date(2026, 1, day)


def rows(frame: Frame, *columns: str) -> list[Any]:
    """The rows as tuples, or the values of a single column, in order."""
    found = frame.select(*columns).collect(backend="polars").to_native()
    return sorted(found.to_series() if len(columns) == 1 else found.iter_rows())


def totals(table: Table, frame: Frame) -> Frame:
    """What is kept of the past: sums of interactions, or the state of a change log."""
    (kept,) = (one for one in KEPT if one.table is table)
    return kept.combine(kept.start(frame))


def on_sale(items: Frame, day: int, switches: Rules) -> Frame:
    released = rules.without_unreleased(items, january(day), switches)
    return rules.without_withdrawn(released, january(day), switches)


@pytest.fixture
def happened(events_of: Make) -> Callable[..., Frame]:
    """The interactions of some facts."""
    return lambda *facts: rules.daily_interactions(nw.from_native(events_of(*facts).lazy()))


@pytest.fixture
def said(changes_of: Make) -> Callable[..., Frame]:
    """A change log."""
    return lambda table, *facts: nw.from_native(changes_of(table, facts).lazy())


def test_a_day_is_folded_into_signed_counts_per_user_and_item(happened: Make) -> None:
    facts = happened(
        "1 ann view dune",
        "1 ann view dune",
        "1 ann cart dune",
        "1 ann wish dune",
        "1 ann purchase dune 5",
        "1 ann refund dune 2",
        "1 ann rating dune",
    )
    (row,) = facts.collect(backend="polars").to_native().iter_rows(named=True)
    counts = {"views": 2, "carts": 1, "wishes": 1, "purchases": 1, "refunds": 1, "ratings": 1}
    assert {name: row[name] for name in counts} == counts
    assert (row["quantity"], row["value"], str(row["last_at"])) == (3, 30.0, "2026-01-01 09:06:00+00:00")


def test_folding_fits_the_table_and_keeps_users_items_and_days_apart(happened: Make) -> None:
    facts = happened("1 ann view dune", "1 ann view emma", "1 bob view dune", "2 ann view dune", "2 ann view dune")
    assert dict(facts.collect_schema().items()).keys() == set(INTERACTIONS.schema)
    assert rows(facts, "ds", "user_id", "item_id", "views") == [
        (january(1), "ann", "dune", 1),
        (january(1), "ann", "emma", 1),
        (january(1), "bob", "dune", 1),
        (january(2), "ann", "dune", 2),
    ]


def test_an_event_without_a_price_has_pieces_and_no_value(events_of: Make) -> None:
    free = events_of("1 ann purchase dune 3").with_columns(unit_price=pl.lit(None, pl.Float64))
    assert rows(rules.daily_interactions(nw.from_native(free.lazy())), "quantity", "value") == [(3, 0.0)]


def test_views_neither_buy_nor_refund(happened: Make) -> None:
    assert rows(happened("1 ann view dune 4", "1 ann rating dune 4"), "quantity", "value") == [(0, 0.0)]


def test_what_a_test_account_did_is_dropped_and_null_is_no_test_account(happened: Make, said: Make) -> None:
    facts = happened("1 ann view dune", "2 tester view dune", "3 bob view dune", "4 eve view dune")
    users = said(
        USERS,
        {"ds": 1, "user_id": "ann", "is_test": False},
        {"ds": 1, "user_id": "tester", "is_test": True},
        {"ds": 1, "user_id": "eve", "is_test": None},
    )
    assert rows(rules.without_test_accounts(facts, users, Rules()), "user_id") == ["ann", "bob", "eve"]
    off = rules.without_test_accounts(facts, users, Rules(drop_test_accounts=False))
    assert rows(off, "user_id") == ["ann", "bob", "eve", "tester"]


def test_a_user_with_more_events_on_a_day_than_allowed_loses_all_days(happened: Make) -> None:
    facts = happened(
        *("1 bot view dune", "2 bot view dune", "2 bot view emma", "2 bot cart emma"),
        *("1 ann view dune", "1 ann view emma", "2 ann view dune", "2 ann view emma"),
    )
    seen = totals(USERS_SEEN, facts)
    assert set(rows(rules.without_bots(facts, seen, BotRule(max_events_per_day=2)), "user_id")) == {"ann"}
    assert set(rows(rules.without_bots(facts, seen, BotRule(max_events_per_day=3)), "user_id")) == {"ann", "bot"}
    assert set(rows(rules.without_bots(facts, seen, None), "user_id")) == {"ann", "bot"}


@pytest.mark.parametrize(
    ("facts", "kept"),
    [
        (["1 ann purchase dune"], [1]),
        (["1 ann purchase dune", "9 ann refund dune"], [0, 0]),
        (["1 ann purchase dune 2", "9 ann refund dune 1"], [0, 1]),
        (["1 ann purchase dune", "2 ann refund dune", "3 ann purchase dune"], [0, 0, 1]),
        (["1 ann purchase dune", "3 ann purchase dune", "4 ann refund dune"], [0, 0, 1]),
        (["1 ann purchase dune 5", "3 ann purchase dune 2", "4 ann refund dune 6"], [0, 0, 1]),
        (["1 ann refund dune", "2 ann purchase dune"], [0, 1]),
        (["1 ann purchase dune", "1 ann purchase dune", "1 ann refund dune"], [1]),
        (["9 ann refund dune"], [0]),
        (["1 ann purchase dune", "9 ann refund emma", "9 bob refund dune"], [0, 0, 1]),
    ],
)
def test_a_refund_takes_back_the_newest_purchases_of_its_user_and_item(
    happened: Make, facts: list[str], kept: list[int]
) -> None:
    assert rows(rules.without_refunded(happened(*facts), Rules()), "purchases") == kept


def test_where_refunds_take_nothing_back_every_purchase_is_kept(happened: Make) -> None:
    facts = happened("1 ann purchase dune", "9 ann refund dune")
    kept = rules.without_refunded(facts, Rules(refunds_take_back=False))
    assert rows(kept, "purchases") == [0, 1]
    assert rows(rules.owned(totals(PAIR_TOTALS, facts), Rules(refunds_take_back=False)), "item_id") == ["dune"]


def test_the_weight_is_the_sum_of_counts_times_weights_of_what_was_kept(happened: Make) -> None:
    facts = happened(
        *("1 ann view dune", "1 ann view dune", "1 ann cart dune", "1 ann purchase dune"),
        *("1 bob wish emma", "1 bob rating emma", "1 bob purchase emma", "2 bob refund emma"),
    )
    weights = EventWeights(view=1, cart=10, wish=100, purchase=1_000, rating=10_000)
    weighted = rules.weighted(rules.without_refunded(facts, Rules()), weights)
    assert rows(weighted, "user_id", "weight") == [("ann", 1_012), ("bob", 10_100)]


def test_rows_without_weight_are_no_history(happened: Make) -> None:
    facts = happened("1 ann view dune", "1 bob refund dune")
    kept = rules.without_refunded(facts, Rules())
    assert rows(rules.weighted(kept, EventWeights(view=0, purchase=1)), "user_id") == []


@pytest.mark.parametrize(
    ("facts", "is_owned"),
    [
        (["1 ann purchase dune 2", "2 ann refund dune 1"], True),
        (["1 ann purchase dune 2", "2 ann refund dune 2"], False),
        (["1 ann purchase dune", "2 ann refund dune", "3 ann refund dune", "4 ann purchase dune"], False),
        (["1 ann refund dune", "2 ann purchase dune 2"], True),
        (["1 ann purchase dune 0"], False),
        (["1 ann view dune 7"], False),
    ],
)
def test_owned_means_that_the_net_quantity_is_above_zero(happened: Make, facts: list[str], is_owned: bool) -> None:
    assert (
        rows(rules.owned(totals(PAIR_TOTALS, happened(*facts)), Rules()), "user_id", "item_id")
        == [("ann", "dune")] * is_owned
    )


def test_where_owning_does_not_exclude_nothing_counts_as_owned(happened: Make) -> None:
    assert (
        rows(
            rules.owned(totals(PAIR_TOTALS, happened("1 ann purchase dune")), Rules(owned_is_excluded=False)), "item_id"
        )
        == []
    )


def test_a_block_holds_until_it_is_lifted_for_that_very_target(said: Make) -> None:
    def block(day: int, target: str, target_id: str, is_blocked: bool) -> dict[str, Any]:
        return {"ds": day, "user_id": "ann", "target": target, "target_id": target_id, "is_blocked": is_blocked}

    log = said(
        USER_BLOCKS,
        block(1, "item", "dune", True),
        block(2, "item", "dune", False),
        block(1, "creator", "dune", True),
        block(1, "item", "emma", True),
        block(2, "item", "emma", False),
        block(3, "item", "emma", True),
    )
    state = totals(USER_BLOCK_STATE, log)
    assert rows(rules.blocked(state, Rules()), "target", "target_id") == [("creator", "dune"), ("item", "emma")]
    assert rows(rules.blocked(state, Rules(blocks_apply=False)), "target_id") == []


def test_only_who_is_verified_may_see_adult_titles_and_null_counts_as_no(said: Make) -> None:
    users = said(
        USERS,
        {"ds": 1, "user_id": "adult", "is_adult_verified": True},
        {"ds": 1, "user_id": "child", "is_adult_verified": False},
        {"ds": 1, "user_id": "who", "is_adult_verified": None},
    )
    permission = rules.adult_permission(users, Rules())
    assert rows(permission, "user_id", "may_see_adult") == [("adult", True), ("child", False), ("who", False)]
    everybody = rules.adult_permission(users, Rules(adult_needs_verification=False))
    assert rows(everybody, "may_see_adult") == [True, True, True]


@pytest.mark.parametrize(
    ("fact", "last_known_days"),
    [
        ({}, {4, 5, 6}),
        ({"released_on": 6}, {5, 6}),
        ({"withdrawn_on": 6}, {4}),
        ({"released_on": 5, "withdrawn_on": 6}, {4}),
        ({"released_on": 20}, set()),
        ({"withdrawn_on": 1}, set()),
    ],
)
def test_an_item_is_on_sale_by_its_dates_on_the_morning_after(
    said: Make, fact: dict[str, int], last_known_days: set[int]
) -> None:
    items = said(ITEMS, {"ds": 1, "item_id": "dune", **fact})
    days = {day for day in (4, 5, 6) if rows(on_sale(items, day, Rules()), "item_id")}
    assert days == last_known_days


@pytest.mark.parametrize(("rule", "item"), [("unreleased_is_hidden", "soon"), ("withdrawn_is_hidden", "gone")])
def test_each_rule_of_the_sale_can_be_switched_off_alone(said: Make, rule: str, item: str) -> None:
    items = said(ITEMS, {"ds": 1, "item_id": "soon", "released_on": 9}, {"ds": 1, "item_id": "gone", "withdrawn_on": 3})
    assert rows(on_sale(items, 5, Rules()), "item_id") == []
    assert rows(on_sale(items, 5, Rules(**{rule: False})), "item_id") == [item]


def test_an_item_needs_verification_only_where_it_is_adult_and_the_rule_is_on(said: Make) -> None:
    items = said(
        ITEMS,
        {"ds": 1, "item_id": "adult", "is_adult": True},
        {"ds": 1, "item_id": "tame", "is_adult": False},
        {"ds": 1, "item_id": "who", "is_adult": None},
    )
    on, off = (rules.with_adult_rule(items, Rules(adult_needs_verification=is_on)) for is_on in (True, False))
    assert rows(on, "item_id", "is_adult") == [("adult", True), ("tame", False), ("who", False)]
    assert rows(off, "is_adult") == [False, False, False]


def test_a_weight_halves_with_every_half_life_before_the_cutoff(happened: Make) -> None:
    weighted = rules.weighted(happened("1 ann view dune", "8 ann view dune", "15 ann view dune"), EventWeights(view=8))
    faded = rules.decayed(weighted, january(15), Rules(half_life_days=7))
    assert rows(faded, "weight") == pytest.approx([2, 4, 8])
    assert rows(rules.decayed(weighted, january(15), Rules()), "weight") == [8, 8, 8]


def test_ages_count_days_across_leap_years(happened: Make) -> None:
    weighted = rules.weighted(happened("1 ann view dune"), EventWeights(view=1))
    days = [date(2023, 12, 31), date(2024, 2, 29), date(2024, 12, 31), date(2025, 1, 1), date(2000, 3, 1)]
    for day in days:
        then = weighted.with_columns(nw.lit(day).alias("ds"))
        (weight,) = rows(rules.decayed(then, date(2026, 1, 1), Rules(half_life_days=1_000)), "weight")
        assert weight == pytest.approx(0.5 ** ((date(2026, 1, 1) - day).days / 1_000))


def test_pairs_that_are_excluded_are_dropped_and_unknown_items_stay() -> None:
    pairs = pl.LazyFrame({"user_id": ["new"] * 3, "item_id": ["dune", "fanny", "unknown"], "rank": [1, 2, 3]})
    items = {"item_id": ["dune", "fanny"], "creator": [None] * 2, "category": [None] * 2, "is_adult": [False, True]}
    types = {"item_id": pl.String, "creator": pl.String, "category": pl.String, "is_adult": pl.Boolean}
    nobody = pl.LazyFrame(schema={"user_id": pl.String, "target": pl.String, "target_id": pl.String})
    unasked = pl.LazyFrame(schema={"user_id": pl.String, "may_see_adult": pl.Boolean})
    frames = [nw.from_native(one) for one in (pairs, nobody, unasked, pl.LazyFrame(items, schema=types))]
    assert rows(rules.without_excluded(*frames, others_may_see=False), "rank") == [1, 3]
    assert rows(rules.without_excluded(*frames, others_may_see=True), "rank") == [1, 2, 3]


@pytest.mark.parametrize(
    ("purchases", "segment"), [(0, "none"), (1, "light"), (2, "light"), (3, "middle"), (9, "middle"), (10, "heavy")]
)
def test_segments_begin_at_their_bounds(purchases: int, segment: str) -> None:
    profile = nw.from_native(pl.LazyFrame({"purchases": [purchases]}))
    assert rows(rules.segmented(profile, Segments()), "segment") == [segment]
