"""How the tables of the lake lie in files: where they are found, and how rows are put into them."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from deltalake import WriterProperties

from resources import s3

BATCH_ROWS = 100_000
LIST_ROWS = 10_000
"""Rows with lists that are written together, and that a reader of some users can skip together."""


def rows_at_once(schema: Mapping[str, pl.DataType]) -> int:
    """How many rows are written together; one of lists takes as much as hundreds of others."""
    return LIST_ROWS if any(dtype.is_nested() for dtype in schema.values()) else BATCH_ROWS


def writer_properties(schema: Mapping[str, pl.DataType]) -> WriterProperties:
    """How Parquet is written.

    Ids fill the usual dictionary of a megabyte without gain, and it is held for each of the days being written.
    """
    has_lists = rows_at_once(schema) == LIST_ROWS
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        dictionary_page_size_limit=64 * 1024,
        max_row_group_size=LIST_ROWS if has_lists else None,
    )


def names_in(root: Path) -> list[str]:
    """The tables under a folder."""
    return sorted(str(log.parent.relative_to(root)) for log in root.glob("*/*/_delta_log"))


def names_on_s3(root: str) -> list[str]:
    """The tables under an `s3://` prefix."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = (item["Key"].removeprefix(prefix).lstrip("/") for page in pages for item in page.get("Contents", ()))
    return sorted({key.split("/_delta_log/")[0] for key in keys if "/_delta_log/" in key})
