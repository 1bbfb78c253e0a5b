"""What a stored table is, and how Arrow and Spark call the types of its columns. Reading and writing stay out."""

from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

PARTITION = "ds"
SIMPLE: Mapping[pl.DataType, tuple[pa.DataType, str]] = {
    pl.String(): (pa.string(), "string"),
    pl.Date(): (pa.date32(), "date"),
    pl.Int64(): (pa.int64(), "bigint"),
    pl.Int32(): (pa.int32(), "int"),
    pl.Float64(): (pa.float64(), "double"),
    pl.Float32(): (pa.float32(), "float"),
    pl.Boolean(): (pa.bool_(), "boolean"),
    pl.Datetime("us", "UTC"): (pa.timestamp("us", "UTC"), "timestamp"),
}


class StoredTable(Protocol):
    """What the lake must know about a table."""

    @property
    def name(self) -> str:
        """Its place under the root."""

    @property
    def schema(self) -> pl.Schema:
        """Its columns and dtypes, in order; `ds` is the partition."""

    @property
    def required(self) -> tuple[str, ...]:
        """Its columns without nulls."""

    @property
    def in_log(self) -> tuple[str, ...]:
        """Its columns whose extremes may stand in the table's log, which is never rewritten: none that names people."""


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The columns as Arrow has them, each nullable."""
    return pa.schema([(name, arrow_type(dtype)) for name, dtype in schema.items()])


def arrow_type(dtype: pl.DataType) -> pa.DataType:
    """A column's type as Arrow has it.

    Raises:
        KeyError: No table has such a type.
    """
    if isinstance(dtype, pl.List):
        return pa.list_(arrow_type(_inner(dtype)))
    if isinstance(dtype, pl.Struct):
        return pa.struct([(one.name, arrow_type(_instance(one.dtype))) for one in dtype.fields])
    return SIMPLE[dtype][0]


def spark_schema(schema: pl.Schema) -> str:
    """The columns in Spark's words."""
    return ", ".join(f"`{name}` {spark_type(dtype)}" for name, dtype in schema.items())


def spark_type(dtype: pl.DataType) -> str:
    """A column's type in Spark's words.

    Raises:
        KeyError: No table has such a type.
    """
    if isinstance(dtype, pl.List):
        return f"array<{spark_type(_inner(dtype))}>"
    if isinstance(dtype, pl.Struct):
        inside = (f"{one.name}:{spark_type(_instance(one.dtype))}" for one in dtype.fields)
        return f"struct<{','.join(inside)}>"
    return SIMPLE[dtype][1]


def _inner(dtype: pl.List) -> pl.DataType:
    return _instance(dtype.inner)


def _instance(dtype: Any) -> pl.DataType:
    """Of a type inside another, which may be given as a class."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()
