"""Worked examples of every reason, and of what is accepted."""

import io
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import EVENTS, INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.reading import DayFile, read_files
from recsys_assets.platform import Platform

DAY = date(2026, 1, 5)
EVENT_COLUMNS = {
    "user_id": {"from": "user", "strip_suffix": ".0"},
    "item_id": {"from": "item", "case": "upper"},
    "occurred_at": "at",
    "quantity": "n",
    "unit_price": "price",
}


def platform_of(table: str = "events", time_zone: str = "UTC", tolerance: int = 0, **source: Any) -> Platform:
    events = {"path": "{date}.csv", "columns": EVENT_COLUMNS, "event_type": {"column": "type"}}
    sources = {"events": events} | {table: ({"path": "{date}.csv"} | (events if table == "events" else {})) | source}
    return Platform.model_validate(
        {
            "time_zone": time_zone,
            "first_day": DAY,
            "wrong_day_tolerance_minutes": tolerance,
            "sources": sources,
            "families": {"popularity": {}},
        }
    )


def canonical(platform: Platform, *bodies: str, table: str = "events") -> CanonicalRows:
    mapping = platform.sources[table]
    files = [DayFile(DAY, f"{number}.csv", body.encode()) for number, body in enumerate(bodies, start=1)]
    return to_canonical(read_files(files, mapping), SOURCE_TABLES[table], mapping, platform)


def event(user: str = "u1", item: str = "b1", kind: str = "view", at: str = "2026-01-05 10:00", rest: str = ",") -> str:
    return f"user,item,type,at,n,price\n{user},{item},{kind},{at},{rest}\n"


def reason_of(body: str, platform: Platform | None = None, table: str = "events") -> str | None:
    rejected = canonical(platform or platform_of(), body, table=table).rejected
    return rejected["reason"].item() if rejected.height else None


def test_an_event_is_accepted_with_typed_and_repaired_values() -> None:
    rows = canonical(platform_of(), event(user=" 17850.0 ", item="85123a", kind="purchase", rest="12.0,2.55"))
    moment = datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert rows.accepted.rows() == [(DAY, "17850", "85123A", "purchase", moment, 12, 2.55)]
    assert rows.accepted.schema == EVENTS.schema
    assert rows.rejected.schema == REJECTED_ROWS.schema
    assert rows.rejected.is_empty()


def test_prices_with_a_decimal_comma_and_the_shops_own_words_are_read() -> None:
    columns = EVENT_COLUMNS | {
        "unit_price": {"from": "price", "decimal_comma": True},
        "item_id": {"from": "item", "translate": {"old": "new"}},
    }
    platform = platform_of(columns=columns)
    rows = canonical(platform, event(item="old", rest='1,"1.234,50"'), event(item="other", rest='1,"0,99"'))
    assert rows.accepted.select("item_id", "unit_price").rows() == [("new", 1234.5), ("other", 0.99)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (event(rest=",,,,"), "too_many_fields"),
        (event(user=""), "missing_user_id"),
        (event(user="  "), "missing_user_id"),
        (event(item=""), "missing_item_id"),
        (event(kind=""), "missing_event_type"),
        (event(kind="scroll"), "unknown_event_type"),
        (event(at=""), "missing_occurred_at"),
        (event(at="yesterday"), "bad_occurred_at"),
        (event(at="2026-01-05 25:00"), "bad_occurred_at"),
        (event(rest="1.5,"), "bad_quantity"),
        (event(rest="many,"), "bad_quantity"),
        (event(rest="9223372036854775808,"), "bad_quantity"),
        (event(rest="1e30,"), "bad_quantity"),
        (event(rest="-1,"), "quantity_negative"),
        (event(rest="1,cheap"), "bad_unit_price"),
        (event(rest="1,inf"), "bad_unit_price"),
        (event(rest="1,NaN"), "bad_unit_price"),
        (event(rest="1,1e999"), "bad_unit_price"),
        (event(rest="1,-0.01"), "unit_price_negative"),
        (event(at="2026-01-04 23:59:59.999999"), "wrong_day"),
        (event(at="2026-01-06 00:00"), "wrong_day"),
        (event(at="2026-01-05 23:59:59.999999"), None),
        (event(rest="1e3,0"), None),
        (event(rest="9223372036854775807,"), None),
    ],
)
def test_an_event_is_rejected_for_what_is_wrong_with_it(body: str, reason: str | None) -> None:
    assert reason_of(body) == reason


def test_of_several_faults_the_first_in_the_declared_order_is_the_reason() -> None:
    declared = platform_of(reject=[{"reason": "gift_card", "when": {"column": "item", "matches": "^GIFT"}}])
    assert reason_of(event(user="", item="GIFT1", kind="scroll", rest="1.5,x,")) == "too_many_fields"
    assert reason_of(event(user="", item="GIFT1", kind="scroll"), declared) == "gift_card"
    assert reason_of(event(user="", item="B1", kind="scroll"), declared) == "missing_user_id"
    assert reason_of(event(kind="scroll", at="2020-01-01"), declared) == "unknown_event_type"


def test_a_rejected_row_names_its_table_file_line_and_raw_text() -> None:
    rows = canonical(platform_of(), event(), event().replace("u1", "") + "also,bad\n")
    assert rows.rejected.rows() == [
        (DAY, "events", "2.csv", 2, "missing_user_id", ",b1,view,2026-01-05 10:00,,"),
        (DAY, "events", "2.csv", 3, "missing_event_type", "also,bad"),
    ]


def test_a_rule_with_several_conditions_asks_for_all_of_them() -> None:
    both = [{"column": "user", "equals": "u1"}, {"column": "item", "equals": "b1"}]
    platform = platform_of(reject=[{"reason": "both", "when": both}])
    assert reason_of(event(), platform) == "both"
    assert reason_of(event(item="b2"), platform) is None


def test_rows_that_fail_where_belong_to_another_table_but_unreadable_ones_to_all() -> None:
    platform = platform_of(where=[{"column": "type", "equals": "view"}])
    rows = canonical(platform, event() + "u,b,cart,2026-01-05,1,1\nu,b,cart,2026-01-05,1,1,too,many\n")
    assert rows.counts.select("parsed", "accepted", "rejected").row(0) == (2, 1, 1)


@pytest.mark.parametrize(
    ("kind", "quantity", "event_type"),
    [
        ("buy", "-1", "refund"),
        ("buy", "1", "purchase"),
        ("cart", "1", "cart"),
        ("", "1", "view"),
    ],
)
def test_event_types_come_from_rules_then_the_column_then_the_default(
    kind: str, quantity: str, event_type: str
) -> None:
    rule = {"when": {"column": "n", "below": 0}, "is": "refund"}
    found = {"rules": [rule], "column": "type", "translate": {"buy": "purchase"}, "default": "view"}
    columns = EVENT_COLUMNS | {"quantity": {"from": "n", "absolute": True}}
    rows = canonical(platform_of(event_type=found, columns=columns), event(kind=kind, rest=f"{quantity},"))
    assert rows.accepted.select("event_type", "quantity").row(0) == (event_type, 1)


def test_quantity_is_one_where_it_is_missing_or_not_mapped() -> None:
    columns = {name: source for name, source in EVENT_COLUMNS.items() if name != "quantity"}
    assert canonical(platform_of(), event(rest=",")).accepted["quantity"].item() == 1
    assert canonical(platform_of(columns=columns), event(rest="7,")).accepted["quantity"].item() == 1


def test_an_exact_repetition_is_a_duplicate_within_its_day_across_files() -> None:
    rows = canonical(platform_of(), event() + event().split("\n")[1] + "\n", event())
    assert rows.accepted.height == 1
    assert rows.rejected.select("source_file", "line", "reason").rows() == [
        ("1.csv", 3, "duplicate"),
        ("2.csv", 2, "duplicate"),
    ]


def test_a_row_that_differs_in_an_unmapped_column_is_no_duplicate() -> None:
    row = "u1,b1,view,2026-01-05,1,1"
    rows = canonical(platform_of(), f"user,item,type,at,n,price,basket\n{row},7\n{row},8\n")
    assert rows.accepted.height == 2


def test_a_repeated_row_that_is_rejected_anyway_keeps_its_own_reason() -> None:
    rows = canonical(platform_of(), event(user=""), event(user=""))
    assert rows.rejected["reason"].to_list() == ["missing_user_id", "missing_user_id"]


def test_duplicates_are_kept_where_the_mapping_says_so() -> None:
    assert canonical(platform_of(duplicates="keep"), event(), event()).accepted.height == 2


def test_the_tolerance_widens_the_day_on_both_sides() -> None:
    platform = platform_of(tolerance=10)
    assert reason_of(event(at="2026-01-04 23:50"), platform) is None
    assert reason_of(event(at="2026-01-04 23:49:59"), platform) == "wrong_day"
    assert reason_of(event(at="2026-01-06 00:09:59"), platform) is None
    assert reason_of(event(at="2026-01-06 00:10"), platform) == "wrong_day"


def test_a_day_begins_and_ends_in_the_shops_time_zone() -> None:
    seoul = platform_of(time_zone="Asia/Seoul")
    assert reason_of(event(at="2026-01-04T15:00:00Z"), seoul) is None
    assert reason_of(event(at="2026-01-04T14:59:59Z"), seoul) == "wrong_day"
    assert reason_of(event(at="2026-01-05T15:00:00Z"), seoul) == "wrong_day"


ITEM_COLUMNS = {
    "item_id": "item",
    "title": "title",
    "released_on": "out",
    "is_adult": {"from": "adult", "true_values": ["x"]},
}


def test_the_last_row_of_a_day_wins_in_a_change_log_and_the_others_are_counted_as_folded() -> None:
    platform = platform_of("items", columns=ITEM_COLUMNS)
    header = "item,title,out,adult\n"
    rows = canonical(platform, header + "b1,Old,,\nb2,Other,,\n", header + "b1,New,2026-01-05,X\n", table="items")
    assert rows.accepted.select("item_id", "title", "released_on", "is_adult", "creator").sort("item_id").rows() == [
        ("b1", "New", DAY, True, None),
        ("b2", "Other", None, None, None),
    ]
    assert rows.counts.rows() == [(DAY, "items", "1.csv", 2, 2, 0, 1), (DAY, "items", "2.csv", 1, 1, 0, 0)]
    assert rows.counts.columns == INGESTED_FILES.schema.names()[:-2]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b1,T,soon,", "bad_released_on"),
        ("b1,T,2026-02-30,", "bad_released_on"),
        ("b1,T,,maybe", "bad_is_adult"),
    ],
)
def test_a_nullable_value_that_cannot_be_read_is_bad_and_not_null(row: str, reason: str) -> None:
    platform = platform_of("items", columns=ITEM_COLUMNS)
    assert reason_of(f"item,title,out,adult\n{row}\n", platform, "items") == reason


BLOCK_COLUMNS = {
    "user_id": "user",
    "target": "what",
    "target_id": "which",
    "is_blocked": "on",
    "changed_at": "at",
}


def test_where_changes_carry_a_moment_the_latest_wins_whatever_the_order_of_rows() -> None:
    body = "user,what,which,on,at\nu,creator,A,no,2026-01-05 12:00\nu,creator,A,yes,2026-01-05 09:00\n"
    rows = canonical(platform_of("user_blocks", columns=BLOCK_COLUMNS), body, table="user_blocks")
    assert rows.accepted["is_blocked"].to_list() == [False]
    assert rows.counts["folded"].to_list() == [1]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u,shelf,A,yes,2026-01-05", "unknown_target"),
        ("u,creator,,yes,2026-01-05", "missing_target_id"),
        ("u,creator,A,,2026-01-05", "missing_is_blocked"),
        ("u,creator,A,perhaps,2026-01-05", "bad_is_blocked"),
        ("u,creator,A,TRUE,2026-01-06", "wrong_day"),
    ],
)
def test_a_block_is_rejected_for_what_is_wrong_with_it(row: str, reason: str) -> None:
    platform = platform_of("user_blocks", columns=BLOCK_COLUMNS)
    assert reason_of(f"user,what,which,on,at\n{row}\n", platform, "user_blocks") == reason


def test_a_constant_fills_a_column_that_the_file_lacks() -> None:
    columns = BLOCK_COLUMNS | {"target": {"constant": "item"}}
    rows = canonical(
        platform_of("user_blocks", columns=columns),
        "user,which,on,at\nu,b,1,2026-01-05\n",
        table="user_blocks",
    )
    assert rows.accepted["target"].to_list() == ["item"]


def test_a_file_without_rows_is_counted_when_it_is_named() -> None:
    platform = platform_of()
    rows = read_files([DayFile(DAY, "1.csv", event().encode())], platform.sources["events"])
    files = pl.DataFrame({"ds": [DAY, DAY], "source_file": ["1.csv", "empty.csv"]})
    counts = to_canonical(rows, EVENTS, platform.sources["events"], platform, files=files).counts
    assert counts.select("source_file", "parsed").rows() == [("1.csv", 1), ("empty.csv", 0)]


@pytest.mark.parametrize("table", sorted(SOURCE_TABLES))
def test_a_day_without_files_has_no_rows_in_the_tables_schema(table: str) -> None:
    required = {name: name for name in SOURCE_TABLES[table].required if name not in ("ds", "event_type")}
    platform = platform_of(table, columns=required)
    rows = canonical(platform, table=table)
    assert rows.accepted.schema == SOURCE_TABLES[table].schema
    assert (rows.accepted.height, rows.rejected.height, rows.counts.height) == (0, 0, 0)


def test_a_far_away_moment_in_a_parquet_file_costs_its_row_and_not_the_run() -> None:
    platform = platform_of(format="parquet", path="{date}.parquet")
    moments = pl.Series([2**63 - 1, 1_767_607_200_000]).cast(pl.Datetime("ms"))
    rest = {name: [name] * 2 for name in ("user", "item")} | {"type": ["view"] * 2, "n": [1, 1], "price": [1.0, 1.0]}
    buffer = io.BytesIO()
    pl.DataFrame(rest).with_columns(at=moments).write_parquet(buffer)
    files = [DayFile(DAY, "1.parquet", buffer.getvalue())]
    rows = to_canonical(
        read_files(files, platform.sources["events"]), SOURCE_TABLES["events"], platform.sources["events"], platform
    )
    assert rows.rejected.select("line", "reason").rows() == [(1, "bad_occurred_at")]
    assert rows.accepted["occurred_at"].to_list() == [datetime(2026, 1, 5, 10, tzinfo=UTC)]
