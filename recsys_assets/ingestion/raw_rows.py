"""Raw rows: the records of landed files as text, before anything is believed about them.

Only the shape that all file formats are read into belongs here; how a format is read stays out. A frame of
raw rows holds `source_file`, `line`, `raw` and `defect`, and for each column of the file that the mapping
names a text column called `field:NAME`, so that no column of a shop can collide with one of ours.
"""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from recsys_assets.mapping import SourceMapping

FIELD = "field:"
_SHOWN_COLUMNS = 30

TOO_MANY_FIELDS = "too_many_fields"
UNCLOSED_QUOTE = "unclosed_quote"
MALFORMED = "malformed"
NOT_UTF8 = "not_utf8"
NOT_JSON = "not_json"


class UnreadableFileError(ValueError):
    """A whole file cannot be read; the message names the file, what is wrong and what would be right."""


def field(name: str) -> pl.Expr:
    """The text of a column of the file; null where it is missing or empty."""
    return pl.col(FIELD + name)


def raw_rows(
    file_name: str,
    *,
    line: Sequence[int] | pl.Series,
    raw: Sequence[str] | pl.Series,
    defect: Sequence[str | None] | pl.Series | None = None,
    fields: Mapping[str, Sequence[str | None] | pl.Series],
) -> pl.DataFrame:
    """Put the records of one file into the common shape.

    Args:
        file_name: The file, relative to the landing.
        line: First physical line of each record, counted from 1.
        raw: Each record as it was delivered.
        defect: Why a record cannot be used at all, else null; None when no record has a defect.
        fields: Text of each mapped column of the file.

    Returns:
        `source_file`, `line` (Int64), `raw`, `defect`, and `field:NAME` for each field (String, or as the series
        is typed).
    """
    lines = pl.Series("line", line, pl.Int64)
    columns = [
        lines,
        _column("raw", raw),
        pl.repeat(None, len(lines), dtype=pl.String, eager=True).alias("defect")
        if defect is None
        else pl.Series("defect", defect, pl.String),
        *(_column(FIELD + name, values) for name, values in fields.items()),
    ]
    texts = [column.name for column in columns if column.name.startswith(FIELD) and column.dtype == pl.String]
    empty_is_missing = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in texts]
    return pl.DataFrame(columns).select(pl.lit(file_name).alias("source_file"), pl.all()).with_columns(empty_is_missing)


def _column(name: str, values: Sequence[str | None] | pl.Series) -> pl.Series:
    return values.alias(name) if isinstance(values, pl.Series) else pl.Series(name, values, pl.String)


def no_rows(mapping: SourceMapping) -> pl.DataFrame:
    """The raw rows of a file without records."""
    return raw_rows("", line=[], raw=[], fields={name: [] for name in mapping.file_columns})


def check_header(file_name: str, found: Iterable[str], mapping: SourceMapping) -> None:
    """Check that a file has the columns that its mapping reads, and each name once.

    Args:
        file_name: The file, for the message.
        found: The file's column names; an empty one is a column without a name.
        mapping: The declaration that the file is read by.

    Raises:
        UnreadableFileError: A column is missing, or a name occurs twice.
    """
    names = [name for name in found if name]
    listed = ", ".join(repr(name[:_SHOWN_COLUMNS]) for name in names[:_SHOWN_COLUMNS]) or "none"
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableFileError(
            f"{file_name}: the header names {', '.join(map(repr, twice))} more than once; give each column "
            f"a name of its own (columns found: {listed})"
        )
    missing = [name for name in mapping.file_columns if name not in names]
    if missing:
        raise UnreadableFileError(
            f"{file_name}: the header lacks {', '.join(map(repr, missing))} (columns found: {listed}); "
            f"correct the mapping or its separator in recsys.yaml, or the file"
        )
