"""The point-in-time join: each labelled row gets what was known at its moment, and nothing that came later."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.columns import INTERACTIONS, USER_PROFILE, recommendations_table
from recsys_assets.features.point_in_time import (
    KNOWN_DAY,
    VALUE_DAY,
    JoinError,
    join_changes,
    join_snapshot,
    last_known_day,
    value_days,
)
from recsys_assets.features.store import FeatureStore, UnknownViewError
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import FamilySettings, Platform
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

OpenShop = Callable[..., FeatureStore]
FactsOf = Callable[[int, int], st.SearchStrategy[dict[str, Any]]]
AUCKLAND = ZoneInfo("Pacific/Auckland")  # in January 13 hours ahead of UTC
ANN = "user_profile.purchases"


def january(day: int) -> date:
    return date(2026, 1, day)


def at(day: int, clock: str, zone: Any = None) -> datetime:
    return datetime.combine(january(day), time.fromisoformat(clock), tzinfo=zone)


def known_days(moments: Iterable[Any], zone: str = "UTC") -> list[int | None]:
    days = last_known_day(pl.Series("at", list(moments)), ZoneInfo(zone))
    return [None if day is None else day.day for day in days]


def profiles(purchases: Mapping[tuple[int, str], int]) -> pl.DataFrame:
    """Rows of `user_profile` by day and user, of which only `purchases` says anything."""
    blank = dict.fromkeys(USER_PROFILE.schema) | {"views": 0, "items": 0, "active_days": 0, "value": 0.0}
    rows = [
        blank | {"ds": january(day), "user_id": user, "purchases": bought, "segment": "none"}
        for (day, user), bought in purchases.items()
    ]
    return pl.DataFrame(rows, schema=USER_PROFILE.schema)


@pytest.fixture
def new_store(tiny_platform: Platform, tmp_path: Path) -> Callable[..., FeatureStore]:
    """A feature store on an empty lake, whose days begin and end in a time zone."""

    def build(purchases: Mapping[tuple[int, str], int] | None = None, time_zone: str = "UTC") -> FeatureStore:
        platform = tiny_platform.model_copy(update={"time_zone": time_zone})
        store = FeatureStore(platform, DeltaLake(root=str(tmp_path / "lake")), PolarsEngine())
        if purchases:
            store.lake.replace(USER_PROFILE, profiles(purchases), (january(1), january(31)))
        return store

    return build


def of_ann(store: FeatureStore, *moments: Any, users: Iterable[str | None] | None = None) -> list[int | None]:
    """What is joined to rows of ann (or of these users) at some moments."""
    labels = pl.DataFrame({"user_id": list(users or ["ann"] * len(moments)), "at": list(moments)})
    return store.join(labels, [ANN], "at")[ANN].to_list()


# --- When a day is known ---


def test_a_day_is_known_from_its_end_on_and_not_a_second_earlier() -> None:
    assert known_days([at(5, "00:00:00"), at(5, "23:59:59"), at(6, "00:00:00")]) == [4, 4, 5]


def test_a_date_is_its_first_moment() -> None:
    assert known_days([january(5), None]) == [4, None]


def test_a_datetime_without_a_time_zone_is_in_the_platforms() -> None:
    assert known_days([at(5, "00:00:00"), at(5, "12:00:00")], "Pacific/Auckland") == [4, 4]


def test_a_datetime_with_a_time_zone_is_the_moment_that_it_is() -> None:
    midnight_in_auckland = at(4, "11:00:00", UTC)
    assert known_days([midnight_in_auckland - timedelta(seconds=1), midnight_in_auckland], "Pacific/Auckland") == [3, 4]
    eastern = timezone(timedelta(hours=-5))
    late_evening = pl.Series("at", [at(4, "23:30:00", eastern)]).dt.convert_time_zone("America/New_York")
    assert last_known_day(late_evening, ZoneInfo("UTC")).to_list() == [january(4)]


def test_a_day_of_23_hours_ends_at_its_own_midnight() -> None:
    amsterdam = ZoneInfo("Europe/Amsterdam")
    end = datetime(2026, 3, 29, 22, tzinfo=UTC)
    moments = pl.Series("at", [end - timedelta(seconds=1), end])
    assert last_known_day(moments, amsterdam).to_list() == [date(2026, 3, 28), date(2026, 3, 29)]


@pytest.mark.parametrize("wrong", [["yesterday"], [20260105], [1.5], [time(12)]])
def test_what_is_no_moment_is_refused_with_its_name_and_type(wrong: list[Any]) -> None:
    series = pl.Series("bought_at", wrong)
    with pytest.raises(JoinError, match=rf"bought_at: is {series.dtype}, must be a datetime or a date"):
        last_known_day(series, AUCKLAND)


# --- What is joined ---


def test_a_row_gets_the_newest_day_that_had_ended(new_store: OpenShop) -> None:
    store = new_store({(3, "ann"): 3, (4, "ann"): 4, (5, "ann"): 5})
    assert of_ann(store, at(5, "23:59:59"), at(6, "00:00:00"), at(4, "00:00:00")) == [4, 5, 3]


def test_days_end_in_the_platforms_time_zone(new_store: OpenShop) -> None:
    store = new_store({(4, "ann"): 4, (5, "ann"): 5}, "Pacific/Auckland")
    end = at(5, "11:00:00", UTC)
    assert of_ann(store, end - timedelta(seconds=1), end) == [4, 5]
    assert of_ann(store, at(5, "23:59:59"), at(6, "00:00:00")) == [4, 5]
    assert of_ann(store, january(5), january(6)) == [4, 5]


def test_a_value_counts_for_the_views_days_to_live_and_not_longer(new_store: OpenShop) -> None:
    store = new_store({(1, "ann"): 1})
    ttl = VIEWS["user_profile"].ttl_days
    last, gone = january(1) + timedelta(days=ttl), january(1) + timedelta(days=ttl + 1)
    assert of_ann(store, january(1), january(2), last, gone) == [None, 1, 1, None]


def test_who_is_no_longer_in_a_snapshot_has_no_value_whatever_older_days_said(new_store: OpenShop) -> None:
    store = new_store({(3, "ann"): 3, (3, "bob"): 30, (4, "bob"): 40})
    assert of_ann(store, january(4), january(5), january(6)) == [3, None, None]


def test_a_snapshot_that_nobody_is_in_any_more_is_a_state_too(
    open_shop: OpenShop, store_days: Callable[..., None]
) -> None:
    store = open_shop("1 ann purchase dune", "3 ann refund dune")
    store_days(store, january(1), january(4), [VIEWS["purchase_sequence"]])
    labels = pl.DataFrame({"user_id": ["ann"] * 3, "at": [january(3), january(4), january(5)]})
    joined = store.join(labels, ["purchase_sequence.item_ids"], "at")
    assert joined["purchase_sequence.item_ids"].to_list() == [["dune"], None, None]


def test_of_a_view_of_changes_the_newest_row_of_the_pair_counts(open_shop: OpenShop) -> None:
    store = open_shop("1 ann view dune", "1 ann view dune", "3 ann view dune", "4 bob view dune")
    labels = pl.DataFrame(
        {"user_id": ["ann", "ann", "ann", "bob", "bob"], "item_id": ["dune"] * 5, "at": [4, 3, 1, 5, 4]}
    ).with_columns(pl.date(2026, 1, "at").alias("at"))
    assert store.join(labels, ["interactions.views"], "at")["interactions.views"].to_list() == [1, 2, None, 1, None]
    much_later = labels.with_columns(at=pl.Series([january(1) + timedelta(days=n) for n in (365, 366, 367, 368, 369)]))
    joined = store.join(much_later, ["interactions.views"], "at")["interactions.views"].to_list()
    assert joined == [1, 1, 1, 1, None]  # ann's newest is of the 3rd, bob's of the 4th


def test_rows_keep_their_order_and_their_number_and_nulls_get_nothing(new_store: OpenShop) -> None:
    store = new_store({(3, "ann"): 3, (3, "bob"): 30})
    users = ["bob", None, "ann", "ann", "bob", "eve", "ann"]
    moments = [january(4), january(4), january(5), january(4), None, january(4), january(5)]
    labels = pl.DataFrame({"user_id": users, "ds": moments, "_index": range(7)})
    joined = store.join(labels, [ANN], "ds")
    assert joined[ANN].to_list() == [30, None, 3, 3, None, None, 3]
    assert joined.drop(ANN).equals(labels)


@pytest.mark.parametrize("view", ["user_profile.purchases", "interactions.views"])
def test_the_rows_own_columns_come_back_as_they_were_also_one_called_ds(open_shop: OpenShop, view: str) -> None:
    store = open_shop("1 ann purchase dune")
    store.lake.replace(USER_PROFILE, profiles({(2, "ann"): 2}), (january(2), january(2)))
    labels = pl.DataFrame({"ds": [january(9)], "views": [7], "item_id": ["dune"], "user_id": ["ann"]})
    joined = store.join(labels, [view], "ds")
    assert joined.columns == [*labels.columns, view]
    assert joined.drop(view).equals(labels)
    assert joined[view].null_count() == 0


@pytest.mark.parametrize("moments", [[], [None, None]])
def test_where_no_row_has_a_moment_the_columns_are_there_and_empty(new_store: OpenShop, moments: list[None]) -> None:
    users = pl.Series(["ann"] * len(moments), dtype=pl.String)
    labels = pl.DataFrame({"user_id": users, "at": pl.Series(moments, dtype=pl.Date)})
    joined = new_store().join(labels, [ANN, "user_profile.segment"], "at")
    assert joined.schema == {**labels.schema, ANN: pl.Int64, "user_profile.segment": pl.String}
    assert joined[ANN].to_list() == moments


def test_views_with_equal_column_names_are_joined_side_by_side_each_by_its_own_keys(
    open_shop: OpenShop, store_days: Callable[..., None]
) -> None:
    store = open_shop("1 ann purchase dune", "1 ann view dune", "2 bob view dune", "2 ann view emma")
    store_days(store, january(1), january(2), [VIEWS["user_profile"], VIEWS["item_profile"]])
    labels = pl.DataFrame({"user_id": ["ann", "bob"], "item_id": ["dune", "emma"], "at": [january(3), january(2)]})
    columns = ["item_profile.views", "user_profile.views", "interactions.views", "user_profile.purchases"]
    joined = store.join(labels, [*columns, "item_profile.views"], "at")
    assert set(joined.columns) == {*labels.columns, *columns}
    assert joined.select(columns).rows() == [(2, 2, 1, 1), (None, None, None, None)]


# --- What the families recommended ---


def test_scores_are_those_of_the_newest_lists_of_each_family_and_fallback_lists_are_left_out(
    tiny_platform: Platform, tmp_path: Path
) -> None:
    families = {"popularity": FamilySettings(), "als": FamilySettings()}
    store = FeatureStore(
        tiny_platform.model_copy(update={"families": families}), DeltaLake(root=str(tmp_path)), PolarsEngine()
    )

    def lists(family: str, day: int, **users: tuple[list[str], bool]) -> None:
        table = recommendations_table(family)
        rows = [
            (january(day), user, items, [1.0 / (place + 1) for place in range(len(items))], f"{day}", is_fallback)
            for user, (items, is_fallback) in users.items()
        ]
        store.lake.replace(table, pl.DataFrame(rows, table.schema, orient="row"), (january(day), january(day)))

    lists("popularity", 3, ann=(["dune", "emma"], False), bob=(["dune"], False))
    lists("popularity", 6, ann=(["emma", "dune"], False))
    lists("als", 4, ann=(["walden", "dune"], False), bob=(["dune"], True))
    labels = pl.DataFrame(
        [
            ("popularity", "ann", "dune", january(4)),
            ("popularity", "ann", "dune", january(6)),  # the lists of day 6 are not known yet
            ("popularity", "ann", "dune", january(7)),
            ("popularity", "bob", "dune", january(7)),  # not in the newest lists any more
            ("als", "ann", "dune", january(4)),  # before the first lists of the family
            ("als", "ann", "dune", january(7)),  # its newest lists are older than those of the other family
            ("als", "ann", "emma", january(7)),  # not in the list
            ("als", "bob", "dune", january(7)),  # a fallback list
            ("als", "ann", "dune", january(12)),  # too old
            ("ease", "ann", "dune", january(7)),  # no such family
        ],
        schema={"family": pl.String, "user_id": pl.String, "item_id": pl.String, "at": pl.Date},
        orient="row",
    )
    joined = store.join(labels, ["family_scores.rank", "family_scores.score", "family_scores.version"], "at")
    nothing = (None, None, None)
    assert joined.select(pl.col("^family_scores.*$")).rows() == [
        *((1, 1.0, "3"), (1, 1.0, "3"), (2, 0.5, "6"), nothing),
        *(nothing, (2, 0.5, "4"), nothing, nothing, nothing, nothing),
    ]


# --- What cannot be joined ---


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["user_profil.views"], r"no view 'user_profil', did you mean 'user_profile'\?; the views are interactions, "),
        (["user_profile.purchase"], r"user_profile has no column 'purchase', did you mean 'purchases'\?; it has views"),
        (["purchases"], "'purchases' is no column of a view; write it like user_profile.purchases"),
        (["user_profile.user_id"], "user_profile has no column 'user_id'"),
        (["user_profile.ds"], "user_profile has no column 'ds'"),
    ],
)
def test_an_unknown_view_or_column_is_refused_with_the_nearest_name(
    new_store: OpenShop, columns: list[str], message: str
) -> None:
    with pytest.raises(UnknownViewError, match=message):
        new_store().join(pl.DataFrame({"user_id": ["ann"], "at": [january(5)]}), columns, "at")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"user": ["ann"], "at": [january(5)]}, "the frame has no column 'user_id'; it has user, at"),
        ({"user_id": ["ann"], "when": [january(5)]}, "the frame has no column 'at'; it has user_id, when"),
        ({"user_id": [7], "at": [january(5)]}, "user_id: is Int64, must be String; cast it"),
        ({"user_id": ["ann"], "at": ["2026-01-05"]}, "at: is String, must be a datetime or a date"),
        ({"user_id": ["ann"], "at": [january(5)], ANN: [1]}, f"has a column '{ANN}' already; drop or rename it"),
    ],
)
def test_a_frame_that_cannot_be_joined_is_refused_with_what_would_be_right(
    new_store: OpenShop, labels: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(JoinError, match=message):
        new_store({(4, "ann"): 4}).join(pl.DataFrame(labels), [ANN], "at")


def test_where_nothing_was_stored_the_error_says_how_to_store_it(new_store: OpenShop) -> None:
    store = new_store({(25, "ann"): 25})
    labels = pl.DataFrame({"user_id": ["ann", "ann"], "at": [january(5), january(9)]})
    with pytest.raises(
        JoinError,
        match="user_profile has no stored day from 2025-12-06 to 2026-01-08: store them with "
        "`recsys backfill user_profile --from 2026-01-04 --to 2026-01-08`",
    ):
        store.join(labels, [ANN], "at")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("training_set.weight", "it is kept by training slot; join the views that it is made of"),
        ("family_scores.rank", "there is nothing to join before recommendations were made"),
    ],
)
def test_what_cannot_be_backfilled_says_so(open_shop: OpenShop, column: str, message: str) -> None:
    labels = pl.DataFrame({"family": ["als"], "user_id": ["ann"], "item_id": ["dune"], "at": [january(5)]})
    with pytest.raises(JoinError, match=message):
        open_shop("1 ann view dune").join(labels, [column], "at")


# --- For anything that was stored ---

USERS = st.sampled_from(["ann", "bob", "eve"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 20))  # noqa: DTZ001 - in the platform's time zone
LABELS = st.lists(st.tuples(st.none() | USERS, st.none() | MOMENTS), min_size=1, max_size=12)
STORED = st.dictionaries(st.tuples(st.integers(1, 15), USERS), st.integers(0, 9), min_size=1, max_size=15)


def labelled(labels: list[tuple[str | None, datetime | None]]) -> pl.DataFrame:
    return pl.DataFrame(labels, schema={"user_id": pl.String, "at": pl.Datetime("us")}, orient="row")


def joined_values(labels: pl.DataFrame, stored: Mapping[tuple[int, str], int], ttl_days: int, keeps: str) -> list[Any]:
    """What the pure functions make of it."""
    view = profiles(stored).select("user_id", "ds", "purchases").sample(fraction=1, shuffle=True, seed=ttl_days)
    known = last_known_day(labels["at"], AUCKLAND)
    rows = labels.lazy().with_columns(known)
    if keeps == "changes":
        return join_changes(rows, view.lazy(), ["user_id"], ttl_days).collect()["purchases"].to_list()
    days = value_days(known.to_frame(), view.select("ds"), ttl_days)
    return join_snapshot(rows, view.lazy(), days.lazy(), ["user_id"]).collect()["purchases"].to_list()


def looked_up(
    user: str | None, moment: datetime | None, stored: Mapping[tuple[int, str], int], ttl_days: int, keeps: str
) -> int | None:
    """The same for one row, said in plain words."""
    if moment is None:
        return None
    is_known = {day: january(day) < moment.date() <= january(day) + timedelta(days=ttl_days) for day, _ in stored}
    days = [day for day, whose in stored if is_known[day] and (keeps == "snapshot" or whose == user)]
    return stored.get((max(days), str(user))) if days else None


@pytest.mark.parametrize("keeps", ["snapshot", "changes"])
@settings(max_examples=60, deadline=None)
@given(labels=LABELS, stored=STORED, ttl_days=st.integers(1, 8))
def test_the_join_is_what_a_person_would_look_up_row_by_row(
    keeps: str, labels: list[tuple[str | None, datetime | None]], stored: dict[tuple[int, str], int], ttl_days: int
) -> None:
    expected = [looked_up(user, moment, stored, ttl_days, keeps) for user, moment in labels]
    assert joined_values(labelled(labels), stored, ttl_days, keeps) == expected


@settings(max_examples=30, deadline=None)
@given(known=st.lists(st.integers(1, 20)), stored=st.lists(st.integers(1, 20)), ttl_days=st.integers(1, 5))
def test_a_stored_day_stands_in_for_later_ones_as_long_as_it_lives(
    known: list[int], stored: list[int], ttl_days: int
) -> None:
    frames = [
        pl.DataFrame({name: [january(day) for day in days]}, schema={name: pl.Date})
        for name, days in (
            (KNOWN_DAY, known),
            ("ds", stored),
        )
    ]
    found = {one.day: value for one, value in value_days(*frames, ttl_days).select(KNOWN_DAY, VALUE_DAY).iter_rows()}
    newest = {one: max((day for day in stored if one - ttl_days < day <= one), default=None) for one in known}
    assert found == {one: day and january(day) for one, day in newest.items()}


TODAY = 5
COLUMNS = {
    "interactions": ("views", "quantity", "last_at"),
    "exclusions": ("item_ids", "reasons", "blocked_creators", "may_see_adult"),
    "eligible_items": ("creator", "is_adult"),
    "user_profile": ("views", "purchases", "value", "favourite_creator", "segment"),
    "item_profile": ("buyers", "purchase_share", "novelty", "first_seen_on"),
    "purchase_sequence": ("item_ids", "bought_on"),
}
EVERYTHING = [f"{view}.{column}" for view, columns in COLUMNS.items() for column in columns]


def stored_shop(store: FeatureStore, store_days: Callable[..., None], first: int, last: int) -> FeatureStore:
    store_days(store, january(first), january(last))
    return store


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), clocks=st.lists(st.times(), min_size=1, max_size=3))
def test_nothing_that_happens_on_the_day_of_a_row_or_later_changes_what_is_joined(
    facts_of: FactsOf, tell: OpenShop, store_days: Callable[..., None], data: st.DataObject, clocks: list[time]
) -> None:
    past, future = data.draw(facts_of(1, TODAY - 1)), data.draw(facts_of(TODAY, 9))
    moments = [datetime.combine(january(TODAY), clock.replace(tzinfo=None)) for clock in (*clocks, time.max)]
    labels = pl.DataFrame({"at": [*moments, datetime.combine(january(TODAY - 1), time())]}).join(
        pl.DataFrame({"user_id": ["ann", "bob"], "item_id": ["dune", "emma"]}), how="cross"
    )
    shops = [stored_shop(tell(*parts), store_days, TODAY - 2, TODAY) for parts in ((past,), (past, future))]
    before, after = (_joined_where_stored(shop, labels) for shop in shops)
    assert before.equals(after)


def _joined_where_stored(store: FeatureStore, labels: pl.DataFrame) -> pl.DataFrame:
    """All columns; without those of interactions where no event ever happened before the rows."""
    has_events = any(day < january(TODAY) for day in store.lake.days(INTERACTIONS.name))
    wanted = [name for name in EVERYTHING if has_events or not name.startswith("interactions.")]
    return store.join(labels, wanted, "at")


def test_every_snapshot_view_and_the_interactions_are_joined_in_the_test_above() -> None:
    assert set(COLUMNS) == {"interactions", *(view.name for view in SNAPSHOTS)}


def test_the_order_of_the_labelled_rows_changes_their_order_and_nothing_else(
    open_shop: OpenShop, store_days: Callable[..., None]
) -> None:
    store = open_shop(
        *("1 ann purchase dune", "2 bob view emma", "3 ann refund dune", "3 bob purchase dune", "4 eve view walden"),
        items=[{"ds": 1, "item_id": "dune", "creator": "Herbert"}, {"ds": 3, "item_id": "emma", "withdrawn_on": 3}],
    )
    store_days(store, january(1), january(4))
    users, items = pl.DataFrame({"user_id": ["ann", "bob", None]}), pl.DataFrame({"item_id": ["dune", "emma"]})
    labels = users.join(items, how="cross").join(
        pl.DataFrame({"at": [at(day, "12:00:00") for day in (2, 3, 4, 5)]}), how="cross"
    )
    shuffled = labels.with_row_index("place").sample(fraction=1, shuffle=True, seed=3)
    joined = store.join(shuffled, EVERYTHING, "at")
    assert joined["place"].equals(shuffled["place"])
    in_order = store.join(labels, EVERYTHING, "at")
    assert joined.sort("place").drop("place").equals(in_order)
    assert in_order.null_count().select(EVERYTHING).max_horizontal().item() < in_order.height
