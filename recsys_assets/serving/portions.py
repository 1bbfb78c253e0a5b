"""Reading what is published from the lake, a portion of users at a time: millions of them need no more memory."""

from collections.abc import Iterator
from datetime import date

import polars as pl

from recsys_assets.columns import EXCLUSIONS, FINAL_RECOMMENDATIONS, Table
from recsys_assets.experiments import arms_on
from recsys_assets.features.store import FeatureStore
from recsys_assets.serving.user_lists import PORTION_SCHEMA
from recsys_assets.slot_window import ONE_DAY

PORTION_USERS = 50_000
"""With lists of 200 and histories of 200 rows, a portion takes about half a gigabyte."""


def portions(store: FeatureStore, day: date, portion_users: int = PORTION_USERS) -> Iterator[pl.DataFrame]:
    """Everybody's final list of a day, with what real time needs to know of them.

    Args:
        store: Features, and the lake.
        day: The last day that the lists know.
        portion_users: How many users are read at once.

    Yields:
        Frames as in PORTION_SCHEMA.
    """
    users = store.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).select("user_id").collect()["user_id"].sort()
    for first in range(0, users.len(), portion_users):
        some = users[first : first + portion_users]
        yield _portion(store, day, (some[0], some[-1]))


def versions_by_arm(store: FeatureStore, day: date) -> dict[str, dict[str, str]]:
    """Experiment arm to its families' versions, of the final lists of a day; the control first."""
    lists = store.lake.scan(FINAL_RECOMMENDATIONS, (day, day))
    found = lists.group_by("arm").agg(pl.col("versions").first()).sort("arm").collect()
    arms = {arm: {one["family"]: one["version"] for one in versions} for arm, versions in found.iter_rows()}
    served = arms_on(store.platform, day + ONE_DAY)
    return {arm: arms[arm] for arm in dict.fromkeys([*served, *arms]) if arm in arms}


def newest_of_each(history: pl.DataFrame, as_of: date, most: int) -> pl.DataFrame:
    """The newest rows of each user's history, as lists.

    Args:
        history: Rows as in HISTORY_SCHEMA.
        as_of: The last day that they know.
        most: How many rows of a user are kept.

    Returns:
        user_id, history_items, history_days_ago, history_weights; one row per user, lists newest first.
    """
    newest_first = history.sort("user_id", "day", "item_id", descending=[False, True, False])
    days_ago = (pl.lit(as_of) - pl.col("day")).dt.total_days().cast(pl.UInt16)
    return newest_first.group_by("user_id", maintain_order=True).agg(
        history_items=pl.col("item_id").head(most),
        history_days_ago=days_ago.head(most),
        history_weights=pl.col("weight").head(most),
    )


def _portion(store: FeatureStore, day: date, users: tuple[str, str]) -> pl.DataFrame:
    """Everything of the users from one id to another."""
    platform = store.platform
    first, last = map(pl.lit, users)

    def rows(table: Table) -> pl.LazyFrame:
        return store.lake.scan(table, (day, day)).filter(pl.col("user_id").is_between(first, last))

    longest = max(settings.ranked_days for settings in platform.families.values())
    history = store.history(day, longest, users)
    exclusions = rows(EXCLUSIONS).rename({"item_ids": "excluded_ids"}).drop("ds", "reasons")
    newest = newest_of_each(history, day, platform.recommendations.realtime_history).lazy()
    portion = (
        rows(FINAL_RECOMMENDATIONS)
        .select("user_id", "item_ids", "arm")
        .join(exclusions, on="user_id", how="left")
        .join(newest, on="user_id", how="left")
        .with_columns(pl.col("may_see_adult").fill_null(value=False))  # no item is adult where that needs no proof
    )
    lists = [name for name, dtype in PORTION_SCHEMA.items() if isinstance(dtype, pl.List)]
    filled = portion.with_columns(pl.col(name).fill_null(pl.lit([], PORTION_SCHEMA[name])) for name in lists)
    return filled.select(PORTION_SCHEMA.names()).collect()
