"""Kept states make reading the past cheap and change nothing of what is read."""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.columns import (
    EVENTS,
    INTERACTION_DAYS,
    INTERACTIONS,
    PAIR_TOTALS,
    PAST_STATES,
    USER_BLOCK_STATE,
    Table,
)
from recsys_assets.features.assets import STATES_KEY, build_assets
from recsys_assets.features.past import KEPT, KEPT_STATES, LakePast, end_of_month_before
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views import SNAPSHOTS

OpenShop = Callable[..., FeatureStore]
FactsOf = Callable[[int, int], st.SearchStrategy[dict[str, Any]]]
WHOLE_PAST = ("exclusions", "eligible_items")
"""The views that look at the whole past, and at nothing else."""
TABLES = {kept.table.name for kept in KEPT}
STORY: dict[str, Any] = {
    "events": [
        *("1 ann purchase dune 2", "2 bob purchase emma", "2 eve view walden", *["3 bot view dune"] * 6),
        *("5 ann refund dune", "6 ann refund dune", "6 bob purchase dune", "7 bob refund emma"),
    ],
    "items": [
        {"ds": 1, "item_id": "dune", "creator": "Herbert"},
        {"ds": 2, "item_id": "emma", "withdrawn_on": 3},
        {"ds": 6, "item_id": "emma"},  # it comes back
        {"ds": 6, "item_id": "dune", "withdrawn_on": 6},
    ],
    "users": [
        {"ds": 1, "user_id": "bob", "is_adult_verified": True},
        {"ds": 5, "user_id": "bob", "is_test": True},
        {"ds": 7, "user_id": "bob", "is_test": False},
    ],
    "blocks": [
        {"ds": day, "user_id": "ann", "target": "item", "target_id": "walden", "is_blocked": is_blocked}
        for day, is_blocked in ((2, True), (5, False), (7, True))
    ],
}
LATE = {"ds": 2, "user_id": "eve", "target": "item", "target_id": "dune", "is_blocked": True}


def january(day: int) -> date:
    return date(2026, 1, day)


def keep(store: FeatureStore, day: date) -> dict[str, int]:
    return LakePast(store.lake, store.engine).keep(day)


def known(store: FeatureStore, day: int, *views: str) -> dict[str, pl.DataFrame]:
    """These views as of a day, by a store that has read nothing yet; default: everything."""
    fresh, as_of = FeatureStore(store.platform, store.lake, store.engine), january(day)
    found = {name: fresh.read(name, as_of) for name in views or [view.name for view in SNAPSHOTS]}
    return found if views else found | {"hits": fresh.hits(as_of - timedelta(days=2), as_of)}


def pairs(store: FeatureStore, day: int) -> dict[tuple[str, str], int]:
    """User and item to the pieces that are left, as of a day."""
    totals = store.engine.collect(LakePast(store.lake, store.engine).total(PAIR_TOTALS, january(day)))
    return {(user, item): left for user, item, left in totals.select("user_id", "item_id", "quantity").iter_rows()}


def different(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> set[str]:
    return {name for name in left if not left[name].equals(right[name])}


def kept_days(store: FeatureStore, table: Table = PAST_STATES) -> list[int]:
    return [day.day for day in store.lake.days(table.name)]


def spoil(store: FeatureStore, table: Table, day: int) -> None:
    """Let a kept state say something wrong, so that it shows whether anybody reads it."""
    rows = store.lake.scan(table, (january(day), january(day))).collect()
    store.lake.replace(table, rows.head(0), (january(day), january(day)))


def remove_files(store: FeatureStore, through: int) -> None:
    """Remove the data files of sources and interactions of the first days."""
    for table in (EVENTS, *(kept.source for kept in KEPT)):
        for day in range(1, through + 1):
            shutil.rmtree(Path(store.lake.uri(table.name)) / f"ds={january(day)}", ignore_errors=True)


@pytest.fixture
def told(tell: OpenShop) -> FeatureStore:
    """The story, of which nothing is kept yet."""
    return tell(STORY)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), days=st.lists(st.integers(1, 7), min_size=1, max_size=2, unique=True), later=st.integers(0, 3))
def test_what_is_read_with_kept_states_equals_what_is_read_from_the_beginning(
    facts_of: FactsOf, tell: OpenShop, data: st.DataObject, days: list[int], later: int
) -> None:
    store = tell(data.draw(facts_of(1, 8)))
    as_of = max(days) + later
    from_the_beginning = known(store, as_of)
    for day in days:
        keep(store, january(day))
    assert different(known(store, as_of), from_the_beginning) == set()


def test_refunds_lifted_blocks_and_what_comes_back_or_leaves_is_as_if_nothing_were_kept(told: FeatureStore) -> None:
    from_the_beginning = {day: known(told, day) for day in (4, 6, 7)}
    keep(told, january(4))
    changed = {day: different(known(told, day), views) for day, views in from_the_beginning.items()}
    assert changed == {4: set(), 6: set(), 7: set()}
    assert len({str(views["exclusions"].drop("ds")) for views in from_the_beginning.values()}) == 3  # much changes


def test_a_state_that_was_kept_from_an_older_one_is_as_if_made_from_the_beginning(tell: OpenShop) -> None:
    at_once, in_steps = tell(STORY), tell(STORY)
    keep(at_once, january(7))
    for day in (2, 5, 7):
        keep(in_steps, january(day))
    for kept in KEPT:
        days = (january(7), january(7))
        rows = [
            store.lake.scan(kept.table, days).collect().sort(kept.table.primary_key) for store in (at_once, in_steps)
        ]
        assert rows[0].equals(rows[1])
        assert rows[0].height


def test_keeping_a_day_again_writes_nothing(told: FeatureStore) -> None:
    assert keep(told, january(4)).keys() == TABLES
    versions = {name: told.lake.version(name) for name in TABLES}
    assert keep(told, january(4)) == {}
    assert {name: told.lake.version(name) for name in TABLES} == versions


def test_with_a_kept_state_only_the_days_since_are_read(told: FeatureStore) -> None:
    from_the_beginning = known(told, 7, *WHOLE_PAST)
    keep(told, january(4))
    remove_files(told, through=4)
    assert different(known(told, 7, *WHOLE_PAST), from_the_beginning) == set()
    told.lake.replace(PAST_STATES, pl.DataFrame(schema=PAST_STATES.schema), (january(4), january(4)))
    with pytest.raises(FileNotFoundError):  # without the kept state, they are needed
        known(told, 7, *WHOLE_PAST)


def test_the_plan_of_a_later_day_names_no_file_from_before_the_kept_state(told: FeatureStore) -> None:
    keep(told, january(4))
    past = LakePast(told.lake, told.engine)
    for kept in KEPT:
        read = (
            past.total(kept.table, january(7)) if kept.source is INTERACTIONS else past.state(kept.source, january(7))
        )
        plan = read.to_native().explain()
        assert f"{january(5)}" in plan
        assert f"{date.min}" not in plan


def test_a_late_file_makes_the_kept_state_count_no_more_until_it_is_kept_anew(
    told: FeatureStore, changes_of: Callable[..., pl.DataFrame]
) -> None:
    keep(told, january(4))
    blocks = KEPT[2].source
    late = pl.concat([told.lake.scan(blocks, (january(2), january(2))).collect(), changes_of(blocks, [LATE])])
    told.lake.replace(blocks, late, (january(2), january(2)))
    assert "dune" in blocked_by_eve(told, 7)
    assert keep(told, january(4)).keys() == {USER_BLOCK_STATE.name}  # of the others, nothing has changed
    assert "dune" in blocked_by_eve(told, 7)
    assert told.lake.scan(USER_BLOCK_STATE).filter(user_id="eve").collect().height == 1


def blocked_by_eve(store: FeatureStore, day: int) -> list[str]:
    rows = known(store, day, "exclusions")["exclusions"].filter(user_id="eve")
    items: list[str] = rows["item_ids"].item().to_list()
    return items


def test_a_late_file_after_the_kept_day_leaves_the_state_as_it_is(told: FeatureStore) -> None:
    keep(told, january(4))
    rows = told.lake.scan(INTERACTIONS, (january(6), january(6))).collect()
    told.lake.replace(INTERACTIONS, rows.head(0), (january(6), january(6)))
    assert keep(told, january(4)) == {}
    spoil(told, PAIR_TOTALS, 4)
    assert pairs(told, 4) == {}  # so the state is what is read


def test_an_older_kept_state_stands_in_for_a_newer_one_that_counts_no_more(told: FeatureStore) -> None:
    keep(told, january(2))
    keep(told, january(5))
    same_rows = told.lake.scan(INTERACTIONS, (january(5), january(5))).collect()
    told.lake.replace(INTERACTIONS, same_rows, (january(5), january(5)))
    assert pairs(told, 7)[("ann", "dune")] == 2 - 1 - 1
    spoil(told, PAIR_TOTALS, 5)
    assert pairs(told, 7)[("ann", "dune")] == 2 - 1 - 1
    spoil(told, PAIR_TOTALS, 2)
    assert pairs(told, 7)[("ann", "dune")] == -1 - 1


def test_only_so_many_states_are_kept_the_newest(told: FeatureStore) -> None:
    for day in range(1, 7):
        keep(told, january(day))
    newest = list(range(7 - KEPT_STATES, 7))
    assert kept_days(told) == newest
    assert {name: told.lake.days(name) for name in TABLES} == {
        name: [january(day) for day in newest] for name in TABLES
    }


def test_a_keep_that_was_cut_short_is_harmless_and_made_good_by_the_next_one(told: FeatureStore) -> None:
    from_the_beginning = pairs(told, 7)
    nonsense = pl.DataFrame([(january(4), "ann", "walden", 99, 99)], schema=PAIR_TOTALS.schema, orient="row")
    told.lake.replace(PAIR_TOTALS, nonsense, (january(4), january(4)))  # the record was to be written after it
    assert pairs(told, 7) == from_the_beginning
    assert keep(told, january(4)).keys() == TABLES
    assert pairs(told, 7) == from_the_beginning
    assert told.lake.scan(PAIR_TOTALS).filter(pl.col("quantity") == 99).collect().is_empty()


def test_a_keep_of_changed_rows_that_was_cut_short_is_harmless_too(told: FeatureStore) -> None:
    keep(told, january(4))
    rows = told.lake.scan(INTERACTIONS, (january(2), january(2))).collect()
    told.lake.replace(INTERACTIONS, rows.filter(pl.col("user_id") != "bob"), (january(2), january(2)))
    expected = pairs(told, 7)
    assert expected == {("ann", "dune"): 0, ("bob", "emma"): -1, ("bob", "dune"): 1}
    recorded = told.lake.scan(PAST_STATES).collect()
    keep(told, january(4))
    told.lake.replace(PAST_STATES, recorded, (january(4), january(4)))  # as if the record had not been written
    spoil(told, PAIR_TOTALS, 4)
    assert pairs(told, 7) == expected


def test_a_lake_without_any_row_can_be_kept(open_shop: OpenShop) -> None:
    store = open_shop()
    assert keep(store, january(4)) == dict.fromkeys(TABLES, 0)
    assert keep(store, january(4)) == {}
    assert {rows.height for rows in known(store, 7).values()} == {0}


@pytest.mark.parametrize(
    ("day", "end"),
    [
        (date(2026, 1, 30), date(2025, 12, 31)),
        (date(2026, 1, 31), date(2026, 1, 31)),
        (date(2024, 2, 29), date(2024, 2, 29)),
        (date(2026, 3, 1), date(2026, 2, 28)),
    ],
)
def test_states_are_kept_at_the_ends_of_months(day: date, end: date) -> None:
    assert end_of_month_before(day) == end


@pytest.mark.parametrize(("newest", "kept"), [(None, []), (date(2026, 2, 3), [date(2026, 1, 31)])])
def test_the_asset_keeps_the_last_end_of_a_month_that_is_ingested(
    told: FeatureStore, newest: date | None, kept: list[date]
) -> None:
    if newest is not None:
        rows = pl.DataFrame([(newest, "", "")], schema=INTERACTION_DAYS.schema, orient="row")
        told.lake.replace(INTERACTION_DAYS, rows, (newest, newest))
    (states,) = (one for one in build_assets(told.platform) if one.key == STATES_KEY)
    for _ in range(2):
        assert dg.materialize([states], resources={"lake": told.lake, "engine": told.engine}).success
    assert told.lake.days(PAST_STATES.name) == kept
