"""Text to values, and above all: text to moments, also when clocks change."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys_assets.ingestion.values import as_boolean, as_date, as_integer, as_moment, as_number


def value_of(expression: pl.Expr, text: str | None) -> object:
    return pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(expression).item()


def moment_of(text: str | None, time_zone: str = "UTC", timestamp_format: str | None = None) -> object:
    return value_of(as_moment(pl.col("text"), time_zone, timestamp_format), text)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05 10:20:30", utc(2026, 1, 5, 10, 20, 30)),
        ("2026-01-05T10:20:30", utc(2026, 1, 5, 10, 20, 30)),
        ("2026-01-05T10:20:30.25", utc(2026, 1, 5, 10, 20, 30, 250_000)),
        ("2026-01-05 10:20", utc(2026, 1, 5, 10, 20)),
        ("2026-01-05", utc(2026, 1, 5)),
        ("2026-01-05T10:20:30Z", utc(2026, 1, 5, 10, 20, 30)),
        ("2026-01-05T10:20:30.5+09:00", utc(2026, 1, 5, 1, 20, 30, 500_000)),
        ("2026-01-05 10:20-0530", utc(2026, 1, 5, 15, 50)),
        ("1767608430", utc(2026, 1, 5, 10, 20, 30)),
        ("1767608430250", utc(2026, 1, 5, 10, 20, 30, 250_000)),
        ("176760843025000", None),
        ("99999999999999999999", None),
        ("20260105", None),  # digits of a date are no seconds
        ("12026-01-05 10:20:30", None),
        ("2026-13-05 10:20:30", None),
        ("05.01.2026 10:20", None),
        ("now", None),
        (None, None),
    ],
)
def test_moments_are_iso_8601_or_seconds_since_1970(text: str | None, moment: datetime | None) -> None:
    assert moment_of(text) == moment


def test_a_text_without_offset_is_local_and_one_with_offset_is_not() -> None:
    assert moment_of("2026-01-05 10:00", "Asia/Seoul") == utc(2026, 1, 5, 1)
    assert moment_of("2026-01-05 10:00Z", "Asia/Seoul") == utc(2026, 1, 5, 10)
    assert moment_of("1767608430", "Asia/Seoul") == utc(2026, 1, 5, 10, 20, 30)


def test_a_moment_that_clocks_skip_does_not_exist() -> None:
    assert moment_of("2026-03-29 00:59:59", "Europe/London") == utc(2026, 3, 29, 0, 59, 59)
    assert moment_of("2026-03-29 01:30", "Europe/London") is None
    assert moment_of("2026-03-29 02:00", "Europe/London") == utc(2026, 3, 29, 1)


def test_of_a_moment_that_clocks_repeat_the_earlier_one_counts() -> None:
    assert moment_of("2026-10-25 01:30", "Europe/London") == utc(2026, 10, 25, 0, 30)
    assert moment_of("2026-10-25 02:00", "Europe/London") == utc(2026, 10, 25, 2)


def test_a_declared_format_replaces_iso_8601() -> None:
    assert moment_of("05.01.2026 10:20", "Asia/Seoul", "%d.%m.%Y %H:%M") == utc(2026, 1, 5, 1, 20)
    assert moment_of("05.01.2026 10:20 +0100", "Asia/Seoul", "%d.%m.%Y %H:%M %z") == utc(2026, 1, 5, 9, 20)
    assert moment_of("2026-01-05 10:20", "Asia/Seoul", "%d.%m.%Y %H:%M") is None


def test_equal_texts_get_equal_moments_in_the_order_of_the_rows() -> None:
    texts = pl.DataFrame({"text": ["2026-01-06", None, "2026-01-05", "2026-01-06", "x"]})
    moments = texts.select(as_moment(pl.col("text"), "UTC")).to_series().to_list()
    assert moments == [utc(2026, 1, 6), None, utc(2026, 1, 5), utc(2026, 1, 6), None]


@pytest.mark.parametrize(
    ("text", "time_zone", "day"),
    [
        ("20260301", "UTC", date(2026, 3, 1)),
        ("20261301", "UTC", None),
        ("2026-01-05", "Asia/Seoul", date(2026, 1, 5)),
        ("2026-01-05T20:00:00Z", "Asia/Seoul", date(2026, 1, 6)),
        ("2024-03-31", "Asia/Beirut", date(2024, 3, 31)),  # this day began at 01:00
        ("2026-02-30", "UTC", None),
        ("9999-12-31", "UTC", date(9999, 12, 31)),
        ("+12026-01-05", "UTC", None),  # Python knows no such year, so nobody could read it again
        ("-0001-01-01", "UTC", None),
        ("0000-01-01", "UTC", None),
        ("9999-12-31T23:59-10:00", "UTC", None),
    ],
)
def test_days_are_dates_or_the_local_days_of_moments(text: str, time_zone: str, day: date | None) -> None:
    assert value_of(as_date(pl.col("text"), time_zone), text) == day


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.5", 2.5),
        (" -1e3 ", -1000.0),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("1,5", None),
        ("", None),
    ],
)
def test_numbers_are_finite(text: str, number: float | None) -> None:
    assert value_of(as_number(pl.col("text")), text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("007", 7),
        ("12.", 12),
        ("-12.000", -12),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("1e16", None),
        ("0.5", None),
        (".", None),
        ("9223372036854775808.0", None),
    ],
)
def test_integers_are_whole_and_exact(text: str, number: int | None) -> None:
    assert value_of(as_integer(pl.col("text")), text) == number


@pytest.mark.parametrize(
    ("text", "value"), [("OK", True), ("No", False), ("0", False), ("F", False), ("1", None), (None, None)]
)
def test_booleans_are_the_declared_words_for_true_and_the_known_ones_for_false(
    text: str | None, value: bool | None
) -> None:
    assert value_of(as_boolean(pl.col("text"), ("ok",)), text) is value
