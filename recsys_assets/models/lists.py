"""Histories in, lists out: one model asked for some people, without the shop's business rules.

Exclusions and eligibility are in the feature store, which daily inference and the gate ask; here every item that the
model knows may be recommended, also to whoever owns it.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models.artifact import Artifact
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.ranking import RANKED_SCHEMA, rank


class HistoryError(ValueError):
    """A history cannot be used; the message names the column and the value, and says what would be right."""


@dataclass(frozen=True)
class Asked:
    """What is asked beside the histories.

    Attributes:
        n: The longest list.
        as_of: The day of which interactions fade; None stands for the newest day of the histories, and at least the
            last one that the model has seen.
    """

    n: int = 10
    as_of: date | None = None


def lists_from_histories(artifact: Artifact, histories: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """The best items for each user of some histories.

    Args:
        artifact: The model.
        histories: user_id and item_id; day (`YYYY-MM-DD`, default: the day asked for) and weight (default: 1) where
            they are known. Later days than the one asked for are not looked at.
        asked: What else is asked.

    Returns:
        user_id, item_ids (best first), scores; a row for each user in the order in which they first appear, with empty
        lists where the model knows nothing of a history.

    Raises:
        HistoryError: A column is missing, or a value cannot be used.
    """
    if asked.n < 1:
        raise HistoryError(f"n is {asked.n}; ask for at least 1 item")
    interactions = _interactions(histories, artifact.provenance.trained_through, asked.as_of)
    users = histories["user_id"].cast(pl.String).unique(maintain_order=True)
    items = pl.DataFrame({"item_id": artifact.model.item_ids, "is_adult": False})
    eligible = pl.concat([pl.DataFrame(schema=ELIGIBLE_ITEMS.schema), items], how="diagonal")
    ranked = rank(artifact.model, interactions, users, pl.DataFrame(schema=EXCLUSIONS.schema), eligible, n=asked.n)
    everybody = pl.DataFrame({"user_id": users}).join(ranked, on="user_id", how="left", maintain_order="left")
    empty = (pl.col(name).fill_null(pl.lit([], RANKED_SCHEMA[name])) for name in ("item_ids", "scores"))
    return everybody.with_columns(empty)


def _interactions(histories: pl.DataFrame, trained_through: date, as_of: date | None) -> Interactions:
    missing = {"user_id", "item_id"} - set(histories.columns)
    if missing:
        raise HistoryError(f"{', '.join(sorted(missing))}: is required and missing")
    for name in ("user_id", "item_id"):
        if histories[name].null_count():
            raise HistoryError(f"{name}: {histories[name].null_count()} rows have none")
    days, weights = _days(histories), _weights(histories)
    known = [day for day in (trained_through, days.max()) if isinstance(day, date)]
    through = as_of or max(known)
    rows = histories.select("user_id", "item_id").with_columns(day=days.fill_null(through), weight=weights)
    known_rows = rows.select(HISTORY_SCHEMA.names()).cast(HISTORY_SCHEMA).filter(pl.col("day") <= through)
    return Interactions(known_rows, through)


def _days(histories: pl.DataFrame) -> pl.Series:
    if "day" not in histories.columns:
        return pl.Series("day", [None] * histories.height, pl.Date)
    given = histories["day"].cast(pl.String)
    days = given.str.to_date("%Y-%m-%d", strict=False)
    wrong = given.filter(given.is_not_null() & days.is_null())
    if wrong.len():
        raise HistoryError(f"day: {wrong.item(0)!r} is no day; write it as YYYY-MM-DD, or leave it out")
    return days


def _weights(histories: pl.DataFrame) -> pl.Series:
    if "weight" not in histories.columns:
        return pl.Series("weight", [1.0] * histories.height, pl.Float64)
    weights = histories["weight"].cast(pl.Float64).fill_nan(None).fill_null(1.0)
    wrong = weights.filter(~(weights.is_finite() & (weights > 0)))
    if wrong.len():
        raise HistoryError(f"weight: {wrong.item(0)} cannot be used; it must be a number above 0, or left out")
    return weights
