"""Which impression earns a click or a purchase: worked examples, and a plain reference for any mixture."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import EVENTS, IMPRESSIONS
from recsys_assets.monitoring.attribution import Credited, Crediting, credit, last_day_credited
from recsys_assets.platform import Platform

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ONE_DAY = Crediting(timedelta(hours=24))


def impressions(*rows: dict[str, Any]) -> pl.LazyFrame:
    usual = {"request_id": "r1", "user_id": "ann", "item_id": "a", "position": 1, "shown_at": NOON, "surface": "home"}
    brought = {"family": "als", "version": "7", "arm": "default", "is_clicked": None, "propensity": None}
    full = [{**usual, **brought, **row} for row in rows]
    return pl.LazyFrame([{"ds": row["shown_at"].date(), **row} for row in full], schema=IMPRESSIONS.schema)


def events(*rows: tuple[Any, ...]) -> pl.LazyFrame:
    """Type, minutes after noon, item, user, quantity, price: the latter four as usual where they are not given."""
    full = [(*row, *("a", "ann", 1, 10.0)[len(row) - 2 :]) for row in rows]
    moments = [NOON + timedelta(minutes=row[1]) for row in full]
    return pl.LazyFrame(
        [
            (at.date(), user, item, kind, at, quantity, price)
            for at, (kind, _, item, user, quantity, price) in zip(moments, full, strict=True)
        ],
        schema=EVENTS.schema,
        orient="row",
    )


def earned(found: Credited) -> dict[str, tuple[int, int, int, float]]:
    """Request to what its impression earned: clicks, conversions, purchases, revenue."""
    columns = ("request_id", "clicks", "conversions", "purchases", "revenue")
    return {row[0]: row[1:] for row in found.hits.select(columns).iter_rows()}


def after(minutes: float, **changes: Any) -> dict[str, Any]:
    return {"shown_at": NOON + timedelta(minutes=minutes), **changes}


def test_an_event_goes_to_the_last_impression_of_the_item_to_the_user_before_it() -> None:
    shown = impressions(
        after(0, request_id="first"),
        after(30, request_id="last"),
        after(31, request_id="other item", item_id="b"),
        after(32, request_id="other user", user_id="bob"),
        after(90, request_id="later"),
    )
    found = credit(shown, events(("view", 60), ("purchase", 61)), DAY, ONE_DAY)
    assert earned(found) == {"last": (1, 1, 1, 10.0)}


@pytest.mark.parametrize("kind", ["view", "cart", "wish", "purchase"])
def test_any_of_these_says_that_the_impression_was_clicked(kind: str) -> None:
    assert credit(impressions({}), events((kind, 1)), DAY, ONE_DAY).hits["clicks"].to_list() == [1]


def test_a_rating_says_nothing() -> None:
    assert credit(impressions({}), events(("rating", 1)), DAY, ONE_DAY).hits.is_empty()


def test_an_event_at_the_very_end_of_the_window_counts_and_one_after_it_does_not() -> None:
    hour = Crediting(timedelta(hours=1))
    assert earned(credit(impressions({}), events(("view", 60)), DAY, hour)) == {"r1": (1, 0, 0, 0.0)}
    assert earned(credit(impressions({}), events(("view", 60.001)), DAY, hour)) == {}


def test_a_click_before_the_impression_is_credited_to_nothing_and_counted() -> None:
    found = credit(impressions({}), events(("view", -1), ("view", -600), ("purchase", -2, "b")), DAY, ONE_DAY)
    assert found.hits.is_empty()
    assert found.events_before == 2


def test_where_clocks_differ_a_little_an_event_may_be_recorded_a_little_earlier() -> None:
    skewed = Crediting(timedelta(hours=24), skew=timedelta(minutes=2))
    found = credit(impressions({}), events(("view", -2)), DAY, skewed)
    assert (earned(found), found.events_before) == ({"r1": (1, 0, 0, 0.0)}, 0)
    assert credit(impressions({}), events(("view", -2.1)), DAY, skewed).events_before == 1


def test_what_the_impression_says_itself_goes_before_events() -> None:
    shown = impressions(
        after(0, request_id="yes", item_id="a", is_clicked=True),
        after(0, request_id="no", item_id="b", is_clicked=False),
        after(0, request_id="unknown", item_id="c"),
    )
    found = credit(shown, events(("view", 1, "b"), ("view", 1, "c")), DAY, ONE_DAY)
    assert earned(found) == {"yes": (1, 0, 0, 0.0), "unknown": (1, 0, 0, 0.0)}


def test_a_purchase_of_what_was_not_clicked_is_no_conversion() -> None:
    found = credit(impressions({"is_clicked": False}), events(("purchase", 1)), DAY, ONE_DAY)
    assert earned(found) == {"r1": (0, 0, 1, 10.0)}


def test_a_refund_takes_back_the_purchase_before_it_wherever_the_item_was_shown_since() -> None:
    shown = impressions(after(0, request_id="bought"), after(20, request_id="shown again"))
    acts = events(("purchase", 10, "a", "ann", 2, 10.0), ("refund", 30, "a", "ann", 1, None))
    assert earned(credit(shown, acts, DAY, ONE_DAY)) == {"bought": (1, 1, 1, 10.0)}
    acts = events(("purchase", 10, "a", "ann", 2, 10.0), ("refund", 30, "a", "ann", 2, None))
    assert earned(credit(shown, acts, DAY, ONE_DAY)) == {"bought": (1, 0, 0, 0.0)}
    kept = Crediting(timedelta(hours=24), refunds_take_back=False)
    assert earned(credit(shown, acts, DAY, kept)) == {"bought": (1, 1, 1, 20.0)}


def test_a_refund_of_what_was_bought_before_the_day_takes_back_nothing_of_the_day() -> None:
    assert earned(credit(impressions({}), events(("refund", 5), ("view", 6)), DAY, ONE_DAY)) == {"r1": (1, 0, 0, 0.0)}


def test_an_impression_of_the_next_day_takes_what_is_its_own() -> None:
    tomorrow = 24 * 60
    shown = impressions(after(300, request_id="today"), after(tomorrow, request_id="tomorrow"))
    acts = events(("view", tomorrow - 1), ("purchase", tomorrow + 1))
    assert earned(credit(shown, acts, DAY, ONE_DAY)) == {"today": (1, 0, 0, 0.0)}
    assert earned(credit(shown, acts, DAY + timedelta(days=1), ONE_DAY)) == {"tomorrow": (1, 1, 1, 10.0)}


def test_nobody_known_earns_by_events() -> None:
    shown = impressions({"user_id": None}, {"user_id": None, "request_id": "r2", "is_clicked": True})
    assert earned(credit(shown, events(("view", 1)), DAY, ONE_DAY)) == {"r2": (1, 0, 0, 0.0)}


def test_nothing_shown_and_nothing_done_is_no_error() -> None:
    nothing = credit(impressions(), events(), DAY, ONE_DAY)
    assert (nothing.hits.is_empty(), nothing.events_before) == (True, 0)
    assert nothing.hits.schema == credit(impressions({}), events(("view", 1)), DAY, ONE_DAY).hits.schema


@pytest.mark.parametrize(
    ("zone", "hours", "last"),
    [("UTC", 1, 3), ("UTC", 24, 3), ("UTC", 25, 4), ("UTC", 48, 4), ("Asia/Seoul", 24, 3)],
)
def test_the_window_of_a_day_reaches_so_far(tiny_platform: Platform, zone: str, hours: int, last: int) -> None:
    asked = tiny_platform.model_copy(
        update={
            "time_zone": zone,
            "monitoring": tiny_platform.monitoring.model_copy(update={"attribution_hours": hours}),
        }
    )
    assert last_day_credited(asked, DAY) == date(2026, 3, last)


def test_a_day_before_a_short_one_reaches_a_day_further(tiny_platform: Platform) -> None:
    asked = tiny_platform.model_copy(update={"time_zone": "Europe/London"})
    assert last_day_credited(asked, date(2026, 3, 28)) == date(2026, 3, 30)  # clocks go forward on the 29th
    assert last_day_credited(asked, date(2026, 3, 29)) == date(2026, 3, 30)


# --- Any mixture, against a reference that looks at one event after the other ---

minutes = st.integers(-700, 1_500)
shown_rows = st.lists(st.tuples(minutes, st.sampled_from("ab"), st.sampled_from(["u", "v", None])), max_size=8)
acts = st.lists(
    st.tuples(
        st.sampled_from(["view", "purchase", "purchase", "refund"]), minutes, st.sampled_from("ab"),
        st.sampled_from("uv"), st.integers(0, 2), st.sampled_from([None, 2.0, 5.0]),
    ),
    max_size=10,
    unique_by=lambda row: row[1],
)  # fmt: skip


def plain(shown: list[tuple[Any, ...]], done: list[tuple[Any, ...]], window: int) -> dict[str, tuple[Any, ...]]:
    """The same, one event at a time."""
    pieces: dict[int, int] = {}
    money: dict[int, float] = {}
    bought: dict[tuple[str, str], tuple[int | None, float | None]] = {}
    for kind, at, item, user, quantity, price in sorted(done, key=lambda row: row[1]):
        before = [(row[0], number) for number, row in enumerate(shown) if row[1:] == (item, user) and row[0] <= at]
        latest = max(before, default=None)
        place: int | None = None if latest is None or at - latest[0] > window else latest[1]
        signed, paid = 0, price
        if kind == "purchase":
            signed, bought[item, user] = quantity, (place, price)
        if kind == "refund":
            place, first_paid = bought.get((item, user), (None, None))
            signed, paid = -quantity, price if price is not None else first_paid
        if place is not None:
            pieces[place] = pieces.get(place, 0) + signed
            money[place] = money.get(place, 0.0) + signed * (paid or 0.0)
    today = (number for number in sorted(pieces) if (NOON + timedelta(minutes=shown[number][0])).date() == DAY)
    return {
        f"r{number}": (1, is_kept := int(pieces[number] > 0), is_kept, max(money[number], 0.0) if is_kept else 0.0)
        for number in today
    }


@settings(max_examples=60, deadline=None)
@given(shown_rows.filter(lambda rows: len(set(rows)) == len(rows)), acts, st.sampled_from([5, 240, 1_440]))
def test_any_mixture_is_credited_as_one_event_at_a_time_would_be(
    shown: list[tuple[Any, ...]], done: list[tuple[Any, ...]], window: int
) -> None:
    rows = impressions(
        *(
            after(at, request_id=f"r{number}", item_id=item, user_id=user)
            for number, (at, item, user) in enumerate(shown)
        )
    )
    found = credit(rows, events(*done), DAY, Crediting(timedelta(minutes=window)))
    assert earned(found) == plain(shown, done, window)
