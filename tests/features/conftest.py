"""A small shop on a real lake, told in a few words. All of it happens in January 2026."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st

from recsys_assets.columns import EVENTS, INTERACTIONS, ITEMS, USER_BLOCKS, USERS, Table
from recsys_assets.features.materialized import record_view
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import Platform
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

WHOLE_MONTH = (date(2026, 1, 1), date(2026, 1, 31))
Fact = Mapping[str, Any]


def event_rows(*facts: str) -> pl.DataFrame:
    """Rows of `sources/events` from facts such as `9 ann purchase dune`, in order of time, ten coins a piece.

    The number of pieces may follow; it is one otherwise.
    """
    rows = []
    for minute, fact in enumerate(facts):
        day, user_id, event_type, item_id, *pieces = fact.split()
        at = datetime(2026, 1, int(day), 9, tzinfo=UTC) + timedelta(minutes=minute)
        rows.append((at.date(), user_id, item_id, event_type, at, int(*pieces) if pieces else 1, 10.0))
    return pl.DataFrame(rows, schema=EVENTS.schema, orient="row")


def change_rows(table: Table, facts: Iterable[Fact]) -> pl.DataFrame:
    """Rows of a change log; a number stands for a day of the month, and what is not said is not known."""

    def value(fact: Fact, name: str, dtype: pl.DataType) -> Any:
        if name == "changed_at":
            return datetime(2026, 1, fact["ds"], 12, tzinfo=UTC)
        given = fact.get(name)
        return date(2026, 1, given) if dtype == pl.Date and given is not None else given

    rows = [[value(fact, *column) for column in table.schema.items()] for fact in facts]
    return pl.DataFrame(rows, schema=table.schema, orient="row")


@pytest.fixture(scope="session")
def events_of() -> Callable[..., pl.DataFrame]:
    return event_rows


@pytest.fixture(scope="session")
def changes_of() -> Callable[..., pl.DataFrame]:
    return change_rows


@pytest.fixture(scope="session")
def open_shop(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FeatureStore]:
    """Make a feature store in which this happened; `is_shuffled` stores the same rows in another order."""
    numbers = itertools.count()
    folder = tmp_path_factory.mktemp("shops")

    def build(
        *events: str,
        items: Iterable[Fact] = (),
        users: Iterable[Fact] = (),
        blocks: Iterable[Fact] = (),
        platform: Platform = tiny_platform,
        is_shuffled: bool = False,
        **rules: Any,
    ) -> FeatureStore:
        chosen = platform.model_copy(update={"rules": platform.rules.model_copy(update=rules)})
        store = FeatureStore(chosen, DeltaLake(root=str(folder / str(next(numbers)))), PolarsEngine())
        tables = {
            EVENTS: event_rows(*events),
            ITEMS: change_rows(ITEMS, items),
            USERS: change_rows(USERS, users),
            USER_BLOCKS: change_rows(USER_BLOCKS, blocks),
        }
        for table, rows in tables.items():
            if not rows.is_empty():
                ordered = rows.sample(fraction=1, shuffle=True, seed=1) if is_shuffled else rows
                store.lake.replace(table, ordered, WHOLE_MONTH)
        store.lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], *WHOLE_MONTH), WHOLE_MONTH)
        return store

    return build


# --- Anything that may happen ---

EVENT = st.tuples(
    st.sampled_from(["ann", "bob", "tester"]),
    st.sampled_from(["view", "purchase", "purchase", "refund"]),
    st.sampled_from(["dune", "emma", "fanny"]),
    st.integers(1, 2),
)
BLOCK_TARGET = st.sampled_from([("item", "dune"), ("item", "emma"), ("creator", "Verne"), ("category", "horror")])
MAYBE = st.sampled_from([None, True, False])


def any_facts(first: int, last: int) -> st.SearchStrategy[dict[str, Any]]:
    """Anything that may happen in a range of days: at most one change per key and day."""
    days = st.integers(first, last)
    a_date = st.none() | st.integers(1, 12)

    def log(key: st.SearchStrategy[Any], make: Callable[..., dict[str, Any]], *values: Any) -> Any:
        entries = st.dictionaries(st.tuples(days, key), st.tuples(*values), max_size=4)
        return entries.map(lambda found: [{"ds": day} | make(key, *rest) for (day, key), rest in found.items()])

    events = st.lists(st.tuples(days, EVENT), max_size=10)
    return st.fixed_dictionaries(
        {
            "events": events.map(lambda found: [" ".join(map(str, (day, *event))) for day, event in found]),
            "items": log(
                st.sampled_from(["dune", "emma", "fanny"]),
                lambda item, released, withdrawn, is_adult, creator: {
                    "item_id": item,
                    "released_on": released,
                    "withdrawn_on": withdrawn,
                    "is_adult": is_adult,
                    "creator": creator,
                    "category": "horror" if is_adult else None,
                },
                *(a_date, a_date, MAYBE, st.sampled_from([None, "Verne", "Dumas"])),
            ),
            "users": log(
                st.sampled_from(["ann", "bob", "tester"]),
                lambda user, is_test, is_verified: {
                    "user_id": user,
                    "is_test": is_test,
                    "is_adult_verified": is_verified,
                },
                *(MAYBE, MAYBE),
            ),
            "blocks": log(
                st.tuples(st.sampled_from(["ann", "bob"]), BLOCK_TARGET),
                lambda key, is_blocked: {
                    "user_id": key[0],
                    "target": key[1][0],
                    "target_id": key[1][1],
                    "is_blocked": is_blocked,
                },
                st.booleans(),
            ),
        }
    )


@pytest.fixture(scope="session")
def facts_of() -> Callable[[int, int], st.SearchStrategy[dict[str, Any]]]:
    """Anything that may happen in a range of days, to draw from."""
    return any_facts


@pytest.fixture(scope="session")
def tell(open_shop: Callable[..., FeatureStore]) -> Callable[..., FeatureStore]:
    """Make a feature store in which all of these facts happened."""

    def build(*parts: dict[str, Any], **options: Any) -> FeatureStore:
        together = {name: [fact for part in parts for fact in part[name]] for name in parts[0]}
        return open_shop(*together.pop("events"), **together, **options)

    return build


@pytest.fixture(scope="session")
def store_days() -> Callable[..., None]:
    """Compute some days of snapshot views, and store and record them as their assets do."""

    def write(
        store: FeatureStore,
        first: date,
        last: date,
        views: Sequence[FeatureView] = SNAPSHOTS,
        contents: Mapping[date, str] = {},
    ) -> None:
        for view in views:
            store.lake.replace(view.table, store.compute(view, first, last), (first, last))
            record_view(store.lake, store.platform, view, (first, last), contents)

    return write
