"""The rules that make a list of an order of items: series first, a limit per creator, places for new releases. Pure.

Each takes rows in order (all of a user together, the best first), as `blending` makes them, and returns rows in order:
it moves items, and where it moves none it changes nothing. Which rules apply is configured, `composition` applies them.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.models.blending import RULES, as_enum, brought_by_none, numbers

OVER_LIMIT = "is_over_limit"
"""Column that `limit_creators` adds: whether as many items of the same creator as there may be are placed before it."""
_PLACE = pl.int_range(1, pl.len() + 1).over("user_id")


def series_first(rows: pl.DataFrame, continuations: pl.DataFrame, items: int) -> pl.DataFrame:
    """Put volumes that continue a series of the user before everything else.

    Listed ones go first, in their order; then those that nobody listed, in the order given.

    Args:
        rows: In order.
        continuations: user_id, item_id: what continues a series of the user and may be recommended to them.
        items: At most so many go first; the others stay where they are.
    """
    unlisted = continuations.join(rows, on=["user_id", "item_id"], how="anti", maintain_order="left")
    added = brought_by_none(unlisted, rows, "series").with_columns(is_listed=False)
    continuing = continuations.with_columns(is_next=True)
    marked = (
        pl.concat([rows.with_columns(is_listed=True), added])
        .sort("user_id", maintain_order=True)
        .join(continuing, on=["user_id", "item_id"], how="left", maintain_order="left")
        .with_columns(pl.col("is_next").fill_null(value=False))
        .with_columns(goes_first=pl.col("is_next") & (pl.col("is_next").cum_sum().over("user_id") <= items))
    )
    return (
        marked.filter(pl.col("is_listed") | pl.col("goes_first"))
        .sort("user_id", ~pl.col("goes_first"), maintain_order=True)
        .with_columns(rule=pl.when("goes_first").then(pl.lit("series", RULES)).otherwise("rule"))
        .select(rows.columns)
    )


def limit_creators(rows: pl.DataFrame, creators: pl.DataFrame, items: int, within: int | None) -> pl.DataFrame:
    """Let no creator have more than so many of the first places, for as long as there are others to take them.

    The first `within` places go to the items that are not over the limit, in their order; all others follow, in theirs.
    Only where a list has too few of the former does the rule give way: then the others fill it up, and are by the rule
    `over_creator_limit`.

    Args:
        rows: In order.
        creators: item_id, creator; items without a creator are not limited.
        items: How many items of a creator there may be.
        within: Places from the top for which it holds; None: the whole list.

    Returns:
        The rows, and whether each is over the limit.
    """
    known = rows.join(creators.select("item_id", "creator"), on="item_id", how="left", maintain_order="left")
    has_creator = known["creator"].is_not_null()
    by_creator = numbers(as_enum(known["user_id"])) << np.uint64(32) | numbers(as_enum(known["creator"].fill_null("")))
    is_over = has_creator & pl.Series(_earlier_of_same(by_creator) >= items)
    in_head = ~pl.col(OVER_LIMIT)
    if within is not None:
        in_head &= in_head.cum_sum().over("user_id") <= within
    ordered = rows.with_columns(is_over.alias(OVER_LIMIT)).sort("user_id", ~in_head, maintain_order=True)
    is_refill = pl.col(OVER_LIMIT) if within is None else pl.col(OVER_LIMIT) & _PLACE.le(within)
    return ordered.with_columns(rule=pl.when(is_refill).then(pl.lit("over_creator_limit", RULES)).otherwise("rule"))


def new_release_slots(rows: pl.DataFrame, new_items: pl.Series, every: int) -> pl.DataFrame:
    """Give each such place to the best new release that is not placed before it; where none is left, nothing moves.

    New releases that come earlier by themselves stay where they are. One that is over the limit of its creator gets no
    place in this way.

    With r(j) the place of the j-th new release before, and e for `every`, its place is f(j) = min(r(j), the first
    multiple of e after f(j - 1)). Unrolled, that is min(r(j), e * (j + m)) with m the least of floor(r(i) / e) - i over
    all i < j, and 0.

    Args:
        rows: In order; where `limit_creators` comes, after it.
        new_items: Ids of items that are new.
        every: 10: the tenth place, the twentieth, and so on.
    """
    is_new = pl.col("item_id").is_in(new_items.implode())
    if OVER_LIMIT in rows.columns:
        is_new &= ~pl.col(OVER_LIMIT)
    counted = rows.with_columns(is_new=is_new).with_columns(
        before=_PLACE, number=pl.col("is_new").cum_sum().over("user_id").cast(pl.Int64)
    )
    fresh = counted.filter("is_new").with_columns(
        least=(pl.col("before") // every - pl.col("number")).cum_min().shift(1, fill_value=0).over("user_id")
    )
    slot = every * (pl.col("number") + pl.min_horizontal("least", 0))
    placed = fresh.select("user_id", "item_id", place=pl.min_horizontal("before", slot))
    joined = counted.join(placed, on=["user_id", "item_id"], how="left", maintain_order="left")
    # So many other items stand before each: a new release follows them, and the next one comes after it.
    others = pl.when("is_new").then(pl.col("place") - pl.col("number")).otherwise(pl.col("before") - pl.col("number"))
    has_moved = pl.col("is_new") & (pl.col("place") < pl.col("before"))
    return (
        joined.with_columns(others=others, rule=pl.when(has_moved).then(pl.lit("new_release", RULES)).otherwise("rule"))
        .sort("user_id", "others", "is_new", maintain_order=True)
        .select(rows.columns)
    )


def _earlier_of_same(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each key, how many equal ones stand before it."""
    together = np.argsort(keys, kind="stable")
    is_first = np.concatenate([[True], keys[together][1:] != keys[together][:-1]])[: keys.size]
    starts = np.flatnonzero(is_first)
    earlier = np.empty(keys.size, dtype=np.int64)
    earlier[together] = np.arange(keys.size) - np.repeat(starts, np.diff(np.append(starts, keys.size)))
    return earlier
