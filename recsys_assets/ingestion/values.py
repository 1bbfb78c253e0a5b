"""Text to typed values. What cannot become a value becomes null, and nothing here raises.

Which column has which type, and what a null means for its row, is decided in `canonical`.
"""

import polars as pl

from recsys_assets.columns import UTC_MOMENT

FALSE_VALUES = ("false", "0", "no", "n", "f")
_DAY = "%Y-%m-%d"
_TIMES = ("%H:%M:%S%.f", "%H:%M", "%H:%M:%S")
_OFFSETS = ("%#z", "%:z", "%z", "%+", "%s")
_LARGEST_EXACT_FLOAT = 2**53
LAST_YEAR = 9999
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999; more digits are no seconds since 1970."""


def as_number(text: pl.Expr) -> pl.Expr:
    """Finite numbers (Float64)."""
    number = text.str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def as_integer(text: pl.Expr) -> pl.Expr:
    """Whole numbers (Int64), also when they are written `12.0` or `1e3`."""
    digits = text.str.strip_chars().str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    number = as_number(text)
    is_whole = (number == number.round()) & (number.abs() <= _LARGEST_EXACT_FLOAT)
    return pl.coalesce(digits, pl.when(is_whole).then(number).cast(pl.Int64, strict=False))


def as_boolean(text: pl.Expr, true_values: tuple[str, ...]) -> pl.Expr:
    """Words for true and false, whatever their case.

    Args:
        text: Trimmed text.
        true_values: The words for true; they go before the words for false.
    """
    word = text.str.to_lowercase()
    is_true = word.is_in([value.lower() for value in true_values])
    return pl.when(is_true).then(statement=True).when(word.is_in(FALSE_VALUES)).then(statement=False)


def as_moment(text: pl.Expr, time_zone: str, timestamp_format: str | None = None) -> pl.Expr:
    """Moments in UTC.

    Args:
        text: Trimmed text: ISO 8601 with `T` or a blank, with or without seconds, fractions and an offset; or
            seconds since 1970.
        time_zone: Where a text without an offset is local. Of a moment that occurs twice when clocks go back,
            the earlier one counts; one that is skipped when they go forward is null.
        timestamp_format: The strftime format of the text, instead of the above.
    """

    def each_text_once(texts: pl.Series) -> pl.Series:
        distinct = texts.unique().drop_nulls().alias("text")
        parsed = distinct.to_frame().select("text", moment=_parsed(pl.col("text"), time_zone, timestamp_format))
        return texts.alias("text").to_frame().join(parsed, on="text", how="left", maintain_order="left")["moment"]

    return text.map_batches(each_text_once, return_dtype=UTC_MOMENT, is_elementwise=True)


def as_date(text: pl.Expr, time_zone: str, timestamp_format: str | None = None) -> pl.Expr:
    """Days of the years 1 to 9999: of a moment its day in the time zone, and else a date as it stands."""
    moment = as_moment(text, time_zone, timestamp_format)
    day = text.str.to_date(timestamp_format or _DAY, strict=False)
    compact = pl.when(text.str.contains("^[0-9]{8}$")).then(text.str.to_date("%Y%m%d", strict=False))
    found = pl.coalesce(compact, moment.dt.convert_time_zone(time_zone).dt.date(), day)
    return pl.when(found.dt.year().is_between(1, LAST_YEAR)).then(found)


def _parsed(text: pl.Expr, time_zone: str, timestamp_format: str | None) -> pl.Expr:
    if timestamp_format is not None:
        return _read(text, timestamp_format, time_zone)
    iso = pl.when(text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}")).then(text.str.replace("[Tt]", " "))
    local = [_read(iso, f"{_DAY} {time}", time_zone) for time in _TIMES]
    converted = [_read(iso, f"{_DAY} {time}%#z", time_zone) for time in _TIMES]
    number = text.cast(pl.Int64, strict=False)
    seconds = pl.when(text.str.contains("^[0-9]{9,12}$") & (number <= _LAST_SECOND)).then(number)
    milliseconds = pl.when(text.str.contains("^[0-9]{13,14}$")).then(number)
    since_1970 = pl.coalesce(
        pl.from_epoch(seconds, "s").dt.cast_time_unit("us"), pl.from_epoch(milliseconds, "ms").dt.cast_time_unit("us")
    )
    return pl.coalesce(
        *local,
        _in_utc(iso.str.to_datetime(_DAY, time_unit="us", strict=False), time_zone),
        *converted,
        since_1970.dt.replace_time_zone("UTC"),
    )


def _read(text: pl.Expr, timestamp_format: str, time_zone: str) -> pl.Expr:
    moment = text.str.to_datetime(timestamp_format, time_unit="us", strict=False)
    if any(offset in timestamp_format for offset in _OFFSETS):
        return moment.dt.replace_time_zone("UTC") if timestamp_format == "%s" else moment
    return _in_utc(moment, time_zone)


def _in_utc(local: pl.Expr, time_zone: str) -> pl.Expr:
    known = local.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return known.dt.convert_time_zone("UTC")
