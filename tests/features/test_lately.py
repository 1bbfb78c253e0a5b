"""What one user did a moment ago counts as the feature store would count it, had it seen it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.features import rules
from recsys_assets.features.lately import day_of, faded, kept, newest_day, owned, weighed
from recsys_assets.platform import Platform, Rules

AS_OF = date(2026, 3, 15)
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")


@dataclass(frozen=True)
class Done:
    """Something that was done."""

    item_id: str
    event_type: str
    occurred_at: datetime

    @property
    def day(self) -> date:
        return self.occurred_at.date()


def done(item: str, event_type: str = "purchase", hours: float = 0) -> Done:
    return Done(item, event_type, NOON + timedelta(hours=hours))


moments = st.integers(0, 9).map(lambda days: NOON - timedelta(days=days))
deeds = st.builds(Done, st.sampled_from("ab"), st.sampled_from(["view", "purchase", "refund", "cart"]), moments)


def told_apart_by_days(some: list[Done]) -> list[Done]:
    """Without refunds on the day of a purchase: a day is the finest time of the feature store."""
    bought = {(one.item_id, one.day) for one in some if one.event_type == "purchase"}
    return [one for one in some if one.event_type != "refund" or (one.item_id, one.day) not in bought]


def interactions(some: list[Done]) -> nw.LazyFrame[pl.LazyFrame]:
    """Rows of `features/interactions` of the deeds of one user."""
    rows = [(one.day, "ann", one.item_id, one.event_type, one.occurred_at, 1, 1.0) for one in some]
    columns = ("ds", "user_id", "item_id", "event_type", "occurred_at", "quantity", "unit_price")
    types = (pl.Date, pl.String, pl.String, pl.String, pl.Datetime("us", "UTC"), pl.Int64, pl.Float64)
    events = pl.LazyFrame(rows, schema=dict(zip(columns, types, strict=True)), orient="row")
    return rules.daily_interactions(nw.from_native(events))


@given(
    some=st.lists(deeds, max_size=12).map(told_apart_by_days),
    half_life=st.none() | st.just(7.0),
    takes_back=st.booleans(),
)
def test_a_history_weighs_as_in_the_feature_store(
    some: list[Done], half_life: float | None, takes_back: bool, tiny_platform: Platform
) -> None:
    configured = Rules(half_life_days=half_life, refunds_take_back=takes_back)
    platform = tiny_platform.model_copy(update={"rules": configured})
    days = rules.without_refunded(interactions(some), configured)
    expected = rules.decayed(rules.weighted(days, platform.event_weights), AS_OF, configured).to_native().collect()

    def sums(frame: pl.DataFrame, day: str) -> dict[tuple[str, date], float]:
        summed = frame.group_by("item_id", day).agg(pl.col("weight").sum()).select("item_id", day, "weight")
        return {(item, on): pytest.approx(weight) for item, on, weight in summed.iter_rows()}

    assert sums(weighed("ann", some, AS_OF, platform), "day") == sums(expected, "ds")


@given(some=st.lists(deeds, max_size=12).map(told_apart_by_days), takes_back=st.booleans(), excludes=st.booleans())
def test_what_is_owned_is_owned_in_the_feature_store_too(some: list[Done], takes_back: bool, excludes: bool) -> None:
    configured = Rules(refunds_take_back=takes_back, owned_is_excluded=excludes)

    def stored(some: list[Done]) -> set[str]:
        sums = (nw.col("quantity").sum(), nw.col("purchases").sum())
        totals = interactions(some).group_by("user_id", "item_id").agg(*sums)
        return set(rules.owned(totals, configured).to_native().collect()["item_id"])

    had = had_when_given_back(some)
    assert owned(had, configured) == stored(had)
    assert owned(some, configured) >= stored(some), "given back before it was bought: here the purchase stands"


def had_when_given_back(some: list[Done]) -> list[Done]:
    """Without refunds of what the user did not have at that moment."""
    left: list[Done] = []
    for one in sorted(some, key=lambda one: one.occurred_at):
        mine = [other.event_type for other in left if other.item_id == one.item_id]
        if one.event_type != "refund" or mine.count("purchase") > mine.count("refund"):
            left.append(one)
    return left


@given(some=st.lists(deeds, max_size=8), order=st.randoms())
def test_the_order_in_which_it_is_told_means_nothing(some: list[Done], order: Random) -> None:
    shuffled = list(some)
    order.shuffle(shuffled)
    assert owned(shuffled, Rules()) == owned(some, Rules())


def test_a_refund_takes_the_newest_purchase_back_unless_the_rules_say_no_and_a_new_purchase_counts_again() -> None:
    told = [done("dune"), done("dune", "refund", 1), done("emma"), done("walden", "view")]
    assert owned(told, Rules()) == {"emma"}
    assert owned(told, Rules(refunds_take_back=False)) == {"dune", "emma"}
    assert owned([*told, done("dune", hours=2)], Rules()) == {"dune", "emma"}
    assert owned([done("dune"), done("dune", hours=1), done("dune", "refund", 2)], Rules()) == {"dune"}
    assert owned([done("old", "refund")], Rules()) == set()
    assert owned([done("dune"), done("dune", "refund")], Rules()) == {"dune"}, "at the same moment, it was bought later"


def test_nothing_is_owned_where_owning_does_not_exclude() -> None:
    assert owned([done("bread")], Rules(owned_is_excluded=False)) == set()


def test_what_is_kept_comes_oldest_first_and_without_refunds() -> None:
    told = [done("dune", hours=3), done("emma", "view", 1), done("dune", "refund", 4), done("dune", hours=2)]
    assert kept(told, Rules()) == [told[1], told[3]]


def test_what_happens_after_the_day_counts_as_of_the_day(tiny_platform: Platform) -> None:
    rows = weighed("ann", [done("dune", hours=72)], AS_OF, tiny_platform)
    assert rows.select("item_id", "day", "weight").rows() == [("dune", AS_OF, 1.0)]


def test_a_history_fades_as_if_it_had_been_weighted_later(tiny_platform: Platform) -> None:
    platform = tiny_platform.model_copy(update={"rules": Rules(half_life_days=3)})
    told = [done("dune"), replace(done("emma"), occurred_at=NOON - timedelta(days=5))]
    later = weighed("ann", told, AS_OF + timedelta(days=6), platform)
    found = faded(weighed("ann", told, AS_OF, platform), 6, platform.rules)
    assert found["weight"].to_list() == pytest.approx(later["weight"].to_list())
    assert faded(found, 6, Rules()) is found


def test_a_day_is_that_of_the_shops_time_zone_also_at_both_ends_of_time() -> None:
    late = datetime(2026, 3, 15, 15, tzinfo=UTC)
    assert (day_of(late, SEOUL), day_of(late, ZoneInfo("UTC"))) == (date(2026, 3, 16), AS_OF)
    assert newest_day([done("dune"), Done("emma", "view", late)], SEOUL) == date(2026, 3, 16)
    assert day_of(datetime.max.replace(tzinfo=UTC), SEOUL) == date.max
    assert day_of(datetime.min.replace(tzinfo=UTC), ZoneInfo("America/Lima")) == date.min
