"""One day of `recommendations/<family>` on Spark: tasks get the item side, and rank their users as `rank` does.

Features come as frames of Spark, a row for each user, and lists go straight from the tasks into files of the table.
How a list is made stays with `family_day`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from recsys_assets.columns import EXCLUSIONS, recommendations_table
from recsys_assets.inference.family_day import FamilyDay, Ranking, as_rows, marked, nobody_to_rank_for, without_list
from recsys_assets.models.candidates import EXCLUDING
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.platform import FALLBACK_FAMILY
from resources.at_rest import arrow_schema
from resources.engine import SparkEngine
from resources.spark_tables import partitions, stage_made
from resources.staged import StagedRows

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame

HISTORY = "history"
DID = ("item_id", "day", "weight")
"""What a history says of each interaction, beside whose it is."""


def staged_lists(engine: SparkEngine, made: FamilyDay, fallback: FamilyDay) -> Iterator[StagedRows]:
    """Let the tasks make the lists of a day.

    Args:
        engine: Whose tasks.
        made: What ranks for the family.
        fallback: The same of the fallback family on that day: its list goes to whom the family knows nothing of.

    Yields:
        The rows, once; nothing where no version serves the day.
    """
    if not made.ranking.versions:
        return
    table = recommendations_table(made.family.name)
    rankings = engine.session.sparkContext.broadcast((made.ranking, fallback.ranking))
    task = partial(_ranked, rankings, made.family.name)
    # Ranking costs time and not bytes, by which Spark would put partitions together: a number of ours stays as it is.
    spread = _users(engine, made).repartition(partitions(engine.session), "user_id")
    rows = stage_made(spread, task, made.store.lake, table, sort_by=["user_id"])
    if not rows.height:
        raise nobody_to_rank_for(made.day)
    yield rows


def _users(engine: SparkEngine, made: FamilyDay) -> "DataFrame":
    """A row for each user: what is excluded for them, and what they did, if the family looks at it."""
    from pyspark.sql import functions as sf

    store = made.store
    users: DataFrame = engine.scan(store.lake, EXCLUSIONS, (made.day, made.day)).select(*EXCLUDING).to_native()
    if not made.ranking.is_personal:
        return users
    history: DataFrame = store.history_plan(made.day, made.family.settings.ranked_days).to_native()
    gathered = history.groupBy("user_id").agg(sf.collect_list(sf.struct(*DID)).alias(HISTORY))
    return users.join(gathered, "user_id", "left")


def _ranked(
    rankings: "Broadcast[tuple[Ranking, Ranking]]", family: str, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Runs in a task."""
    ranking, fallback = rankings.value
    schema = arrow_schema(recommendations_table(family).schema)
    for batch in batches:
        users = pl.DataFrame(pl.from_arrow(batch))
        for block in users.iter_slices(ranking.platform.recommendations.block_users):
            yield from _block(ranking, fallback, family, block).to_arrow().cast(schema).to_batches()


def _block(ranking: Ranking, fallback: Ranking, family: str, users: pl.DataFrame) -> pl.DataFrame:
    """The lists of some users, as `FamilyDay` makes them."""
    histories, exclusions = Interactions(_history(users), ranking.day), users.select(EXCLUDING)
    parts = []
    for version, mine, ranked in ranking.of_arms(histories, users["user_id"], exclusions):
        parts.append(marked(ranked, version, is_fallback=False))
        if family != FALLBACK_FAMILY and ranked.height < mine.len():
            popular = fallback.of_arms(histories, without_list(mine, ranked), exclusions)
            parts += [marked(lists, version, is_fallback=True) for _, _, lists in popular]
    return as_rows(parts, family, ranking.day)


def _history(users: pl.DataFrame) -> pl.DataFrame:
    """Histories of some users as rows of HISTORY_SCHEMA, sorted."""
    if HISTORY not in users.columns:
        return pl.DataFrame(schema=HISTORY_SCHEMA)
    did = users.select("user_id", HISTORY).explode(HISTORY).drop_nulls().unnest(HISTORY)
    return did.select(HISTORY_SCHEMA.names()).cast(HISTORY_SCHEMA).sort(HISTORY_SCHEMA.names())
