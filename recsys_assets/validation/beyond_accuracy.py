"""What lists are like apart from being right: novelty, diversity, coverage, and how unevenly items are shown.

Only arithmetic on lists and on facts about items belongs here. Which lists, and where the facts come from, stays out.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.validation.metrics import CUTOFFS

QUALITIES = ("novelty", "diversity")
SPREADS = ("popularity_bias", "coverage")


def quality_names(cutoffs: Sequence[int] = CUTOFFS) -> tuple[str, ...]:
    """Name the columns of `list_qualities`, in order: `novelty_at_10`, `diversity_at_10`, `novelty_at_50`, ..."""
    return tuple(f"{quality}_at_{cutoff}" for cutoff in cutoffs for quality in QUALITIES)


def spread_names(cutoffs: Sequence[int] = CUTOFFS) -> tuple[str, ...]:
    """Name the figures of `spread`, in order: `popularity_bias_at_10`, `coverage_at_10`, ..."""
    return tuple(f"{name}_at_{cutoff}" for cutoff in cutoffs for name in SPREADS)


def item_facts(eligible: pl.DataFrame, item_users: pl.DataFrame, user_count: int) -> pl.DataFrame:
    """Say of each item that may be recommended what shelf it stands on, and how much of a surprise it is.

    The self-information of an item is log2(U / u), in bits, where u of the U users of the training rows had it (Zhou
    et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010). An item that nobody
    had counts as if one user had had it, so log2(U) is the most there is.

    Args:
        eligible: item_id (String, each once), category (String; null: unknown).
        item_users: item_id, users (how many users of the training rows had the item, at least 1).
        user_count: Number of users of the training rows.

    Returns:
        item (UInt32: 0, 1, ...), item_id, category (UInt32; null: unknown), bits (Float64; null without any training
        user); in the order of `eligible`.
    """
    number = pl.col("category").rank("dense").cast(pl.UInt32)
    counted = eligible.select("item_id", category=number).join(
        item_users, on="item_id", how="left", maintain_order="left"
    )
    bits = (pl.lit(user_count) / pl.col("users").fill_null(1)).log(2) if user_count else pl.lit(None, pl.Float64)
    return counted.with_row_index("item").select("item", "item_id", "category", bits=bits)


def shown_items(
    lists: pl.DataFrame, users: Sequence[str] | pl.Series, facts: pl.DataFrame, n: int = max(CUTOFFS)
) -> pl.DataFrame:
    """Write lists down as one row per user and rank, with the facts about the item.

    Args:
        lists: user_id (each once), item_ids (List of String, best first, eligible items only).
        users: Whose lists; a user without a list has no row.
        facts: As `item_facts` returns it.
        n: Ranks to look at.

    Returns:
        row (the user's place in `users`), rank (1, 2, ...), item, category, bits.

    Raises:
        ValueError: A list holds an item that is not among the facts.
    """
    rows = pl.DataFrame({"user_id": pl.Series(users, dtype=pl.String)}).with_row_index("row")
    shown = (
        lists.select("user_id", item_id=pl.col("item_ids").list.head(n))
        .join(rows, on="user_id")
        .filter(pl.col("item_id").list.len() > 0)
        .select("row", "item_id", rank=pl.int_ranges(1, pl.col("item_id").list.len() + 1, dtype=pl.UInt32))
        .explode("item_id", "rank")
        .join(facts, on="item_id", how="left")
    )
    strange = shown.filter(pl.col("item").is_null())
    if strange.height:
        raise ValueError(f"{strange['item_id'][0]!r} is recommended and not eligible; remove it from the lists")
    return shown.drop("item_id")


def list_qualities(shown: pl.DataFrame, user_count: int, cutoffs: Sequence[int] = CUTOFFS) -> pl.DataFrame:
    """Measure novelty and diversity of each user's list at each cutoff k.

    - novelty: the mean self-information of the first k items, in bits (see `item_facts`).
    - diversity: of all pairs among the first k items with a known category, the share in different categories, from
      0 to 1: the mean pairwise dissimilarity of Smyth & McClave, "Similarity vs. diversity", ICCBR 2001, and of
      Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005, with dissimilarity 1
      between categories and 0 within one. With c items in a category and m in all: 1 - sum c (c - 1) / (m (m - 1)).

    Args:
        shown: As `shown_items` returns it.
        user_count: Number of users, with those who have no list.
        cutoffs: The ranks at which lists are cut.

    Returns:
        One row per user, in order, with the Float64 columns `quality_names(cutoffs)`; null where a user's list has
        no item, or, for diversity, fewer than two with a known category.
    """
    every = pl.DataFrame({"row": pl.Series(range(user_count), dtype=pl.UInt32)})
    for cutoff in cutoffs:
        first = shown.filter(pl.col("rank") <= cutoff)
        novelty = first.group_by("row").agg(pl.col("bits").mean().alias(f"novelty_at_{cutoff}"))
        in_category = first.drop_nulls("category").group_by("row", "category").agg(c=pl.len().cast(pl.Float64))
        m = pl.col("c").sum()
        alike = (pl.col("c") * (pl.col("c") - 1)).sum() / (m * (m - 1))
        diversity = in_category.group_by("row").agg(pl.when(m > 1).then(1 - alike).alias(f"diversity_at_{cutoff}"))
        for part in (novelty, diversity):
            every = every.join(part, on="row", how="left", maintain_order="left")
    return every.drop("row")


def spread(shown: pl.DataFrame, eligible_count: int, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, float | None]:
    """Say how the first k places of all lists are shared out among the eligible items.

    - popularity_bias: the Gini index of how often items are shown (see `gini`).
    - coverage: the share of the eligible items that is shown to somebody.

    Args:
        shown: As `shown_items` returns it.
        eligible_count: Number of items that may be recommended.
        cutoffs: The ranks at which lists are cut.

    Returns:
        The figures by name, as `spread_names(cutoffs)`; None where there is nothing to share out.
    """
    values: dict[str, float | None] = {}
    for cutoff in cutoffs:
        items = shown.filter(pl.col("rank") <= cutoff)["item"].to_numpy()
        times = np.bincount(items, minlength=eligible_count)
        coverage = float(np.count_nonzero(times) / eligible_count) if eligible_count else None
        values |= {f"popularity_bias_at_{cutoff}": gini(times), f"coverage_at_{cutoff}": coverage}
    return values


def gini(times: NDArray[np.int64]) -> float | None:
    """The Gini index of how often each item is shown: 0 where all are shown alike, 1 where one has all the places.

    With times x(1) <= ... <= x(n): sum (2 j - n - 1) x(j) / ((n - 1) sum x), as in Shani & Gunawardana, "Evaluating
    recommendation systems" (Recommender Systems Handbook, 2011). Items that are never shown count: over shown items
    only, the same ten items for everybody would look perfectly even.

    Args:
        times: How often each item is shown, shape (items,).

    Returns:
        From 0 to 1; None with fewer than two items, or when nothing is shown.
    """
    n, total = times.size, times.sum()
    if n < 2 or not total:  # noqa: PLR2004
        return None
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(times) / ((n - 1) * total))


def catalogue_coverage(lists: pl.DataFrame, eligible_count: int) -> float | None:
    """Say which share of the catalogue is recommended to at least one user.

    Args:
        lists: One row per user with `item_ids` (List of String), eligible items only.
        eligible_count: Number of items that may be recommended.

    Returns:
        Distinct recommended items / eligible items, from 0 to 1; None where nothing is eligible.

    Raises:
        ValueError: The lists hold more distinct items than are eligible.
    """
    recommended = lists["item_ids"].explode().drop_nulls().n_unique()
    if recommended > eligible_count:
        raise ValueError(
            f"{recommended} distinct items are recommended and only {eligible_count} are eligible; "
            "remove what is not eligible from the lists"
        )
    return recommended / eligible_count if eligible_count else None
