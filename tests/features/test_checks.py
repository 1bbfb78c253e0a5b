"""The checks of every view: what blocks, what only warns, and what is said about it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl
import pytest

from recsys_assets.columns import INTERACTIONS, ITEM_PROFILE, PURCHASE_SEQUENCE, VIEW_DAYS
from recsys_assets.features.assets import _asset
from recsys_assets.features.checks import (
    BLOCKING,
    WARNING,
    Finding,
    catalogue_finding,
    checks_of,
    key_counts,
    key_findings,
    row_count_finding,
    schema_finding,
)
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import ViewChecks

OpenShop = Callable[..., FeatureStore]
SEQUENCES = VIEWS["purchase_sequence"]
MONDAY = date(2026, 1, 5)
LIMITS = ViewChecks(trailing_days=28)


def january(day: int) -> date:
    return date(2026, 1, day)


def sequences(*rows: tuple[str | None, list[str] | None]) -> pl.DataFrame:
    filled = [(january(2), user, items, [january(1)] * len(items or ())) for user, items in rows]
    return pl.DataFrame(filled, schema=PURCHASE_SEQUENCE.schema, orient="row")


def against(findings: list[Finding]) -> dict[str, float]:
    return {finding.check: finding.actual for finding in findings if not finding.passed}


# --- Keys and columns ---


def judged(view: FeatureView, rows: pl.DataFrame) -> list[Finding]:
    """What the checks that block find in rows with the view's columns."""
    (counts,) = key_counts(view, nw.from_native(rows.lazy())).collect().to_native().to_dicts()
    return [schema_finding(view, rows.schema), *key_findings(view, counts)]


def test_rows_as_declared_pass_and_so_do_no_rows() -> None:
    for rows in (sequences(("ann", ["dune"]), ("bob", [])), sequences()):
        findings = judged(SEQUENCES, rows)
        assert [finding.check for finding in findings] == list(BLOCKING)
        assert against(findings) == {}


def test_a_key_that_comes_twice_is_found_and_named() -> None:
    findings = judged(SEQUENCES, sequences(("ann", ["dune"]), ("ann", []), ("ann", []), ("bob", [])))
    assert against(findings) == {"keys_are_unique": 2}
    assert findings[-1].sentence == "2 rows repeat the key ds, user_id"


def test_the_same_user_on_two_days_is_no_double() -> None:
    rows = sequences(("ann", ["dune"]))
    assert against(judged(SEQUENCES, pl.concat([rows, rows.with_columns(ds=pl.lit(january(3)))]))) == {}


def test_nulls_in_keys_and_in_columns_that_need_a_value_are_counted_together() -> None:
    rows = sequences((None, ["dune"]), ("ann", None), ("bob", ["dune"]))
    assert against(judged(SEQUENCES, rows)) == {"keys_are_complete": 2}


def test_a_column_that_may_be_null_may_be_null() -> None:
    view = VIEWS["item_profile"]
    values = {"ds": january(2), "item_id": "dune", "views": 0, "purchases": 0, "buyers": 0}
    row = dict.fromkeys(ITEM_PROFILE.schema) | values | {"value": 0.0, "purchase_share": 0.0}
    assert against(judged(view, pl.DataFrame([row], schema=ITEM_PROFILE.schema))) == {}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda rows: rows.with_columns(pl.col("user_id").cast(pl.Categorical)), "user_id"),
        (lambda rows: rows.drop("bought_on"), "bought_on"),
        (lambda rows: rows.with_columns(extra=pl.lit(1)), "extra"),
    ],
)
def test_a_column_of_another_type_or_missing_or_unknown_is_named(
    change: Callable[[pl.DataFrame], pl.DataFrame], name: str
) -> None:
    finding = schema_finding(SEQUENCES, change(sequences(("ann", ["dune"]))).schema)
    assert (finding.check, finding.passed, finding.actual) == ("schema_is_declared", False, 1)
    assert finding.sentence == f"1 columns differ: {name}"


# --- What is worth a look ---


@pytest.mark.parametrize(("unknown", "is_fine"), [(0, True), (1, True), (2, False)])
def test_few_items_that_the_catalogue_never_had_are_fine(unknown: int, is_fine: bool) -> None:
    finding = catalogue_finding(unknown, 100, 0.01)
    assert (finding.passed, finding.actual, finding.threshold) == (is_fine, unknown / 100, "at most 0.01")
    assert finding.sentence == f"{unknown} of 100 rows name an item that the catalogue never had ({unknown}.00%)"
    assert catalogue_finding(0, 0, 0.01).passed


def counted(rows: int | Callable[[date], int], days: int = 28) -> dict[date, int]:
    """Rows of the days before that Monday."""
    before = [MONDAY - timedelta(days=age) for age in range(1, days + 1)]
    return {day: rows if isinstance(rows, int) else rows(day) for day in before}


@pytest.mark.parametrize(
    ("rows", "ratio", "is_usual"),
    [(100, 1.0, True), (20, 0.2, True), (19, 0.19, False), (500, 5.0, True), (501, 5.01, False)],
)
def test_a_day_is_compared_with_what_is_usual(rows: int, ratio: float, is_usual: bool) -> None:
    finding = row_count_finding({**counted(100), MONDAY: rows}, MONDAY, MONDAY, LIMITS)
    assert (finding.actual, finding.passed) == (ratio, is_usual)
    assert finding.threshold == "between 0.2 and 5.0 times what is usual"
    assert finding.sentence == f"2026-01-05 has {rows} rows, {ratio:.2f} times what is usual"


def test_a_day_without_rows_is_unusual_where_there_are_some_otherwise() -> None:
    finding = row_count_finding(counted(100), MONDAY, MONDAY, LIMITS)
    assert (finding.actual, finding.passed) == (0.0, False)


def test_a_shop_that_is_closed_on_saturdays_is_usual_and_a_closed_friday_is_not() -> None:
    week = counted(lambda day: 0 if day.isoweekday() == 6 else 100)
    friday, saturday = MONDAY - timedelta(days=3), MONDAY - timedelta(days=2)
    assert row_count_finding(week, saturday, MONDAY - timedelta(days=1), LIMITS).passed
    without_rows = {day: rows for day, rows in week.items() if rows}  # as they come from the lake
    assert row_count_finding(without_rows, saturday, saturday, LIMITS).passed
    closed = row_count_finding({**without_rows, friday: 0}, friday, saturday, LIMITS)
    assert not closed.passed
    assert str(friday) in closed.sentence


def test_a_busy_weekday_is_compared_with_the_same_weekdays() -> None:
    mondays = counted(lambda day: 1_000 if day.isoweekday() == 1 else 100)
    assert row_count_finding({**mondays, MONDAY: 1_000}, MONDAY, MONDAY, LIMITS).actual == 1.0
    assert not row_count_finding({**mondays, MONDAY: 100}, MONDAY, MONDAY, LIMITS).passed


def test_the_first_days_of_a_shop_are_compared_with_nothing() -> None:
    finding = row_count_finding({**counted(100, days=6), MONDAY: 1}, MONDAY, MONDAY, LIMITS)
    assert finding.passed
    assert finding.sentence == "there are too few days to compare with"
    assert not row_count_finding({**counted(100, days=7), MONDAY: 1}, MONDAY, MONDAY, LIMITS).passed


def test_of_a_range_the_day_furthest_from_usual_is_named() -> None:
    counts = {**counted(100), MONDAY: 300, MONDAY + timedelta(days=1): 30, MONDAY + timedelta(days=2): 110}
    finding = row_count_finding(counts, MONDAY, MONDAY + timedelta(days=2), LIMITS)
    assert finding.sentence.startswith("2026-01-06 has 30 rows, 0.30 times")


def test_a_view_has_the_checks_that_make_sense_for_it() -> None:
    names = {view.name: set(checks_of(view, has_catalogue=True)) for view in VIEWS.values() if view.is_stored}
    assert names["interactions"] == {*BLOCKING, *WARNING}
    assert names["user_profile"] == {*BLOCKING, "row_count_is_usual"}
    assert names["training_set"] == {*BLOCKING, "items_are_known"}
    assert set(checks_of(VIEWS["interactions"], has_catalogue=False)) == {*BLOCKING, "row_count_is_usual"}


# --- Through the asset ---


def run(store: FeatureStore, view: FeatureView, day: int) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """Materialize a view and something downstream of it; and which of the two were materialized."""

    @dg.asset(key=["models", "downstream"], deps=[dg.AssetKey(view.table.key)])
    def downstream() -> None: ...

    done = dg.materialize(
        [_asset(store.platform, view), downstream],
        resources={"lake": store.lake, "engine": store.engine},
        partition_key=str(january(day)),
        raise_on_error=False,
    )
    keys = [event.asset_key for event in done.get_asset_materialization_events()]
    return done, [key.to_user_string() for key in keys if key is not None]


def evaluations(done: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, Any, Any]]:
    """Check to whether it passed, what was measured, and what is allowed."""
    return {
        one.check_name: (one.passed, one.metadata["actual"].value, one.metadata["threshold"].value)
        for one in done.get_asset_check_evaluations()
    }


def wrong(change: Callable[[Any], Any]) -> FeatureView:
    """`purchase_sequence` with a mistake in its function."""

    def compute(known: Known) -> Applied:
        right = SEQUENCES.compute(known)
        return right.into(nw.from_native(change(right.frame.to_native())))

    return replace(SEQUENCES, compute=compute)


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (lambda rows: pl.concat([rows, rows]), "keys_are_unique"),
        (lambda rows: rows.with_columns(user_id=pl.lit(None, pl.String)), "keys_are_complete"),
        (lambda rows: rows.with_columns(bought_on=pl.lit("2026-01-01")), "schema_is_declared"),
    ],
)
def test_a_mistake_in_a_view_blocks_what_is_downstream_and_leaves_what_was_stored(
    open_shop: OpenShop, mistake: Callable[[Any], Any], check: str
) -> None:
    store = open_shop("1 ann purchase dune")
    assert run(store, SEQUENCES, 2)[1] == [PURCHASE_SEQUENCE.name, "models/downstream"]
    tables = {table: store.lake.version(table.name) for table in (PURCHASE_SEQUENCE, VIEW_DAYS)}
    done, materialized = run(store, wrong(mistake), 2)
    assert not done.success
    assert materialized == []
    assert evaluations(done)[check] == (False, 1.0, "at most 0")
    assert {table: store.lake.version(table.name) for table in tables} == tables
    (failure,) = (event for event in done.all_events if event.is_step_failure)
    assert "features/purchase_sequence is left as it was: 1 " in str(failure.step_failure_data.error)


def test_rows_as_they_should_be_pass_every_check_and_actual_and_threshold_are_shown(open_shop: OpenShop) -> None:
    done, _ = run(open_shop("1 ann purchase dune"), SEQUENCES, 2)
    assert done.success
    assert evaluations(done) == {
        **dict.fromkeys(BLOCKING, (True, 0.0, "at most 0")),
        "row_count_is_usual": (True, 1.0, "between 0.2 and 5.0 times what is usual"),
    }


def test_unknown_items_and_unusual_row_counts_only_warn(open_shop: OpenShop) -> None:
    usual = [f"{day} ann view book{n}" for day in range(1, 9) for n in range(10)]
    known = [{"ds": 1, "item_id": f"book{n}"} for n in range(10)]
    store = open_shop(*usual, "9 ann view unknown", items=known)
    done, materialized = run(store, VIEWS["interactions"], 9)
    assert done.success
    assert materialized == [INTERACTIONS.name, "models/downstream"]
    found = evaluations(done)
    assert found["items_are_known"] == (False, 1.0, "at most 0.01")
    assert found["row_count_is_usual"] == (False, 0.1, "between 0.2 and 5.0 times what is usual")
    assert {one.check_name for one in done.get_asset_check_evaluations() if one.severity.value == "ERROR"} == {
        *BLOCKING
    }


def test_an_item_that_has_left_the_catalogue_is_known(open_shop: OpenShop) -> None:
    store = open_shop("5 ann view dune", items=[{"ds": 1, "item_id": "dune", "withdrawn_on": 2}])
    assert evaluations(run(store, VIEWS["interactions"], 5)[0])["items_are_known"][0]


def test_a_shop_that_is_closed_on_saturdays_gets_no_warning_from_the_asset(open_shop: OpenShop) -> None:
    is_open = [day for day in range(1, 25) if january(day).isoweekday() != 6]
    store = open_shop(*(f"{day} ann view dune" for day in is_open))
    done, _ = run(store, VIEWS["interactions"], 24)  # a Saturday
    assert evaluations(done)["row_count_is_usual"][0]


def test_blocking_is_declared_where_dagster_looks_for_it(open_shop: OpenShop) -> None:
    for view in (one for one in VIEWS.values() if one.is_stored):
        specs = list(_asset(open_shop().platform, view).check_specs)
        assert {spec.name for spec in specs if spec.blocking} == {*BLOCKING}
        assert all(spec.description for spec in specs)
