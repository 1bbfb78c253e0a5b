"""Late data: what a changed day or a changed rule makes old, and what it leaves alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import EVENTS as EVENT_TABLE
from recsys_assets.columns import INGESTED_FILES, INTERACTION_DAYS, INTERACTIONS, VIEW_DAYS
from recsys_assets.features.assets import build_assets
from recsys_assets.features.materialized import day_contents, record_interactions, record_view, stale_days
from recsys_assets.features.specification import made_of
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.jobs import build_jobs
from recsys_assets.platform import Platform, Segments
from resources.lake import DeltaLake
from sensors.decisions import Start, refresh
from sensors.refresh import build_refresh_sensor

OpenShop = Callable[..., FeatureStore]
FIRST, LAST = 1, 8
STORED = (5, 6, 8)
"""Days of which every snapshot view is stored."""
CONTENTS = {day: f"content-{day}" for day in range(FIRST, LAST + 1)}
LONG = tuple(view for view in SNAPSHOTS if view.reach_days is None)
EVENTS = ("1 ann purchase dune", "3 bob purchase emma", "4 ann view emma", "5 eve view dune", "7 ann refund dune")


def january(day: int) -> date:
    return date(2026, 1, day)


def dated(contents: Mapping[int, str]) -> dict[date, str]:
    return {january(day): content for day, content in contents.items()}


def ingest(store: FeatureStore, contents: Mapping[int, str], touched: str = "") -> None:
    """Record that files with these contents were ingested, as the sources and interactions do."""
    rows = [
        (january(day), table, f"{table}/{day}.csv", 1, 1, 0, 0, f"{content}{touched}", f"{content} of {table}")
        for day, content in contents.items()
        for table in ("events", "users")
    ]
    span = (january(min(contents)), january(max(contents)))
    store.lake.replace(INGESTED_FILES, pl.DataFrame(rows, schema=INGESTED_FILES.schema, orient="row"), span)
    record_interactions(store.lake, store.platform, span)


def stale(store: FeatureStore, views: Iterable[FeatureView] = SNAPSHOTS) -> dict[str, list[int]]:
    found = stale_days(store.lake, store.platform, views)
    return {view: [day.day for day in sorted(days)] for view, days in found.items()}


def with_rules(store: FeatureStore, **changed: Any) -> FeatureStore:
    rules = store.platform.rules.model_copy(update=changed)
    return replace(store, platform=store.platform.model_copy(update={"rules": rules}))


def every_view(*days: int) -> dict[str, list[int]]:
    return {view.name: list(days) for view in SNAPSHOTS} if days else {}


@pytest.fixture
def shop(open_shop: OpenShop) -> FeatureStore:
    """A shop of eight days, of which some are recorded as stored."""
    store = open_shop(*EVENTS)
    ingest(store, CONTENTS)
    for view in SNAPSHOTS:
        for first, last in ((5, 6), (8, 8)):
            record_view(store.lake, store.platform, view, (january(first), january(last)), day_contents(store.lake))
    return store


# --- What a day is made of ---


@pytest.mark.parametrize("view", SNAPSHOTS, ids=lambda view: view.name)
def test_a_view_that_looks_at_the_whole_past_is_made_of_every_day_up_to_its_own(
    view: FeatureView, tiny_platform: Platform
) -> None:
    assert view in LONG  # states and rules look at the whole past, whatever the window of the sums
    before, after = (
        made_of(view, tiny_platform, dated({**CONTENTS, **change}), map(january, CONTENTS))
        for change in ({}, {4: "late"})
    )
    assert [day.day for day in before if before[day] != after[day]] == [4, 5, 6, 7, 8]


def test_a_view_that_reaches_some_days_back_is_made_of_those(tiny_platform: Platform) -> None:
    three = replace(VIEWS["user_profile"], reach_days=3)
    before, after = (
        made_of(three, tiny_platform, dated({**CONTENTS, **change}), map(january, CONTENTS))
        for change in ({}, {4: "late"})
    )
    assert [day.day for day in before if before[day] != after[day]] == [4, 5, 6]


def test_a_day_that_was_missing_and_lands_late_counts_as_a_change(tiny_platform: Platform) -> None:
    view, day = VIEWS["exclusions"], [january(8)]
    without = {number: content for number, content in CONTENTS.items() if number != 3}
    origins = {made_of(view, tiny_platform, dated(one), day)[january(8)] for one in (CONTENTS, without)}
    assert len(origins) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {"blocks_apply": False}},
        {"rules": {"bots": None}},
        {"segments": Segments(middle_from=2)},
    ],
)
def test_a_changed_meaning_changes_what_every_day_is_made_of(tiny_platform: Platform, change: dict[str, Any]) -> None:
    if "rules" in change:
        change = {"rules": tiny_platform.rules.model_copy(update=change["rules"])}
    view, days = VIEWS["user_profile"], [january(day) for day in CONTENTS]
    changed = tiny_platform.model_copy(update=change)
    before, after = (made_of(view, platform, dated(CONTENTS), days) for platform in (tiny_platform, changed))
    assert all(before[day] != after[day] for day in days)
    raised = made_of(replace(view, version="2"), tiny_platform, dated(CONTENTS), days)
    assert all(before[day] != raised[day] for day in days)


def test_what_a_view_does_not_depend_on_changes_nothing(tiny_platform: Platform) -> None:
    changed = tiny_platform.model_copy(update={"hit_event": "view", "wrong_day_tolerance_minutes": 5})
    days = [january(8)]
    for view in SNAPSHOTS:
        assert made_of(view, tiny_platform, dated(CONTENTS), days) == made_of(view, changed, dated(CONTENTS), days)


# --- What is stale ---


def test_what_was_just_stored_is_not_stale(shop: FeatureStore) -> None:
    assert stale(shop) == {}


@pytest.mark.parametrize(("late", "days"), [(1, [5, 6, 8]), (5, [5, 6, 8]), (6, [6, 8]), (7, [8]), (8, [8]), (9, [])])
def test_a_late_day_makes_the_stored_days_from_it_on_stale_and_no_others(
    shop: FeatureStore, late: int, days: list[int]
) -> None:
    ingest(shop, {late: "late"})
    assert stale(shop) == every_view(*days)


def test_a_view_that_reaches_less_far_back_has_fewer_stale_days(shop: FeatureStore) -> None:
    short = replace(VIEWS["item_profile"], reach_days=2)
    recorded = made_of(short, shop.platform, day_contents(shop.lake), map(january, STORED))
    rows = [(day, short.name, origin) for day, origin in recorded.items()]
    table = pl.DataFrame(rows, schema=VIEW_DAYS.schema, orient="row")
    shop.lake.replace(VIEW_DAYS, table, (january(5), january(8)), where={"view": short.name})
    ingest(shop, {5: "late"})
    assert stale(shop, [short, VIEWS["exclusions"]]) == {"item_profile": [5, 6], "exclusions": [5, 6, 8]}


def test_a_file_that_was_touched_and_says_the_same_makes_nothing_stale(shop: FeatureStore) -> None:
    before = shop.lake.scan(INTERACTION_DAYS).collect().sort("ds")
    ingest(shop, CONTENTS, touched=" an hour later")
    after = shop.lake.scan(INTERACTION_DAYS).collect().sort("ds")
    assert not after["landing_fingerprint"].equals(before["landing_fingerprint"])
    assert stale(shop) == {}


def test_a_changed_rule_makes_every_stored_day_stale_and_leaves_interactions_as_they_are(shop: FeatureStore) -> None:
    changed = with_rules(shop, drop_test_accounts=False)
    assert stale(changed) == every_view(*STORED)
    started = {view for start in refresh(stale_days(shop.lake, changed.platform, SNAPSHOTS)) for view in start.views}
    assert started == {view.name for view in SNAPSHOTS}
    assert INTERACTIONS.key[-1] not in started


def test_a_rule_that_is_changed_back_makes_nothing_stale(shop: FeatureStore) -> None:
    assert stale(with_rules(with_rules(shop, blocks_apply=False), blocks_apply=True)) == {}


def test_a_view_of_which_no_day_is_stored_has_none_to_compute_again(open_shop: OpenShop) -> None:
    store = open_shop(*EVENTS)
    ingest(store, CONTENTS)
    assert stale(store) == {}


# --- What is started ---


def test_neighbouring_days_share_one_run_and_so_do_views_of_the_same_days() -> None:
    days = {january(day): f"made-of-{day}" for day in (5, 6, 8)}
    starts = refresh({"exclusions": days, "item_profile": days})
    assert [(start.first.day, start.last.day, start.views) for start in starts] == [
        (5, 6, ("exclusions", "item_profile")),
        (8, 8, ("exclusions", "item_profile")),
    ]
    assert {start.job for start in starts} == {"refresh"}
    assert all(start.is_range for start in starts)


def test_views_of_other_days_have_runs_of_their_own() -> None:
    starts = refresh({"exclusions": dated({5: "a", 6: "b"}), "item_profile": dated({6: "b"})})
    assert [(start.first.day, start.last.day, start.views) for start in starts] == [
        (5, 6, ("exclusions",)),
        (6, 6, ("item_profile",)),
    ]


def test_nothing_stale_starts_nothing() -> None:
    assert refresh({}) == []


def test_the_run_key_says_what_the_days_are_to_be_made_of() -> None:
    def key(stale: Mapping[str, Mapping[date, str]]) -> str:
        (start,) = refresh(stale)
        return start.run_key

    assert key({"exclusions": dated({5: "a", 6: "b"})}).startswith("refresh:2026-01-05..2026-01-06:")
    assert key({"exclusions": dated({6: "b", 5: "a"})}) == key({"exclusions": dated({5: "a", 6: "b"})})
    others: list[dict[str, dict[date, str]]] = [
        {"exclusions": dated({5: "a", 6: "c"})},
        {"item_profile": dated({5: "a", 6: "b"})},
        {"exclusions": dated({5: "a", 6: "b"}), "item_profile": dated({5: "a", 6: "b"})},
        {"exclusions": dated({5: "b", 6: "a"})},
    ]
    keys = {key(one) for one in [{"exclusions": dated({5: "a", 6: "b"})}, *others]}
    assert len(keys) == 1 + len(others)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([view.name for view in SNAPSHOTS]),
        st.dictionaries(st.integers(1, 12).map(january), st.sampled_from("ab"), min_size=1),
    )
)
def test_every_stale_day_of_every_view_is_in_exactly_one_run_and_no_other_day_is(
    stale: dict[str, dict[date, str]],
) -> None:
    starts = refresh(stale)
    asked = [(view, day) for start in starts for view in start.views for day in span(start)]
    assert sorted(asked) == sorted((view, day) for view, days in stale.items() for day in days)
    ranges = [(start.first, start.last) for start in starts]
    assert ranges == sorted(set(ranges))


def span(start: Start) -> list[date]:
    return [start.first + timedelta(days=offset) for offset in range((start.last - start.first).days + 1)]


# --- Until nothing is stale ---


def ingest_again(store: FeatureStore, day: int, events: pl.DataFrame) -> None:
    """The file of a day comes again with other events."""
    span = (january(day), january(day))
    store.lake.replace(EVENT_TABLE, events, span)
    store.lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], *span), span)
    ingest(store, {day: "another"})


def from_scratch(store: FeatureStore, folder: Path) -> FeatureStore:
    """A store that took in the events as they are now, and has nothing else."""
    fresh = FeatureStore(store.platform, DeltaLake(root=str(folder)), store.engine)
    span = (january(FIRST), january(LAST))
    fresh.lake.replace(EVENT_TABLE, store.lake.scan(EVENT_TABLE).collect(), span)
    fresh.lake.replace(INTERACTIONS, fresh.compute(VIEWS["interactions"], *span), span)
    return fresh


def tick(shop: FeatureStore, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """What the sensor asks for."""
    context = dg.build_sensor_context(instance=instance, resources={"lake": shop.lake})
    return list(build_refresh_sensor(shop.platform).evaluate_tick(context).run_requests or [])


def test_the_sensor_starts_one_run_per_range_and_the_refreshed_rows_are_those_from_scratch(
    shop: FeatureStore,
    store_days: Callable[..., None],
    events_of: Callable[..., pl.DataFrame],
    tmp_path: Path,
) -> None:
    for first, last in ((5, 6), (8, 8)):
        store_days(shop, january(first), january(last), contents=day_contents(shop.lake))
    ingest_again(shop, 4, events_of("4 ann view emma", "4 ann refund dune"))
    interactions = shop.lake.version(INTERACTIONS.name)
    definitions = dg.Definitions(
        assets=build_assets(shop.platform),
        jobs=[job for job in build_jobs(shop.platform) if job.name == "refresh"],
        resources={"lake": shop.lake, "engine": shop.engine},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        requests = tick(shop, instance)
        assert [request.tags["dagster/asset_partition_range_start"] for request in requests] == [
            "2026-01-05",
            "2026-01-08",
        ]
        for request in requests:
            job = definitions.resolve_job_def("refresh").get_subset(asset_selection=set(request.asset_selection or ()))
            assert {key.path[-1] for key in request.asset_selection or ()} == {view.name for view in SNAPSHOTS}
            assert job.execute_in_process(instance=instance, tags=request.tags).success
        assert tick(shop, instance) == []
    assert stale(shop) == {}
    assert shop.lake.version(INTERACTIONS.name) == interactions
    scratch = from_scratch(shop, tmp_path)
    for view in SNAPSHOTS:
        stored = shop.lake.scan(view.table).collect().sort(view.table.primary_key)
        assert stored.equals(pl.concat([scratch.compute(view, day, day) for day in map(january, STORED)])), view.name


def test_a_day_that_changes_while_it_is_computed_is_stale_again(shop: FeatureStore) -> None:
    contents = day_contents(shop.lake)  # as the asset reads them, before it computes
    ingest(shop, {6: "late"})
    for view in SNAPSHOTS:
        record_view(shop.lake, shop.platform, view, (january(8), january(8)), contents)
    assert stale(shop) == every_view(6, 8)
