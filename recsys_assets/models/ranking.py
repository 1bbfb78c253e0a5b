"""The one ranking: exact best items per user, without what may not be recommended, ties broken by item id.

Validation, daily inference and serving all call it; only histories and candidates differ.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.models.candidates import candidates_for
from recsys_assets.models.family import Interactions, Model, history_matrix

CELLS_AT_ONCE = 1_000_000
"""Scores that are sorted at once: what this takes stays in the caches, and many more would take ten times as long."""
RANKED_SCHEMA = pl.Schema([("user_id", pl.String()), ("item_ids", pl.List(pl.String)), ("scores", pl.List(pl.Float32))])


def rank(
    model: Model,
    histories: Interactions,
    users: pl.Series,
    exclusions: pl.DataFrame,
    eligible: pl.DataFrame,
    *,
    n: int,
    block_users: int = 2_048,
) -> pl.DataFrame:
    """The best `n` items of each user.

    Args:
        model: What is known about items.
        histories: What the users did, within the family's window.
        users: Whom to rank for.
        exclusions: Rows of `features/exclusions`.
        eligible: Rows of `features/eligible_items`.
        n: The longest list.
        block_users: Users ranked at once; memory is about this times the number of items times 16 bytes.

    Returns:
        user_id, item_ids, scores, in the order of `users`. A personal model gives no row to a user of whose
        history it knows nothing. A list is shorter than `n` where fewer items may be recommended.
    """
    matrix = history_matrix(model.parameters.history_weights(histories), users, model.item_ids)
    known = np.flatnonzero(np.diff(matrix.indptr)) if model.is_personal else np.arange(users.len())
    chosen = users.gather(known)
    matrix = matrix[known]
    candidates = candidates_for(chosen, model.item_ids, exclusions, eligible)
    lists = []
    for first in range(0, chosen.len(), block_users):
        scores = model.scores(matrix[first : first + block_users])
        candidates.forbid(scores, first)
        lists.append(_lists(chosen[first : first + block_users], scores, model.item_ids, n))
    return pl.concat(lists) if lists else pl.DataFrame(schema=RANKED_SCHEMA)


def best_columns(scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The columns of the `n` highest scores per row, best first; among equal scores, the lower column first.

    Args:
        scores: Shape (rows, columns).
        n: How many.

    Returns:
        Shape (rows, min(n, columns)).
    """
    n = min(n, scores.shape[1])
    rows_at_once = max(1, CELLS_AT_ONCE // max(1, scores.shape[1]))
    best = np.empty((scores.shape[0], n), dtype=np.int64)
    for first in range(0, scores.shape[0], rows_at_once):
        best[first : first + rows_at_once] = _best_of_few(scores[first : first + rows_at_once], n)
    return best


def _best_of_few(scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """What `best_columns` returns, for some rows."""
    if n == scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    chosen = np.argpartition(-scores, n - 1, axis=1)[:, :n]
    worst = np.take_along_axis(scores, chosen, axis=1).min(axis=1)
    # argpartition picks among equals at the edge as it likes: where there is a choice, choose the lower columns.
    for row in np.flatnonzero((scores >= worst[:, np.newaxis]).sum(axis=1) > n):
        above = np.flatnonzero(scores[row] > worst[row])
        equal = np.flatnonzero(scores[row] == worst[row])
        chosen[row] = np.concatenate([above, equal[: n - above.size]])
    chosen.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _lists(users: pl.Series, scores: NDArray[np.float32], item_ids: pl.Series, n: int) -> pl.DataFrame:
    """Rows of user_id, item_ids, scores; what may not be recommended (minus infinity) is left out."""
    columns = best_columns(scores, n)
    values = np.take_along_axis(scores, columns, axis=1)
    is_allowed = np.isfinite(values)
    flat = pl.DataFrame(
        {
            "row": np.repeat(np.arange(users.len()), is_allowed.sum(axis=1)),
            "item_ids": item_ids.gather(columns[is_allowed]),
            "scores": values[is_allowed],
        },
        schema_overrides={"row": pl.UInt32, "scores": pl.Float32},
    )
    grouped = flat.group_by("row", maintain_order=True).agg("item_ids", "scores")
    empty = [pl.lit([], dtype) for dtype in (RANKED_SCHEMA["item_ids"], RANKED_SCHEMA["scores"])]
    return (
        pl.DataFrame({"user_id": users})
        .with_row_index("row")
        .join(grouped, on="row", how="left", maintain_order="left")
        .select("user_id", pl.col("item_ids").fill_null(empty[0]), pl.col("scores").fill_null(empty[1]))
    )
