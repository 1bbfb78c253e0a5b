"""Raw rows to one canonical table: each row is accepted, or set aside with the first reason that applies.

For every file, parsed = accepted + rejected. Reading files stays out, and so does every rule about what users
may be shown (`features.rules`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from recsys_assets.columns import (
    BLOCK_TARGETS,
    EVENT_TYPES,
    INGESTED_FILES,
    REJECTED_ROWS,
    UTC_MOMENT,
    Column,
    Table,
)
from recsys_assets.ingestion.conditions import all_hold, holds
from recsys_assets.ingestion.forgotten import FORGOTTEN, ForgottenUsers
from recsys_assets.ingestion.raw_rows import FIELD, field
from recsys_assets.ingestion.typed_rows import converted, fits, in_text
from recsys_assets.ingestion.values import as_boolean, as_date, as_integer, as_moment, as_number
from recsys_assets.mapping import ColumnSource, EventTypeMapping, SourceMapping
from recsys_assets.platform import Platform

DUPLICATE = "duplicate"
LANDED = ("landing_fingerprint", "content")
"""Columns of `INGESTED_FILES` that say which state of the landing was read; rows alone cannot tell."""
_TEXT = "text:"
_FILE = ("ds", "source_file")
_DEFAULTS = {"quantity": "1"}
_NEVER_NEGATIVE = ("quantity", "unit_price")
_COUNTED_FROM_ONE = ("position",)
_VOCABULARIES = {"event_type": EVENT_TYPES, "target": BLOCK_TARGETS}


@dataclass(frozen=True)
class CanonicalRows:
    """What became of the raw rows of one table.

    `accepted` has the table's schema, `rejected` that of `REJECTED_ROWS`; `counts` has the columns of
    `INGESTED_FILES` without `LANDED`, one row per file. Rows written = accepted - folded.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame

    @classmethod
    def none(cls, table: Table) -> "CanonicalRows":
        """What becomes of no files at all."""
        counts = pl.Schema((name, kind) for name, kind in INGESTED_FILES.schema.items() if name not in LANDED)
        empty = (pl.DataFrame(schema=schema) for schema in (table.schema, REJECTED_ROWS.schema, counts))
        return cls(*empty)


def to_canonical(
    rows: pl.DataFrame,
    table: Table,
    mapping: SourceMapping,
    platform: Platform,
    *,
    files: pl.DataFrame | None = None,
    forgotten: ForgottenUsers | None = None,
) -> CanonicalRows:
    """Turn the raw rows of one or many files into rows of a table.

    Args:
        rows: Raw rows with `ds`, as `reading.read_files` returns them. Their order decides which of two equal
            rows is kept, and which change of a day is the last one.
        table: One of `columns.SOURCE_TABLES`.
        mapping: The table's declaration.
        platform: For the time zone, and the tolerance of `wrong_day`.
        files: `ds` and `source_file` of the files to be counted even when they hold no row.
        forgotten: People whose rows are set aside without their text, whatever else is wrong with them.

    Returns:
        The accepted and the rejected rows, and their counts per file.
    """
    typed = _typed_columns(rows.schema, table, mapping)
    texts = in_text(rows, but={"raw", *(FIELD + str(mapping.columns[name].source) for name in typed)})
    judged = _judged(_rows_of_table(texts, mapping), typed, table, mapping, platform)
    if forgotten is not None and "user_id" in table.schema:
        judged = judged.with_columns(
            reason=pl.when(forgotten.are_in(judged)).then(pl.lit(FORGOTTEN)).otherwise("reason")
        )
    is_accepted = pl.col("reason").is_null()
    accepted = judged.select("source_file", "reason", *table.schema.names()).filter(is_accepted)
    written = _newest_of_each_key(accepted, table)
    refused = judged["reason"].is_not_null().arg_true()
    rejected = judged.select("ds", "source_file", "line", "reason", "raw")[refused]
    return CanonicalRows(
        accepted=written.select(table.schema.names()),
        rejected=_set_aside(in_text(rejected), table),
        counts=_counts(judged, written, table, files),
    )


def _set_aside(rejected: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows of `REJECTED_ROWS`; of people who were forgotten there is no text."""
    raw = pl.when(pl.col("reason") == FORGOTTEN).then(pl.lit("")).otherwise("raw").alias("raw")
    return rejected.with_columns(raw, table=pl.lit(table.key[-1])).select(REJECTED_ROWS.schema.names())


def _typed_columns(delivered: pl.Schema, table: Table, mapping: SourceMapping) -> dict[str, pl.DataType]:
    """The columns that become values without the way over text, with the type that their file gives them.

    Theirs needs no repair, fits, and is asked for by nobody else: conditions look at texts.
    """
    typed = {
        column.name: delivered[FIELD + source.source]
        for column in table.columns
        if (source := mapping.columns.get(column.name)) is not None
        and source.source is not None
        and not source.needs_text
        and fits(delivered[FIELD + source.source], column.dtype)
    }
    read_as_text = [source.source for name, source in mapping.columns.items() if name not in typed]
    asked = {*read_as_text, *mapping.asked_columns}
    return {name: dtype for name, dtype in typed.items() if mapping.columns[name].source not in asked}


def _rows_of_table(rows: pl.DataFrame, mapping: SourceMapping) -> pl.DataFrame:
    """The rows that the table is meant to hold, with blank texts as missing ones.

    A row that cannot be read may belong to any table, so it counts for each.
    """
    names = [name for name in rows.columns if name.startswith(FIELD) and rows.schema[name] == pl.String]
    blank_is_missing = [pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name) for name in names]
    stripped = rows.with_columns(blank_is_missing)
    return stripped.filter(pl.col("defect").is_not_null() | all_hold(mapping.where)) if mapping.where else stripped


def _judged(
    rows: pl.DataFrame, typed: Mapping[str, pl.DataType], table: Table, mapping: SourceMapping, platform: Platform
) -> pl.DataFrame:
    """The rows with the table's columns, and with the `reason` for which each is rejected, else null."""
    texts, values = [], []
    for column in table.columns[1:]:
        if column.name in typed:
            text, value = _typed(column, typed[column.name], mapping, platform)
        else:
            text, value = _text(column, mapping), _value(column, mapping, platform)
        texts.append(text.alias(_TEXT + column.name))
        values.append(value.alias(column.name))
    declared = [(rule.reason, all_hold(rule.when)) for rule in mapping.reject]
    checks = [*declared, *_built_in_checks(table, platform)]
    judged = rows.with_columns(texts).with_columns(values).with_columns(reason=_first_reason(checks))
    return judged if mapping.duplicates == "keep" else _without_duplicates(judged)


def _first_reason(checks: Sequence[tuple[str, pl.Expr]]) -> pl.Expr:
    """The defect of a row, else the first check that it fails, else null; numbers first, as most rows have none."""
    names = pl.lit(pl.Series([name for name, _ in checks], dtype=pl.String))
    failed = (pl.when(fails).then(pl.lit(number, pl.UInt32)) for number, (_, fails) in enumerate(checks))
    return pl.coalesce("defect", names.gather(pl.coalesce(failed)))


def _typed(
    column: Column, delivered: pl.DataType, mapping: SourceMapping, platform: Platform
) -> tuple[pl.Expr, pl.Expr]:
    """What stands for the text of a column that is delivered with a type, and its value."""
    source = mapping.columns[column.name]
    found = pl.col(FIELD + str(source.source))
    if column.name in _DEFAULTS:
        found = found.fill_null(pl.lit(_DEFAULTS[column.name]).cast(delivered))
    value = converted(found, delivered, column.dtype, platform.time_zone)
    return found, value.abs() if source.absolute else value


def _text(column: Column, mapping: SourceMapping) -> pl.Expr:
    """The repaired text of a canonical column; null where the source has nothing."""
    if column.name == "event_type" and mapping.event_type is not None:
        return _event_type(mapping.event_type)
    source = mapping.columns.get(column.name)
    text = pl.lit(None, pl.String) if source is None else _repaired(source)
    return text.fill_null(_DEFAULTS[column.name]) if column.name in _DEFAULTS else text


def _repaired(source: ColumnSource) -> pl.Expr:
    text = field(source.source) if source.source is not None else pl.lit(source.constant)
    text = text.str.strip_chars()
    if source.strip_suffix is not None:
        text = text.str.strip_suffix(source.strip_suffix).str.strip_chars()
    if source.case is not None:
        text = text.str.to_uppercase() if source.case == "upper" else text.str.to_lowercase()
    if source.decimal_comma:
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    if source.translate:
        text = text.replace(source.translate)
    return pl.when(text != "").then(text)


def _event_type(mapping: EventTypeMapping) -> pl.Expr:
    """Rules first, then the column with its translation; the default is for rows that say nothing."""
    word = pl.lit(None, pl.String)
    if mapping.column is not None:
        word = field(mapping.column).str.strip_chars().replace(mapping.translate)
    ruled = [pl.when(holds(rule.when)).then(pl.lit(rule.is_)) for rule in mapping.rules]
    return pl.coalesce(*ruled, word, pl.lit(mapping.default, pl.String))


def _value(column: Column, mapping: SourceMapping, platform: Platform) -> pl.Expr:
    """The typed value of a canonical column; null where the text is missing or cannot become one."""
    text = pl.col(_TEXT + column.name)
    source = mapping.columns.get(column.name, ColumnSource(constant=""))
    if column.dtype == pl.String:
        return text
    if column.dtype == pl.Boolean:
        return as_boolean(text, source.true_values)
    if column.dtype == pl.Date:
        return as_date(text, platform.time_zone, source.timestamp_format)
    if column.dtype == UTC_MOMENT:
        return as_moment(text, platform.time_zone, source.timestamp_format)
    number = as_integer(text) if column.dtype == pl.Int64 else as_number(text)
    return number.abs() if source.absolute else number


def _built_in_checks(table: Table, platform: Platform) -> Iterator[tuple[str, pl.Expr]]:
    """Each reason with the rows that it rejects, in the order of the schema; the day comes last."""
    for column in table.columns[1:]:
        text, value = pl.col(_TEXT + column.name), pl.col(column.name)
        if not column.is_nullable:
            yield f"missing_{column.name}", text.is_null()
        if column.dtype != pl.String:
            yield f"bad_{column.name}", text.is_not_null() & value.is_null()
        if column.name in _VOCABULARIES:
            yield f"unknown_{column.name}", ~value.is_in(_VOCABULARIES[column.name])
        if column.name in _NEVER_NEGATIVE:
            yield f"{column.name}_negative", value < 0
        if column.name in _COUNTED_FROM_ONE:
            yield f"{column.name}_below_one", value < 1
    moment = _moment_column(table)
    if moment is not None:
        yield "wrong_day", ~_lies_on_its_day(moment, platform)


def _moment_column(table: Table) -> str | None:
    return next((column.name for column in table.columns if column.dtype == UTC_MOMENT), None)


def _lies_on_its_day(moment: str, platform: Platform) -> pl.Expr:
    tolerance = timedelta(minutes=platform.wrong_day_tolerance_minutes)
    begin = pl.col("ds").cast(pl.Datetime("us"))
    local = pl.col(moment).dt.convert_time_zone(platform.time_zone).dt.replace_time_zone(None)
    return local.is_between(begin - tolerance, begin + timedelta(days=1) + tolerance, closed="left")


def _without_duplicates(judged: pl.DataFrame) -> pl.DataFrame:
    """Reject an accepted row that repeats, in all that was delivered, an earlier accepted one of the day."""
    raw = judged["raw"]
    is_typed = raw.dtype == pl.Struct  # then it holds all fields
    fields = [] if is_typed else [name for name in judged.columns if name.startswith(FIELD)]
    hashes = (raw.struct.unnest() if is_typed else judged.select("raw", *fields)).hash_rows()
    is_alike = judged.select("ds", pl.col("reason").is_null(), hashes.alias("hash")).is_duplicated()
    alike = is_alike.arg_true()  # few: rows with different hashes differ, and only these are compared value by value
    some = in_text(judged.select("ds", "reason", "raw", *fields)[alike])
    is_repeated = pl.col("reason").is_null() & ~pl.struct(pl.all()).is_first_distinct()
    repeated = alike.filter(some.select(is_repeated).to_series())
    return judged.with_columns(judged["reason"].scatter(repeated, DUPLICATE)) if len(repeated) else judged


def _newest_of_each_key(accepted: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Of a table with a key, such as a change log, the day's last row of each; of any other table all rows."""
    if not table.primary_key:
        return accepted
    moment = _moment_column(table)
    in_order = accepted.sort(moment, maintain_order=True) if moment is not None else accepted
    return in_order.unique(subset=table.primary_key, keep="last", maintain_order=True)


def _counts(judged: pl.DataFrame, written: pl.DataFrame, table: Table, files: pl.DataFrame | None) -> pl.DataFrame:
    is_accepted = pl.col("reason").is_null()
    found = judged.group_by(_FILE).agg(parsed=pl.len(), accepted=is_accepted.sum(), rejected=(~is_accepted).sum())
    if table.primary_key:
        found = found.join(written.group_by(_FILE).agg(written=pl.len()), on=_FILE, how="left")
    else:
        found = found.with_columns(written="accepted")
    numbers = pl.col("parsed", "accepted", "rejected", "written").fill_null(0).cast(pl.Int64)
    counted = found.select(_FILE) if files is None else pl.concat([files.select(_FILE), found.select(_FILE)]).unique()
    return (
        counted.join(found, on=_FILE, how="left")
        .with_columns(numbers)
        .with_columns(table=pl.lit(table.key[-1]), folded=pl.col("accepted") - pl.col("written"))
        .sort(_FILE)
        .select(name for name in INGESTED_FILES.schema.names() if name not in LANDED)
    )
