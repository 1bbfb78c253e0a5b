"""Ranking metrics per user, and their means.

Only arithmetic on lists and hits belongs here. What counts as a hit, which users are judged, what lists are like
apart from being right, confidence intervals and thresholds stay out, and so does all that reads or writes a table.

Relevance is binary throughout. The one degenerate case, a user with nothing to find, is decided in
`per_user_metrics`: such a user has no metric (null), and the means do not count it.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

CUTOFFS = (10, 50, 200)
METRICS = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate")


def metric_names(cutoffs: Sequence[int] = CUTOFFS) -> tuple[str, ...]:
    """Name the columns of `per_user_metrics`, in order: `ndcg_at_10`, `recall_at_10`, ...

    Args:
        cutoffs: The ranks at which lists are cut.
    """
    return tuple(f"{metric}_at_{cutoff}" for cutoff in cutoffs for metric in METRICS)


def per_user_metrics(
    hits: NDArray[np.bool_], relevant: NDArray[np.int64], cutoffs: Sequence[int] = CUTOFFS
) -> pl.DataFrame:
    """Measure the list of each user at each cutoff k; all metrics lie between 0 and 1.

    With h(i) = 1 where rank i holds a hit and R = the user's relevant items, over the ranks i = 1..k:

    - ndcg: sum h(i) / log2(i + 1), divided by the same sum for the best possible list, whose first
      min(k, R) ranks are hits (Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques",
      TOIS 2002, with the logarithm of i + 1 that later became usual, so that rank 2 is discounted too).
    - recall: hits / R. precision: hits / k, also where the list is shorter than k (Manning, Raghavan &
      Schütze, "Introduction to Information Retrieval", 2008, chapter 8).
    - map: average precision, sum h(i) * precision(i), divided by min(k, R) and not by R, so that a perfect
      list reaches 1 at every cutoff (Manning et al. 2008; the mean over users makes it "map").
    - mrr: 1 / rank of the first hit, 0 without one (Voorhees, "The TREC-8 Question Answering Track
      Report", 1999).
    - hit_rate: 1 where there is a hit, else 0 (Deshpande & Karypis, "Item-based top-N recommendation
      algorithms", TOIS 2004).

    Sums run from the first rank to the last, so rounding lifts no metric above 1.

    Args:
        hits: Whether the item at each rank is relevant, shape (users, n), best rank first; lists shorter
            than n are padded with False. Ranks beyond n count as misses.
        relevant: Number of relevant items of each user, shape (users,), with those that could not be ranked.
        cutoffs: The ranks at which lists are cut, each at least 1.

    Returns:
        One row per user, in the order given, with the Float64 columns `metric_names(cutoffs)`; null in
        all columns of a user without relevant items.

    Raises:
        ValueError: The shapes do not fit, there is no cutoff, one is not positive or named twice, or a user
            has more hits than relevant items.
    """
    _check(hits, relevant, cutoffs)
    found = _up_to_rank(hits.astype(np.float64))
    gain = _up_to_rank(hits * _discounts(hits.shape[1]))
    precision_at_hits = _up_to_rank(hits * found[:, 1:] / np.arange(1, hits.shape[1] + 1))
    first_rank = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf) if hits.size else np.inf
    is_judged = relevant > 0
    wanted = np.where(is_judged, relevant, 1)  # no division by zero on the way to null
    columns: list[NDArray[np.float64]] = []
    for cutoff in cutoffs:
        last = min(cutoff, hits.shape[1])
        ideal = np.minimum(wanted, cutoff)
        columns += [
            gain[:, last] / np.cumsum(_discounts(cutoff))[ideal - 1],
            found[:, last] / wanted,
            found[:, last] / cutoff,
            precision_at_hits[:, last] / ideal,
            np.where(found[:, last] > 0, 1 / first_rank, 0.0),
            np.where(found[:, last] > 0, 1.0, 0.0),
        ]
    measured = pl.DataFrame(dict(zip(metric_names(cutoffs), columns, strict=True)))
    return measured.select(pl.when(pl.Series(is_judged)).then(pl.all()))


def mean_metrics(per_user: pl.DataFrame) -> dict[str, float | None]:
    """Average each metric over the users that have it.

    Args:
        per_user: As `per_user_metrics` returns it.

    Returns:
        The mean of each column, by name; None where no user has the metric.
    """
    return per_user.mean().row(0, named=True)


def hit_matrix(
    lists: pl.DataFrame, relevant_pairs: pl.DataFrame, users: Sequence[str] | pl.Series, n: int
) -> NDArray[np.bool_]:
    """Mark which ranks of each user's list hold a relevant item.

    Args:
        lists: One row per user: `user_id` (String) and `item_ids` (List of String, best first).
        relevant_pairs: `user_id` and `item_id` (String) of what counts as a hit; repeated pairs count once.
        users: The users to mark, one row of the result each; others are passed over. A user without a
            list has no hits.
        n: Ranks to look at, at least 0; what a list holds beyond them is passed over.

    Returns:
        Booleans of shape (users, n), in the order of `users`.

    Raises:
        ValueError: A user is named twice in `users` or has two lists, or a list holds an item twice.
    """
    rows = pl.DataFrame({"user_id": pl.Series(users, dtype=pl.String)}).with_row_index("row")
    for owner, frame in (("users", rows), ("lists", lists)):
        _refuse_repeated(frame, owner)
    cut = lists.select("user_id", item_id=pl.col("item_ids").list.head(n)).join(rows, on="user_id")
    twice = cut.filter(pl.col("item_id").list.n_unique() < pl.col("item_id").list.len())
    if twice.height:
        raise ValueError(f"lists: the list of {twice['user_id'][0]!r} holds an item twice; keep one")
    ranked = (
        cut.filter(pl.col("item_id").list.len() > 0)
        .with_columns(rank=pl.int_ranges(pl.col("item_id").list.len()))
        .explode("item_id", "rank")
    )
    found = ranked.join(relevant_pairs, on=["user_id", "item_id"], how="semi")
    hits = np.zeros((rows.height, n), dtype=np.bool_)
    hits[found["row"].to_numpy(), found["rank"].to_numpy()] = True
    return hits


def relevant_counts(relevant_pairs: pl.DataFrame, users: Sequence[str] | pl.Series) -> NDArray[np.int64]:
    """Count the relevant items of each user, whether or not any list could hold them.

    Args:
        relevant_pairs: `user_id` and `item_id` (String) of what counts as a hit; repeated pairs count once.
        users: The users to count for.

    Returns:
        Numbers of items, shape (users,), in the order of `users`; 0 for a user without a pair.
    """
    rows = pl.DataFrame({"user_id": pl.Series(users, dtype=pl.String)})
    counts = relevant_pairs.group_by("user_id").agg(count=pl.col("item_id").n_unique().cast(pl.Int64))
    counted = rows.join(counts, on="user_id", how="left", maintain_order="left")
    return counted["count"].fill_null(0).to_numpy()


def _discounts(n: int) -> NDArray[np.float64]:
    """The weight 1 / log2(i + 1) of each rank i = 1..n, shape (n,)."""
    return 1 / np.log2(np.arange(2, n + 2))


def _up_to_rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum values of shape (users, n) up to each rank 0..n: shape (users, n + 1), the first column is 0."""
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)


def _check(hits: NDArray[np.bool_], relevant: NDArray[np.int64], cutoffs: Sequence[int]) -> None:
    if hits.ndim != 2 or hits.dtype != np.bool_:  # noqa: PLR2004
        raise ValueError(f"hits must be booleans of shape (users, n), not {hits.dtype} of shape {hits.shape}")
    if relevant.shape != hits.shape[:1]:
        raise ValueError(f"relevant must have shape {hits.shape[:1]}, as hits has users, not {relevant.shape}")
    if min(cutoffs, default=0) < 1 or len(set(cutoffs)) != len(cutoffs):
        raise ValueError(f"cutoffs must be at least one, all positive and each named once, not {tuple(cutoffs)}")
    too_many = np.flatnonzero(hits.sum(axis=1) > relevant)
    if too_many.size:
        row = too_many[0]
        raise ValueError(
            f"user in row {row} has {hits[row].sum()} hits and only {relevant[row]} relevant items; "
            "count the relevant items from the same pairs as the hits"
        )


def _refuse_repeated(frame: pl.DataFrame, owner: str) -> None:
    repeated = frame.filter(pl.col("user_id").is_duplicated())
    if repeated.height:
        raise ValueError(f"{owner}: {repeated['user_id'][0]!r} is there twice; keep one")
