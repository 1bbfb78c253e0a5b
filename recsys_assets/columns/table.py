"""What a persisted table is: its key, its columns with type, unit and meaning, and its primary key."""

from dataclasses import dataclass, replace

import polars as pl

UTC_MOMENT = pl.Datetime("us", "UTC")
IDS = pl.List(pl.String)
PERSONAL = ("user_id", "raw")
"""Columns that name people, or may."""


@dataclass(frozen=True)
class Column:
    """One column of a persisted table.

    Attributes:
        name: As in the table.
        dtype: As at rest.
        description: What it means.
        unit: Of the value, where it has one.
        is_nullable: Whether the value may be missing.
        derived_from: The columns that it is computed from, such as `sources/events.quantity`.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    unit: str = ""
    is_nullable: bool = False
    derived_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A persisted table: its asset key is its place in the lake, and `ds` is its partition."""

    key: tuple[str, ...]
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The place under the lake's root, which is also the asset key: `features/interactions`."""
        return "/".join(self.key)

    @property
    def schema(self) -> pl.Schema:
        """Column names and dtypes in the order in which they are stored."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def in_log(self) -> tuple[str, ...]:
        """The columns whose extremes may stand in the table's log: no lists, and none that names people."""
        named = (*PERSONAL, "ds")
        return tuple(one.name for one in self.columns if one.name not in named and not one.dtype.is_nested())

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must never be null."""
        return tuple(column.name for column in self.columns if not column.is_nullable)


def day_column(meaning: str = "the day that the row belongs to, in the configured time zone") -> Column:
    """The partition column of a table that is kept day by day."""
    return Column("ds", pl.Date, meaning)


def slot_column() -> Column:
    """The partition column of a table that is kept slot by slot."""
    return Column("ds", pl.Date, "the training slot: the model sees the days before it")


USER = Column("user_id", pl.String, "the shop's id of the user")
ITEM = Column("item_id", pl.String, "the shop's id of the item")


def from_columns(table: str, *columns: str) -> tuple[str, ...]:
    """Columns of a table as `Column.derived_from` names them."""
    return tuple(f"{table}.{column}" for column in columns)


def user_of(*tables: str) -> Column:
    """The user's id, as some tables have it."""
    return replace(USER, derived_from=tuple(f"{table}.user_id" for table in tables))


def item_of(*tables: str) -> Column:
    """The item's id, as some tables have it."""
    return replace(ITEM, derived_from=tuple(f"{table}.item_id" for table in tables))
