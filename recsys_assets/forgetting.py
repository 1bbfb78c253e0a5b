"""Forgetting a person: out of every table with its history, and out of the online store.

First a digest is kept, so that older files cannot bring the person back; the old data files go last. So the same
command continues after an interruption.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import REJECTED_ROWS, TRAINING_SET
from recsys_assets.ingestion.forgotten_in_lake import remember
from recsys_assets.serving.generations import remove_user
from resources.lake import DeltaLake, FoundTable
from resources.model_registry import ModelRegistry, ModelVersion
from resources.online_store import Client

NOT_REPRODUCIBLE = "not_reproducible"
"""Tag of a version: why it cannot be trained again."""


@dataclass(frozen=True)
class Forgotten:
    """What was removed.

    Attributes:
        rows: Table to the rows removed; of the rejected rows, those whose text was blanked.
        online_keys: Keys removed from the online store.
        tables: How many tables lost their older versions, as far as these needed removed data files.
        versions: Registered versions whose training set is not there any more as it was.
    """

    rows: dict[str, int]
    online_keys: int
    tables: int
    versions: tuple[ModelVersion, ...]


@dataclass(frozen=True)
class _Change:
    """What is done to a table: which rows are concerned, and what becomes of a partition."""

    concerned: pl.Expr
    rewrite: Callable[[pl.LazyFrame], pl.LazyFrame]


def forget(
    user_id: str, today: date, lake: DeltaLake, registry: ModelRegistry, families: Iterable[str], client: Client
) -> Forgotten:
    """Remove a person everywhere. Nobody else may write to the lake meanwhile.

    Models hold no person, so they go on serving; those that were trained on this one can only not be made again.

    Args:
        user_id: The shop's id of the user.
        today: The day of the request: what landed for it or an earlier day is not taken in again.
        lake: The lake.
        registry: The model registry.
        families: The configured families.
        client: The online store.
    """
    remember(user_id, today, lake)
    tables = lake.found()
    rows = {table.name: _rewrite(lake, table, user_id) for table in tables}
    versions = _mark_versions(today, lake, registry, families)
    online_keys = remove_user(client, user_id)
    for table in tables:
        lake.vacuum(table.name)
    return Forgotten({name: count for name, count in rows.items() if count}, online_keys, len(tables), versions)


def _rewrite(lake: DeltaLake, table: FoundTable, user_id: str) -> int:
    """Rewrite the partitions of a table that name the person; returns how many rows did."""
    change = _change_of(table, user_id)
    if change is None:
        return 0
    found = lake.scan(table).filter(change.concerned).group_by("ds").len().sort("ds").collect()
    for day in found["ds"]:
        lake.replace(table, change.rewrite(lake.scan(table, (day, day))).collect(), (day, day))
    return int(found["len"].sum())


def _change_of(table: FoundTable, user_id: str) -> _Change | None:
    """Rows of the person go; a rejected row stays, because files are accounted for by it, and loses its text."""
    if "user_id" in table.schema:
        others = pl.col("user_id").ne_missing(pl.lit(user_id))
        return _Change(~others, lambda rows: rows.filter(others))
    if table.name == REJECTED_ROWS.name:
        named = pl.col("raw").str.contains(rf"(^|[^\w-]){re.escape(user_id)}([^\w-]|$)")
        blank = pl.when(named).then(pl.lit("")).otherwise("raw").alias("raw")
        return _Change(named, lambda rows: rows.with_columns(blank))
    return None


def _mark_versions(
    today: date, lake: DeltaLake, registry: ModelRegistry, families: Iterable[str]
) -> tuple[ModelVersion, ...]:
    """Tag the versions whose training rows are about to go.

    Rows that merely lie in other files by now are not lost: they were compacted, or stored again as they were.
    """
    lost = []
    for family in families:
        for version in registry.versions(family):
            if not _has_rows_of(lake, version.slot, int(version.tags["training_set_version"])):
                registry.set_tags(version, {NOT_REPRODUCIBLE: f"its training set was rewritten to forget, {today}"})
                lost.append(version)
    return tuple(lost)


def _has_rows_of(lake: DeltaLake, slot: date, recorded: int) -> bool:
    """Whether the training set holds the same rows of a slot today as in a recorded Delta version."""
    days = (slot, slot)
    if lake.files(TRAINING_SET.name, days, recorded) <= lake.files(TRAINING_SET.name, days):
        return True
    before = lake.rows_if_kept(TRAINING_SET, days, recorded)
    if before is None:
        return False
    columns = TRAINING_SET.schema.names()
    return before.sort(columns).equals(lake.scan(TRAINING_SET, days).collect().sort(columns))
