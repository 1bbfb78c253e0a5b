"""Who the users of a holdout are, and how lists do for each kind of them."""

from datetime import date, timedelta

import polars as pl

from recsys_assets.validation.metrics import hit_matrix, mean_metrics, per_user_metrics, relevant_counts

LIGHT_TO_HEAVY = ("none", "light", "middle", "heavy")
"""The segments of `features/user_profile`; a user of whom it says nothing is in the first."""
NEW_ITEMS = "new_items"
COLD_USERS = "cold_users"
SEGMENT_METRICS = ("ndcg_at_10", "recall_at_10", "hit_rate_at_10")
NEW_DAYS = 30


def accuracy(lists: pl.DataFrame, hits: pl.DataFrame, users: pl.Series, n: int) -> pl.DataFrame:
    """Measure the lists of some users against some hits.

    Args:
        lists: user_id, item_ids (best first).
        hits: user_id, item_id.
        users: Whom to measure; one without a list finds nothing, one without a hit has no metric.
        n: Ranks to look at.

    Returns:
        The columns of `per_user_metrics`, in the order of `users`.
    """
    return per_user_metrics(hit_matrix(lists, hits, users, n), relevant_counts(hits, users))


def segments_of(users: pl.Series, profiles: pl.DataFrame) -> pl.Series:
    """The segment of each user.

    Args:
        users: User ids.
        profiles: user_id, segment: `features/user_profile` as of the last day that the candidate has seen.
    """
    rows = pl.DataFrame({"user_id": users}, schema={"user_id": pl.String})
    found = rows.join(profiles.select("user_id", "segment"), on="user_id", how="left", maintain_order="left")
    return found["segment"].fill_null(LIGHT_TO_HEAVY[0])


def established_items(items_seen: pl.DataFrame, as_of: date, new_days: int = NEW_DAYS) -> pl.Series:
    """The items that are not new any more: first seen before the newest `new_days` days.

    Args:
        items_seen: item_id, first_seen_on; an item without a row was never seen until `as_of`, so it is new.
        as_of: The last day that is known.
        new_days: For how many days an item is new, `as_of` the last of them.
    """
    return items_seen.filter(pl.col("first_seen_on") <= as_of - timedelta(days=new_days))["item_id"]


def by_segment(user_metrics: pl.DataFrame, new: pl.DataFrame, cold: pl.DataFrame) -> pl.DataFrame:
    """Average the main metrics over each kind of users; the kinds overlap.

    Args:
        user_metrics: segment and SEGMENT_METRICS of every user with a history and a hit.
        new: SEGMENT_METRICS on hits on new items alone; null for a user without such a hit.
        cold: SEGMENT_METRICS of the users with a hit and without a history, on their fallback lists.

    Returns:
        segment, users (who are averaged over), SEGMENT_METRICS (null without users); one row per segment, always all.
    """
    kinds = {name: user_metrics.filter(pl.col("segment") == name) for name in LIGHT_TO_HEAVY}
    kinds |= {NEW_ITEMS: new, COLD_USERS: cold}
    rows = [_averaged(name, frame.select(SEGMENT_METRICS).drop_nulls()) for name, frame in kinds.items()]
    schema = {"segment": pl.String, "users": pl.Int64} | dict.fromkeys(SEGMENT_METRICS, pl.Float64)
    return pl.DataFrame(rows, schema=schema)


def _averaged(segment: str, metrics: pl.DataFrame) -> dict[str, str | float | None]:
    return {"segment": segment, "users": metrics.height, **mean_metrics(metrics)}
