"""Fusing the lists of the families into one order of items per user, by ranks or by scores. Pure.

What is made of that order stays in `composition_rules`. Ids are texts or, for speed, an Enum of all of them in order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.composing import BlendRule

RRF_CONSTANT = 60
"""Of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009."""
MOST_FAMILIES = 64
SERIES = "series"
"""In place of a family: the source of an item that no family lists, but that continues a series."""
RULES = pl.Enum(["blend", "series", "new_release", "fallback", "over_creator_limit"])
"""What put an item in its place."""
_HIGHEST = np.uint64(0xFFFF_FFFF)


@dataclass(frozen=True)
class FamilyLists:
    """The lists of one family.

    Attributes:
        lists: user_id, item_ids (best first), is_fallback; and scores, where these are blended.
        weight: The family's weight in the blend; 0 leaves it out.
    """

    lists: pl.DataFrame
    weight: float


def blend(families: Mapping[str, FamilyLists], rule: BlendRule = "reciprocal_ranks") -> pl.DataFrame:
    """Fuse the families' lists: an item scores the sum of its shares, one from each family that lists it.

    By `reciprocal_ranks` a share is weight / (60 + rank), whatever the scores. By `z_scores` it is the weight times the
    item's score in standard deviations above the lowest score of its list, so an item that a list leaves out counts as
    the lowest one does. In a list of equal scores each item counts one deviation.

    Lists that are a fallback already say nothing about the user and do not take part.

    Args:
        families: Family to its lists; at most 64.
        rule: How a share is made.

    Returns:
        user_id, item_id, score (Float32), source (Enum: the family with the largest share, the first by name among
        equals), brought_by (UInt64: bit k is set where the k-th family by name lists the item), rule (`blend`); one
        row per user and item, by user, highest score first, then by item id.
    """
    names = sorted(families)
    parts = [(place, families[name]) for place, name in enumerate(names) if families[name].weight > 0]
    shares = [_shares(one, rule).with_columns(family=pl.lit(place, pl.UInt8)) for place, one in parts]
    rows = pl.concat(shares) if shares else _no_shares(families)
    users, items = as_enum(rows["user_id"]), as_enum(rows["item_id"])
    fused = _fused(numbers(users), numbers(items), rows["share"].to_numpy(), rows["family"].to_numpy())
    return pl.DataFrame(
        {
            "user_id": rows["user_id"].gather(fused.rows),
            "item_id": rows["item_id"].gather(fused.rows),
            "score": fused.scores,
            "source": pl.Series(fused.sources, dtype=pl.UInt8).cat.to(pl.Enum([*names, SERIES])),
            "brought_by": fused.brought_by,
        }
    ).with_columns(rule=pl.lit("blend", RULES))


def fill(blended: pl.DataFrame, fallback: pl.DataFrame, fallback_family: str) -> pl.DataFrame:
    """Append to each user's items those of the fallback list that are not among them, in its order, with score 0.

    Args:
        blended: As `blend` returns it.
        fallback: user_id, item_ids, the ids of the same kind as in `blended`.
        fallback_family: The family whose lists they are.

    Returns:
        The same columns; appended rows are by the rule `fallback`.
    """
    filling = (
        fallback.select("user_id", item_id="item_ids")
        .explode("item_id", empty_as_null=False, keep_nulls=False)
        .join(blended, on=["user_id", "item_id"], how="anti", maintain_order="left")
    )
    return pl.concat([blended, _brought(filling, blended.schema, fallback_family, "fallback")]).sort(
        "user_id", maintain_order=True
    )


def brought_by_none(pairs: pl.DataFrame, like: pl.DataFrame, rule: str) -> pl.DataFrame:
    """Rows for items that no family lists.

    Args:
        pairs: user_id, item_id.
        like: As `blend` returns it.
        rule: What put them in their place.
    """
    return _brought(pairs, like.schema, SERIES, rule)


def as_enum(ids: pl.Series) -> pl.Series:
    """The ids as an Enum in order, as which they stay if they are one."""
    return ids if isinstance(ids.dtype, pl.Enum) else ids.cast(pl.Enum(ids.unique().sort()))


def numbers(ids: pl.Series) -> NDArray[np.uint64]:
    """The place of each id in the order of an Enum."""
    return ids.to_physical().cast(pl.UInt64).to_numpy()


def families_of(brought_by: pl.Series, names: list[str]) -> pl.Series:
    """The names that the bits stand for, List(String), ordered by name."""
    masks = brought_by.unique().sort()
    lists = [[name for place, name in enumerate(names) if mask >> place & 1] for mask in masks]
    return pl.Series(brought_by.name, lists, pl.List(pl.String)).gather(masks.search_sorted(brought_by))


def _brought(pairs: pl.DataFrame, schema: pl.Schema, source: str, rule: str) -> pl.DataFrame:
    sources = schema["source"].categories.to_list()  # type: ignore[attr-defined]
    bit = 0 if source == SERIES else 1 << sources.index(source)
    return pairs.select(
        "user_id",
        "item_id",
        score=pl.lit(0.0, pl.Float32),
        source=pl.lit(source, schema["source"]),
        brought_by=pl.lit(bit, pl.UInt64),
        rule=pl.lit(rule, RULES),
    )


def _shares(family: FamilyLists, rule: BlendRule) -> pl.DataFrame:
    """user_id, item_id, share; one row per item of a list that is no fallback."""
    lists = family.lists.filter(~pl.col("is_fallback"))
    if rule == "reciprocal_ranks":
        rank = pl.int_ranges(1, pl.col("item_ids").list.len() + 1)
        rows = lists.select("user_id", item_id="item_ids", share=rank)
        share = family.weight / (RRF_CONSTANT + pl.col("share"))
    else:
        scores = pl.col("scores").cast(pl.List(pl.Float64))
        spread = {"lowest": scores.list.min(), "deviation": scores.list.std(ddof=0)}
        rows = lists.select("user_id", item_id="item_ids", share=scores, **spread)
        above = (pl.col("share") - pl.col("lowest")) / pl.col("deviation")
        share = family.weight * pl.when(pl.col("deviation") > 0).then(above).otherwise(1.0)
    exploded = rows.explode("item_id", "share", empty_as_null=False, keep_nulls=False)
    return exploded.select("user_id", "item_id", share=share)


@dataclass(frozen=True)
class _Fused:
    """One entry per user and item, in order.

    Attributes:
        rows: A row that tells the user and the item.
        scores: Sum of the shares.
        sources: The family with the largest share.
        brought_by: A bit for each family.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]
    brought_by: NDArray[np.uint64]


def _fused(
    users: NDArray[np.uint64], items: NDArray[np.uint64], shares: NDArray[np.float64], families: NDArray[np.uint8]
) -> _Fused:
    """Add up the shares of each user and item, and order them.

    Args:
        users: The user of each share, numbered in order.
        items: The item, numbered in order.
        shares: Each at least 0.
        families: The family, rising.
    """
    pairs = (users << np.uint64(32)) | items
    together = np.argsort(pairs, kind="stable")
    pairs, shares, families = pairs[together], shares[together], families[together]
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])[: pairs.size])
    if not starts.size:
        return _Fused(starts, np.empty(0, np.float32), np.empty(0, np.uint8), np.empty(0, np.uint64))
    scores = np.add.reduceat(shares, starts).astype(np.float32)
    largest = np.repeat(np.maximum.reduceat(shares, starts), np.diff(np.append(starts, pairs.size)))
    sources = np.minimum.reduceat(np.where(shares == largest, families, MOST_FAMILIES).astype(np.uint8), starts)
    brought_by = np.bitwise_or.reduceat(np.uint64(1) << families.astype(np.uint64), starts)
    # Numbers that are not negative are in the same order as their bits: the highest score of a user comes first.
    descending = _HIGHEST - scores.view(np.uint32).astype(np.uint64)
    order = np.argsort((pairs[starts] >> np.uint64(32) << np.uint64(32)) | descending, kind="stable")
    return _Fused(together[starts[order]], scores[order], sources[order], brought_by[order])


def _no_shares(families: Mapping[str, FamilyLists]) -> pl.DataFrame:
    """No rows, with ids of the kind that the lists have."""
    ids = next((one.lists.schema for one in families.values()), pl.Schema())
    user, items = ids.get("user_id", pl.String()), ids.get("item_ids", pl.List(pl.String))
    item = items.inner if isinstance(items, pl.List) else pl.String()
    return pl.DataFrame(schema={"user_id": user, "item_id": item, "share": pl.Float64, "family": pl.UInt8})
