"""Raw rows whose fields kept the types of their file: what spares the long way over text, and the way itself.

Only Parquet delivers such rows. Numbers, days and moments stay as they are until somebody asks for their text, and
`raw` is a struct of all columns of the file until then. What a value means is decided in `canonical`.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta

import polars as pl

from recsys_assets.columns import UTC_MOMENT
from recsys_assets.ingestion.raw_rows import FIELD

_PARTS_OF_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_EPOCH = date(1970, 1, 1)
_DAYS_WITH_FOUR_DIGIT_YEARS = ((date.min - _EPOCH).days + 1, (date.max - _EPOCH).days - 1)
"""Days since 1970 that are written with a year of four digits in every time zone."""
_NEAR = (datetime.min + timedelta(days=1), datetime.max - timedelta(days=1))  # noqa: DTZ901 - local in any time zone
_LARGEST_EXACT_FLOAT = 2**53


def is_kept(dtype: pl.DataType) -> bool:
    """Whether values of a file stay as they are: numbers, booleans, days, and moments in UTC or local time."""
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone in {None, "UTC"}
    return dtype.is_integer() or dtype.is_float() or dtype in {pl.Boolean, pl.Date}


def fits(dtype: pl.DataType, target: pl.DataType | type[pl.DataType]) -> bool:
    """Whether typed values can become the target without the way over text."""
    if target == UTC_MOMENT:
        return isinstance(dtype, pl.Datetime)
    return target in {pl.Int64, pl.Float64} and (dtype.is_integer() or dtype == pl.Float64)


def converted(values: pl.Expr, dtype: pl.DataType, target: pl.DataType | type[pl.DataType], time_zone: str) -> pl.Expr:
    """The values that reading their text would give; null where it would give none.

    Args:
        values: What the file holds.
        dtype: Its type, one that `fits` the target.
        target: Int64, Float64, or moments in UTC.
        time_zone: Where moments without a time zone are local.
    """
    if isinstance(dtype, pl.Datetime):
        return _moment(values.dt.cast_time_unit("us"), dtype.time_zone, time_zone)
    if dtype.is_integer():
        return values.cast(target, strict=False)
    if target == pl.Float64:
        return pl.when(values.is_finite()).then(values)
    is_whole = (values == values.round()) & (values.abs() <= _LARGEST_EXACT_FLOAT)
    return pl.when(is_whole).then(values).cast(pl.Int64, strict=False)


def _moment(values: pl.Expr, delivered_zone: str | None, time_zone: str) -> pl.Expr:
    """Moments in UTC; null outside the years 1 to 9999, and where clocks skipped it."""
    clock = values.dt.replace_time_zone(None)
    near = pl.when(clock.is_between(*_NEAR)).then(clock)
    if delivered_zone is not None:
        return near.dt.replace_time_zone(delivered_zone)
    known = near.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return known.dt.convert_time_zone("UTC")


def in_text(rows: pl.DataFrame, *, but: Collection[str] = ()) -> pl.DataFrame:
    """The rows with `raw` and every field as text.

    Args:
        rows: Raw rows.
        but: Columns that are left as they are.
    """
    typed = [name for name in rows.columns if name == "raw" or name.startswith(FIELD)]
    return rows.with_columns(as_text(rows[name]) for name in typed if name not in but and rows[name].dtype != pl.String)


def as_text(values: pl.Series) -> pl.Series:
    """Values as text: numbers in digits, booleans as true and false, days and moments in ISO 8601, structs as JSON."""
    if values.dtype == pl.Struct:
        fields = [as_text(field) for field in values.struct.unnest()]
        return pl.DataFrame(fields).select(pl.struct(pl.all()).struct.json_encode().alias(values.name)).to_series()
    return time_as_text(values) if values.dtype.is_temporal() else values.cast(pl.String)


def time_as_text(values: pl.Series) -> pl.Series:
    """Days, moments, times and durations in ISO 8601; one outside the years 1 to 9999 keeps its number alone.

    Polars panics when it is asked to write a moment that lies too far away.
    """
    number = values.to_physical()
    in_days = number // _PARTS_OF_A_DAY[values.dtype.time_unit] if isinstance(values.dtype, pl.Datetime) else number
    has_year = values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime)
    is_near = in_days.is_between(*_DAYS_WITH_FOUR_DIGIT_YEARS) if has_year else number.is_not_null()
    near = pl.when(is_near).then(values)
    if isinstance(values.dtype, pl.Datetime):
        text = near.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if values.dtype.time_zone else ""))
    elif isinstance(values.dtype, pl.Duration):
        text = near.dt.to_string("iso")
    else:
        text = near.cast(pl.String)
    written = pl.coalesce(text, pl.lit("out of range: ") + number.cast(pl.String))
    return pl.select(written.alias(values.name)).to_series()
