"""From rows to lists and back: the one thing that views need and Narwhals does not have, for either engine.

What is listed, and why, stays with the views.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import polars as pl

from recsys_assets.features.rules import Frame


def listed(rows: Frame, key: str, order_by: Sequence[str], lists: Mapping[str, str]) -> Frame:
    """One row per key, with lists of what its rows hold.

    Args:
        rows: Any number of rows per key; a key whose values are all null gets empty lists.
        key: The column to group by.
        order_by: The order inside the lists.
        lists: Name of the list to the column that it is made of; nulls are left out.

    Returns:
        key and the lists, in no particular order of rows.
    """
    list_up = _list_in_polars if rows.implementation.is_polars() else _list_in_spark
    result: Frame = nw.from_native(list_up(rows.to_native(), key, order_by, lists))
    return result


def unlisted(rows: Frame, columns: Mapping[str, str], position: str) -> Frame:
    """One row per place of some lists of equal length.

    Args:
        rows: With the lists.
        columns: Name of the column to the list that it comes from.
        position: Name of the column that gets the place in the list, from 1 on.
    """
    others = [name for name in rows.collect_schema().names() if name not in columns.values()]
    unlist = _unlist_in_polars if rows.implementation.is_polars() else _unlist_in_spark
    result: Frame = nw.from_native(unlist(rows.to_native(), others, columns, position))
    return result


def _list_in_polars(rows: pl.LazyFrame, key: str, order_by: Sequence[str], lists: Mapping[str, str]) -> pl.LazyFrame:
    return rows.group_by(key).agg(
        pl.col(column).sort_by(*order_by).drop_nulls().alias(name) for name, column in lists.items()
    )


def _unlist_in_polars(
    rows: pl.LazyFrame, others: Sequence[str], columns: Mapping[str, str], position: str
) -> pl.LazyFrame:
    places = pl.int_ranges(1, pl.col(next(iter(columns.values()))).list.len() + 1).alias(position)
    taken = rows.select(*others, places, *(pl.col(source).alias(name) for name, source in columns.items()))
    return taken.explode(position, *columns, empty_as_null=False, keep_nulls=False)


def _list_in_spark(rows: Any, key: str, order_by: Sequence[str], lists: Mapping[str, str]) -> Any:
    from pyspark.sql import functions as sf

    def list_of(column: str) -> Any:
        ordered = sf.struct(*order_by, sf.col(column).alias("_value"))
        taken = sf.collect_list(sf.when(sf.col(column).isNotNull(), ordered))
        return sf.transform(sf.array_sort(taken), lambda one: one["_value"])

    return rows.groupBy(key).agg(*(list_of(column).alias(name) for name, column in lists.items()))


def _unlist_in_spark(rows: Any, others: Sequence[str], columns: Mapping[str, str], position: str) -> Any:
    from pyspark.sql import functions as sf

    zipped = sf.posexplode(sf.arrays_zip(*(sf.col(source).alias(name) for name, source in columns.items())))
    exploded = rows.select(*others, zipped.alias("_place", "_values"))
    place = (sf.col("_place") + 1).alias(position)
    return exploded.select(*others, place, *(sf.col(f"_values.{name}").alias(name) for name in columns))
