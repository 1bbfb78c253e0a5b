"""Which impressions count, and what becomes of the others."""

from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import SET_ASIDE_IMPRESSIONS
from recsys_assets.monitoring.counting import Judgement, judgement, named

DAY = date(2026, 3, 2)
KNOWN = {"als": {"7", "8"}, "popularity": {"1"}}
NOBODY = pl.Series("user_id", [], dtype=pl.String)


def rows(*given: tuple[Any, ...]) -> pl.LazyFrame:
    schema = {"user_id": pl.String, "family": pl.String, "version": pl.String}
    return pl.LazyFrame(given, schema=schema, orient="row")


def judged(frame: pl.LazyFrame, *not_customers: str) -> Judgement:
    return judgement(named(frame), KNOWN, pl.Series("user_id", not_customers, dtype=pl.String))


def test_what_the_registry_does_not_know_is_set_aside_with_its_reason() -> None:
    frame = rows(
        ("ann", "als", "7"),
        ("ann", "als", "9"),
        ("bob", "als", "9"),
        ("ann", "ease", "7"),
        ("ann", "final", "7"),
        ("ann", "als", None),
        ("ann", None, "7"),
        (None, None, None),
    )
    found = judged(frame)
    assert found.counted(frame).collect().rows() == [("ann", "als", "7"), (None, None, None)]
    set_aside = found.set_aside(frame, DAY)
    assert set_aside.schema == SET_ASIDE_IMPRESSIONS.schema
    assert set_aside.drop("ds").rows() == [
        ("incomplete_version", None, "7", 1),
        ("incomplete_version", "als", None, 1),
        ("unknown_version", "als", "9", 2),
        ("unknown_version", "ease", "7", 1),
        ("unknown_version", "final", "7", 1),
    ]


def test_test_accounts_and_machines_are_set_aside_and_unknown_users_are_not() -> None:
    frame = rows(("ann", "als", "7"), ("bot", "als", "7"), ("bot", "als", "9"), (None, "als", "7"))
    found = judged(frame, "bot", "staff")
    assert found.counted(frame).collect()["user_id"].to_list() == ["ann", None]
    reasons = dict(found.set_aside(frame, DAY).select("reason", "impressions").iter_rows())
    assert reasons == {"no_customer": 1, "unknown_version": 1}


def test_where_nothing_is_to_be_set_aside_the_rows_are_left_as_they_are() -> None:
    frame = rows(("ann", "als", "7"))
    found = judged(frame)
    assert found.counted(frame) is frame
    assert found.set_aside(frame, DAY).is_empty()


words = st.sampled_from([None, "als", "popularity", "ease", "7", "1", "9", ""])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, "ann", "bot"]), words, words), max_size=12))
def test_counted_and_set_aside_are_all_rows(given_rows: list[tuple[Any, ...]]) -> None:
    frame = rows(*given_rows)
    found = judged(frame, "bot")
    counted = found.counted(frame).collect()
    assert counted.columns == ["user_id", "family", "version"]
    assert counted.height + found.set_aside(frame, DAY)["impressions"].sum() == len(given_rows)
    assert all(
        pair in {("als", "7"), ("als", "8"), ("popularity", "1"), (None, None)}
        for _, *pair_ in counted.rows()
        if (pair := tuple(pair_))
    )
