"""What fitting on Spark shares: rows stay with the tasks, and only what is small by nature comes to the driver.

Weights are computed by the family's own `history_weights`, inside a task and for whole users, so that no rule is
written twice. Which family is fitted on Spark, and how, stays with the families.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Parameters, SparkInteractions
from recsys_assets.models.made_with import rows_digest

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame

RATINGS = "user int, item int, weight double"
BATCH_ROWS = 100_000


def items_of(interactions: SparkInteractions) -> pl.Series:
    """The id map: every item that somebody did something with, String, sorted."""
    return _column(interactions.rows.select("item_id").distinct(), "item_id").sort()


def weight_per_item(interactions: SparkInteractions, parameters: Parameters) -> pl.DataFrame:
    """What users did with each item, as the family weighs it.

    Returns:
        item_id, weight (Float64, summed over users), sorted by item.
    """
    task = partial(_weight_per_item, parameters, interactions.as_of)
    parts = pl.from_arrow(_by_user(interactions).mapInArrow(task, "item_id string, weight double").toArrow())
    return pl.DataFrame(parts).group_by("item_id").agg(pl.col("weight").sum()).sort("item_id")


def ratings(interactions: SparkInteractions, parameters: Parameters, item_ids: pl.Series) -> "DataFrame":
    """What each user did with each item, as the family weighs it, with numbers for both.

    Args:
        interactions: What to learn from.
        parameters: Of the family.
        item_ids: The id map; an item's number is its place in it.

    Returns:
        user (int), item (int), weight (double); one row per user and item.
    """
    session = interactions.rows.sparkSession
    stride = int(session.conf.get("spark.sql.shuffle.partitions") or 1)
    task = partial(_numbered, parameters, interactions.as_of, session.sparkContext.broadcast(item_ids), stride)
    return _by_user(interactions).mapInArrow(task, RATINGS)


def spread_digest(interactions: SparkInteractions) -> str:
    """SHA-256 of the rows by their values alone: of the digests that `rows_digest` gives to those of each day.

    Another one than `rows_digest` of all rows, which somebody would have to hold at once.
    """
    by_day = interactions.rows.select(*HISTORY_SCHEMA.names()).repartition("day")
    digests = _column(by_day.mapInArrow(_digests, "digest string"), "digest").sort()
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _by_user(interactions: SparkInteractions) -> "DataFrame":
    """The rows, all of a user in the same partition."""
    return interactions.rows.select(*HISTORY_SCHEMA.names()).repartition("user_id")


def _column(frame: "DataFrame", name: str) -> pl.Series:
    return pl.DataFrame(pl.from_arrow(frame.toArrow()))[name]


# --- What runs in a task ---


def _weight_per_item(
    parameters: Parameters, as_of: date, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    weights = parameters.history_weights(Interactions(_sorted(batches), as_of))
    yield from _batches(weights.group_by("item_id").agg(pl.col("weight").sum()))


def _numbered(
    parameters: Parameters,
    as_of: date,
    item_ids: "Broadcast[pl.Series]",
    stride: int,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """A user is in one partition only, so the number there is unique with that of the partition."""
    from pyspark import TaskContext

    context = TaskContext.get()
    partition = 0 if context is None else context.partitionId()
    items = pl.DataFrame({"item_id": item_ids.value}).with_columns(item=pl.int_range(pl.len(), dtype=pl.Int32))
    user = (pl.col("user_id").rank("dense").cast(pl.Int64) - 1) * stride + partition
    weights = parameters.history_weights(Interactions(_sorted(batches), as_of)).join(items, on="item_id")
    yield from _batches(weights.select(user.cast(pl.Int32).alias("user"), "item", "weight"))


def _digests(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for (day,), rows in _sorted(batches).partition_by("day", as_dict=True).items():
        yield pa.record_batch({"digest": [f"{day} {rows_digest(rows)}"]})


def _sorted(batches: Iterable[pa.RecordBatch]) -> pl.DataFrame:
    """The rows of a task, in the order in which everything is fitted."""
    parts = [pl.DataFrame(pl.from_arrow(batch)) for batch in batches]
    return pl.concat([pl.DataFrame(schema=HISTORY_SCHEMA), *parts]).sort(HISTORY_SCHEMA.names())


def _batches(rows: pl.DataFrame) -> list[pa.RecordBatch]:
    return list(rows.to_arrow().to_batches(BATCH_ROWS))
