"""The point-in-time join: to each labelled row the values that were known at its moment. Pure; reading stays out."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import polars as pl

KNOWN_DAY = "_known_day"
VALUE_DAY = "_value_day"


class JoinError(Exception):
    """A frame cannot be joined; the message says what is missing, what is there, and what would be right."""


def require_joinable(
    rows: pl.DataFrame, keys: Mapping[str, pl.DataType], columns: Sequence[str], timestamp_column: str
) -> None:
    """Raise JoinError unless the frame has a moment, keys of the right type, and room for the new columns."""
    for name in (timestamp_column, *keys):
        if name not in rows.columns:
            raise JoinError(f"the frame has no column {name!r}; it has {', '.join(rows.columns)}")
        if rows.schema[name] != keys.get(name, rows.schema[name]):
            raise JoinError(f"{name}: is {rows.schema[name]}, must be {keys[name]}; cast it")
    for name in columns:
        if name in rows.columns:
            raise JoinError(f"the frame has a column {name!r} already; drop or rename it")


def last_known_day(moments: pl.Series, zone: ZoneInfo) -> pl.Series:
    """The last day that had ended at each moment, which is the newest day whose features may be used.

    Args:
        moments: Datetimes, or dates (the first moment of the day). A datetime without a time zone is in `zone`.
        zone: Where days begin and end.

    Raises:
        JoinError: The column holds neither.
    """
    if moments.dtype == pl.Date:
        return moments.dt.offset_by("-1d").alias(KNOWN_DAY)
    if not isinstance(moments.dtype, pl.Datetime):
        raise JoinError(f"{moments.name}: is {moments.dtype}, must be a datetime or a date")
    local = moments if moments.dtype.time_zone is None else moments.dt.convert_time_zone(str(zone))
    return local.dt.date().dt.offset_by("-1d").alias(KNOWN_DAY)


def value_days(known: pl.DataFrame, stored: pl.DataFrame, ttl_days: int) -> pl.DataFrame:
    """The newest stored day for each known day, as long as it may stand in for a newer one.

    Args:
        known: KNOWN_DAY, and the columns by which days are stored apart (a family), if any.
        stored: ds, and the same columns.
        ttl_days: For how many days a value counts, its own included.

    Returns:
        The rows of `known` with VALUE_DAY (Date, null where nothing counts), in no particular order.
    """
    by = [name for name in stored.columns if name != "ds"]
    return (
        known.unique()
        .sort(KNOWN_DAY)
        .join_asof(
            stored.unique().sort("ds").with_columns(pl.col("ds").alias(VALUE_DAY)),
            left_on=KNOWN_DAY,
            right_on="ds",
            by=by or None,
            tolerance=timedelta(days=ttl_days - 1),
            check_sortedness=False,
        )
        .drop("ds", strict=False)
    )


def join_snapshot(rows: pl.LazyFrame, view: pl.LazyFrame, days: pl.LazyFrame, entity: list[str]) -> pl.LazyFrame:
    """Join the state that was stored for the day; who is not in it has no value, whatever older days said.

    Args:
        rows: The entity's columns, KNOWN_DAY and whatever else.
        view: The entity's columns, ds, and the values.
        days: KNOWN_DAY to VALUE_DAY, apart by the columns that they share with `rows`.
        entity: What is joined on.
    """
    shared = [name for name in days.collect_schema().names() if name != VALUE_DAY]
    dated = rows.join(days, on=shared, how="left", maintain_order="left")
    return dated.join(
        view, left_on=[*entity, VALUE_DAY], right_on=[*entity, "ds"], how="left", maintain_order="left"
    ).drop(VALUE_DAY)


def join_changes(rows: pl.LazyFrame, view: pl.LazyFrame, entity: list[str], ttl_days: int) -> pl.LazyFrame:
    """Join the entity's newest row at or before the known day.

    Args:
        rows: The entity's columns, KNOWN_DAY and whatever else.
        view: The entity's columns, ds, and the values; one row per entity and day.
        entity: What is joined on.
        ttl_days: For how many days a value counts, its own included.
    """
    numbered = rows.with_row_index("_place")
    found = numbered.sort(KNOWN_DAY).join_asof(
        view.rename({"ds": VALUE_DAY}).sort(VALUE_DAY),  # the rows may have a column `ds` of their own
        left_on=KNOWN_DAY,
        right_on=VALUE_DAY,
        by=entity,
        tolerance=timedelta(days=ttl_days - 1),
        check_sortedness=False,
    )
    return found.sort("_place").drop("_place", VALUE_DAY, strict=False)
