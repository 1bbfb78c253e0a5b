"""The online metrics of a day: worked examples, and a plain reference for any mixture of lists."""

import math
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import IMPRESSIONS, ONLINE_METRICS, USER_OUTCOMES
from recsys_assets.monitoring.attribution import BROUGHT, LIST
from recsys_assets.monitoring.online_figures import Figures, figures_of
from recsys_assets.monitoring.online_sums import sums_of

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ELIGIBLE = pl.Series("item_id", list("abcdefgh"))
USUAL = {"request_id": "r1", "user_id": "ann", "item_id": "a", "position": 1, "surface": "home", "arm": "control"}
BY_ALS = {"family": "als", "version": "7"}
Row = dict[str, Any]


def row(**changes: Any) -> Row:
    """One impression, and in `hit` what it earned: clicked, bought, revenue; None for nothing."""
    return {**USUAL, **BY_ALS, "hit": None, **changes}


def measured(*rows: Row, eligible: pl.Series = ELIGIBLE, is_final: bool = True) -> Figures:
    shown = [{"ds": DAY, "shown_at": NOON, **{key: one[key] for key in one if key != "hit"}} for one in rows]
    impressions = pl.LazyFrame(shown, schema=IMPRESSIONS.schema)
    keys = (*LIST, *BROUGHT, "item_id", "position")
    earned = ("clicks", "conversions", "purchases", "revenue")
    hits = [
        {**{key: one[key] for key in keys}, **dict(zip(earned, (c, c * b, b, float(r)), strict=True))}
        for one in rows
        if one["hit"]
        for c, b, r in [one["hit"]]
    ]
    numbers = {"clicks": pl.Int64, "conversions": pl.Int64, "purchases": pl.Int64, "revenue": pl.Float64}
    schema = {key: IMPRESSIONS.schema[key] for key in keys} | numbers
    sums = sums_of(impressions, pl.DataFrame(hits, schema=schema), eligible)
    return figures_of(sums, eligible.len(), DAY, is_final=is_final)


def one_of(found: Figures, **group: Any) -> Row:
    """The row of a group; what is not named is pooled over."""
    wanted = {"surface": None, "arm": None, "version": None, **group}
    rows = [one for one in found.metrics.to_dicts() if all(one[name] == value for name, value in wanted.items())]
    assert len(rows) == 1
    return rows[0]


CLICK, SALE = (1, 0, 0), (1, 1, 9.5)


def test_the_figures_of_one_blended_list() -> None:
    found = measured(
        row(item_id="a", position=1),
        row(item_id="b", position=2, family="ease", version="3", hit=SALE),
        row(item_id="c", position=3),
        row(item_id="d", position=4, hit=CLICK),
    )
    als = one_of(found, family="als", version="7")
    assert (als["impressions"], als["requests"], als["users"], als["clicks"], als["purchases"]) == (3, 1, 1, 1, 0)
    assert als["ctr"] == pytest.approx(1 / 3)
    assert als["ndcg"] == pytest.approx((1 / math.log2(5)) / (1 / math.log2(2)))  # its best place was the first
    ease = one_of(found, family="ease", version="3")
    assert (ease["ctr"], ease["cvr"], ease["revenue_per_impression"], ease["ndcg"]) == (1, 1, 9.5, 1)
    final = one_of(found, family="final")
    assert (final["impressions"], final["requests"], final["clicks"], final["conversions"]) == (4, 1, 2, 1)
    assert (final["ctr"], final["cvr"], final["revenue"]) == (0.5, 0.5, 9.5)
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert final["ndcg"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert (final["items"], final["coverage"]) == (4, 0.5)


def test_a_single_user_has_figures_without_intervals() -> None:
    final = one_of(measured(row(hit=CLICK), row(request_id="r2", item_id="b")), family="final")
    assert final["ctr"] == 0.5
    assert [final[f"ctr_{end}"] for end in ("low", "high", "se")] == [None, None, None]
    assert final["coverage_low"] is None


def test_lists_without_any_hit_have_no_ndcg() -> None:
    final = one_of(measured(row(), row(request_id="r2", position=5, hit=CLICK)), family="final")
    assert final["ndcg"] == 1  # the only place that there was
    assert one_of(measured(row()), family="final")["ndcg"] is None


def test_surfaces_and_arms_are_told_apart_and_pooled() -> None:
    found = measured(
        row(hit=CLICK),
        row(request_id="r2", surface="mail"),
        row(request_id="r3", surface=None, arm=None, user_id="bob"),
    )
    assert one_of(found, family="als", version="7", surface="home", arm="control")["ctr"] == 1
    assert one_of(found, family="als", version="7", surface="mail", arm="control")["ctr"] == 0
    assert one_of(found, family="als", version="7", surface="unknown", arm="default")["users"] == 1
    assert one_of(found, family="als", version="7", arm="control")["ctr"] == 0.5
    assert one_of(found, family="als", version="7")["ctr"] == pytest.approx(1 / 3)
    assert found.metrics.height == 2 * (3 + 2 + 1)


def test_who_brought_an_item_may_be_unknown() -> None:
    found = measured(row(family=None, version=None), row(request_id="r2", hit=CLICK))
    assert one_of(found, family="final")["impressions"] == 2
    assert one_of(found, family="als", version="7")["impressions"] == 1
    assert set(found.metrics["family"]) == {"als", "final"}


def test_unknown_users_are_a_unit_for_each_request_and_are_not_counted_as_users() -> None:
    nobody = [row(request_id=f"r{number}", user_id=None, hit=CLICK if number else None) for number in range(4)]
    final = one_of(measured(*nobody), family="final")
    assert (final["users"], final["requests"], final["ctr"]) == (0, 4, 0.75)
    assert final["ctr_low"] < 0.75 < final["ctr_high"]
    named = [{**one, "user_id": "ann"} for one in nobody]
    assert one_of(measured(*named), family="final")["ctr_low"] is None  # all by one user


def test_a_user_whose_id_is_that_of_a_request_is_somebody_else() -> None:
    found = measured(row(request_id="1", user_id=None), row(request_id="2", user_id="1"))
    assert one_of(found, family="final")["ctr_high"] is not None  # two units


def test_only_eligible_items_cover_the_catalogue() -> None:
    found = measured(row(), row(request_id="r2", item_id="gone"), row(request_id="r3", user_id="bob"))
    final = one_of(found, family="final")
    assert (final["items"], final["coverage"]) == (2, 1 / 8)
    assert (final["coverage_low"], final["coverage_high"]) == (1 / 8, 1 / 8)  # both users saw it
    assert one_of(measured(row(), eligible=ELIGIBLE[:0]), family="final")["coverage"] is None


def test_the_sums_of_known_users_are_kept_by_family_and_arm() -> None:
    found = measured(
        row(hit=SALE),
        row(request_id="r2", item_id="b", position=2, surface="mail", hit=CLICK),
        row(request_id="r3", user_id=None),
    )
    assert found.users.schema == USER_OUTCOMES.schema
    kept = {one["family"]: one for one in found.users.to_dicts()}
    assert kept.keys() == {"als", "final"}
    assert kept["final"] == {
        "ds": DAY,
        "user_id": "ann",
        "family": "final",
        "version": None,
        "arm": "control",
        "impressions": 2,
        "requests": 2,
        "clicks": 2,
        "conversions": 1,
        "purchases": 1,
        "revenue": 9.5,
        "ndcg_sum": 2.0,
        "ndcg_requests": 2,
    }


def test_a_day_without_impressions_has_no_rows() -> None:
    found = measured()
    assert (found.metrics.height, found.users.height) == (0, 0)
    assert (found.metrics.schema, found.users.schema) == (ONLINE_METRICS.schema, USER_OUTCOMES.schema)


# --- Any mixture, against a plain reference ---

FAMILIES = [("als", "7"), ("ease", "3"), (None, None)]
hit = st.sampled_from([None, None, CLICK, SALE, (0, 1, 4.0)])
lists = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cat", None]),
        st.sampled_from(["home", "mail", None]),
        st.lists(st.tuples(st.sampled_from(FAMILIES), st.sampled_from("abcz"), hit), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=6,
)


def flat(given_lists: list[Any]) -> list[Row]:
    return [
        row(request_id=f"r{number}", user_id=user, surface=surface, item_id=item, position=place, hit=earned)
        | dict(zip(BROUGHT, brought, strict=True))
        for number, (user, surface, items) in enumerate(given_lists)
        for place, (brought, item, earned) in enumerate(items, start=1)
    ]


def reference(rows: list[Row], group: Row) -> Row:
    """The figures of a group, as one would write them down."""
    named = {"surface": "unknown"}
    mine = [
        one
        for one in rows
        if group["family"] in ("final", one["family"])
        and all(group[key] in (None, one[key] or named.get(key)) for key in ("surface", "arm"))
    ]
    by_list, units = defaultdict(list), defaultdict(lambda: [0.0, 0.0])
    seen_by = defaultdict(set)
    for one in mine:
        unit = one["user_id"] or (one["request_id"],)
        by_list[one["request_id"]].append(one)
        units[unit][0] += one["hit"][0] if one["hit"] else 0
        units[unit][1] += 1
        if one["item_id"] in ELIGIBLE:
            seen_by[one["item_id"]].add(unit)
    gains = []
    for items in by_list.values():
        places = sorted(one["position"] for one in items)
        clicked = [one["position"] for one in items if one["hit"]]
        if clicked:
            best = sum(1 / math.log2(place + 1) for place in places[: len(clicked)])
            gains.append(sum(1 / math.log2(place + 1) for place in clicked) / best)
    n = len(units)
    clicks, shown = (sum(pair[place] for pair in units.values()) for place in (0, 1))
    rate = clicks / shown
    squares = sum((y - rate * x) ** 2 for y, x in units.values())
    alone = [sum(who == {unit} for who in seen_by.values()) for unit in units]
    mean = sum(alone) / n
    return {
        "impressions": len(mine),
        "requests": len(by_list),
        "users": len({one["user_id"] for one in mine} - {None}),
        "ctr": rate,
        "ctr_se": math.sqrt(n / (n - 1) * squares) / shown if n > 1 else None,
        "revenue": sum(one["hit"][2] for one in mine if one["hit"]),
        "ndcg": sum(gains) / len(gains) if gains else None,
        "coverage": len(seen_by) / 8,
        "coverage_se": math.sqrt((n - 1) / n * sum((one - mean) ** 2 for one in alone)) / 8 if n > 1 else None,
    }


@settings(max_examples=40, deadline=None)
@given(lists)
def test_any_mixture_of_lists_is_measured_as_one_would_write_it_down(given_lists: list[Any]) -> None:
    rows = flat(given_lists)
    for found in measured(*rows).metrics.to_dicts():
        expected = reference(rows, found)
        assert {name: found[name] for name in expected} == {
            name: value if value is None else pytest.approx(value, abs=1e-8) for name, value in expected.items()
        }
