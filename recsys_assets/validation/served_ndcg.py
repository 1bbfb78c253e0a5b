"""How the lists that were served on a day did on that day. Pure: lists and hits are read elsewhere."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from recsys_assets.columns import SERVED_NDCG
from recsys_assets.validation.bootstrap import mean_intervals
from recsys_assets.validation.metrics import hit_matrix, per_user_metrics, relevant_counts

CUTOFF = 10
FIGURE = "ndcg_at_10"
GROUP = ("family", "version")


def served_users(lists: pl.DataFrame, hits: pl.DataFrame, day: date) -> pl.DataFrame:
    """Measure each list of a day on what its user took on that day.

    Args:
        lists: family, version, user_id, item_ids (best first): the lists as of the day before; each user has at most
            one of a family.
        hits: user_id, item_id: what users took on the day without having had it.
        day: The day.

    Returns:
        family, version, day, user_id, ndcg_at_10; one row per list of a user with a hit. Who has no list was served
        none of these, and who took nothing says nothing about them.
    """
    taking = lists.join(hits, on="user_id", how="semi")
    parts = [
        _measured(rows, hits).with_columns(family=pl.lit(family), version=pl.lit(version), day=pl.lit(day))
        for (family, version), rows in taking.group_by(GROUP, maintain_order=True)
    ]
    schema = {"family": pl.String, "version": pl.String, "day": pl.Date, "user_id": pl.String, FIGURE: pl.Float64}
    return pl.concat(parts).select(schema.keys()) if parts else pl.DataFrame(schema=schema)


def served_figures(per_user: Sequence[pl.DataFrame], slot: date, seed: int) -> pl.DataFrame:
    """Average over users: for each day, and for all days together.

    Over all days each user counts once, with the mean of their days, so that users are the unit of the interval.

    Args:
        per_user: What `served_users` returns, for each day.
        slot: The slot that the days belong to.
        seed: Of the intervals.

    Returns:
        Rows of `validation/served`, sorted; none where nothing was served.
    """
    if not per_user:
        return pl.DataFrame(schema=SERVED_NDCG.schema)
    daily = pl.concat(per_user)
    pooled = daily.group_by(*GROUP, "user_id").agg(pl.col(FIGURE).mean()).with_columns(day=pl.lit(None, pl.Date))
    rows = [
        {"ds": slot, **dict(zip((*GROUP, "day"), group, strict=True)), **_averaged(users, seed)}
        for frame in (daily, pooled)
        for group, users in frame.sort("user_id").group_by(*GROUP, "day", maintain_order=True)
    ]
    return pl.DataFrame(rows, schema=SERVED_NDCG.schema).sort(*GROUP, "day")


def newest_served(per_user: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Family to the version that served last."""
    if not per_user:
        return {}
    newest = pl.concat(per_user).sort("day", "version").group_by("family").agg(pl.col("version").last())
    return dict(newest.sort("family").iter_rows())


def _measured(lists: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    users = lists["user_id"]
    found = hit_matrix(lists, hits, users, CUTOFF)
    return per_user_metrics(found, relevant_counts(hits, users), (CUTOFF,)).select(users.alias("user_id"), FIGURE)


def _averaged(users: pl.DataFrame, seed: int) -> dict[str, float | None]:
    values = users.select(FIGURE)
    low, high = mean_intervals(values, seed)[FIGURE] or (None, None)
    mean = values[FIGURE].mean()
    return {
        "users": values.height,
        FIGURE: mean if isinstance(mean, float) else None,
        f"{FIGURE}_low": low,
        f"{FIGURE}_high": high,
    }
