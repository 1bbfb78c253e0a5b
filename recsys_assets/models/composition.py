"""From the lists of the families to one list per user. Pure steps on frames; ranking and storage stay out."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

RRF_CONSTANT = 60
"""Of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009."""


@dataclass(frozen=True)
class FamilyLists:
    """The lists of one family.

    Attributes:
        lists: user_id, item_ids (best first), is_fallback.
        weight: The family's weight in the blend; 0 leaves it out.
    """

    lists: pl.DataFrame
    weight: float


def final_lists(
    lists: Mapping[str, pl.DataFrame], weights: Mapping[str, float], fallback_family: str, length: int
) -> pl.DataFrame:
    """One list per user from the lists of the families: what is served, and what the blend is judged by.

    Args:
        lists: Family to user_id, item_ids (best first), is_fallback; the fallback family has a list for every user.
        weights: Family to its weight; a family that is missing takes no part.
        fallback_family: The family whose lists fill up.
        length: The longest list.

    Returns:
        As `compose` returns it.
    """
    weighted = {name: FamilyLists(one, weights.get(name, 0.0)) for name, one in lists.items()}
    return compose(blend(weighted), lists[fallback_family], fallback_family, length)


def blend(families: Mapping[str, FamilyLists]) -> pl.DataFrame:
    """Fuse the families' lists by weighted reciprocal ranks: an item scores the sum of weight / (60 + rank).

    Lists that are a fallback already say nothing about the user and do not take part.

    Returns:
        user_id, item_id, score, source (the family with the largest share); one row per user and item.
    """
    parts = [
        _ranked(one.lists.filter(~pl.col("is_fallback")))
        .with_columns(share=one.weight / (RRF_CONSTANT + pl.col("rank")), source=pl.lit(name))
        .drop("rank")
        for name, one in families.items()
        if one.weight > 0
    ]
    if not parts:
        schema = {"user_id": pl.String, "item_id": pl.String, "score": pl.Float64, "source": pl.String}
        return pl.DataFrame(schema=schema)
    by_share = pl.concat(parts).sort("share", "source", descending=[True, False])
    return by_share.group_by("user_id", "item_id", maintain_order=True).agg(
        score=pl.col("share").sum(), source=pl.col("source").first()
    )


def compose(blended: pl.DataFrame, fallback: pl.DataFrame, fallback_family: str, length: int) -> pl.DataFrame:
    """The best items of the blend, then the user's fallback list, until the list is full.

    Args:
        blended: As `blend` returns it.
        fallback: user_id, item_ids of every user, exclusions already applied.
        fallback_family: The name that such items carry as their source.
        length: The longest list.

    Returns:
        user_id, item_ids, scores, sources, is_fallback; one row per row of `fallback`, sorted by user. An item
        that fills up has score 0.
    """
    filling = (
        _ranked(fallback)
        .join(blended.select("user_id", "item_id"), on=["user_id", "item_id"], how="anti")
        .with_columns(score=pl.lit(0.0), source=pl.lit(fallback_family))
    )
    chosen = blended.with_columns(rank=pl.lit(0, filling.schema["rank"])).select(filling.columns)
    ordered = pl.concat([chosen, filling]).sort(
        "user_id", "score", "rank", "item_id", descending=[False, True, False, False]
    )
    lists = ordered.group_by("user_id", maintain_order=True).agg(
        item_ids=pl.col("item_id").head(length),
        scores=pl.col("score").head(length).cast(pl.Float32),
        sources=pl.col("source").head(length),
    )
    personal = blended.select("user_id").unique().with_columns(is_fallback=pl.lit(value=False))
    return (
        fallback.select("user_id")
        .join(lists, on="user_id", how="left")
        .join(personal, on="user_id", how="left")
        .with_columns(
            pl.col("item_ids", "sources").fill_null(pl.lit([], pl.List(pl.String))),
            pl.col("scores").fill_null(pl.lit([], pl.List(pl.Float32))),
            pl.col("is_fallback").fill_null(value=True),
        )
        .sort("user_id")
    )


def _ranked(lists: pl.DataFrame) -> pl.DataFrame:
    """One row per user and item, with the rank counted from 1."""
    return lists.select(
        "user_id", item_id="item_ids", rank=pl.int_ranges(1, pl.col("item_ids").list.len() + 1)
    ).explode("item_id", "rank", empty_as_null=False, keep_nulls=False)
