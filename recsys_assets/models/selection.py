"""The exact best columns of rows of scores. Whose scores they are, and what may be recommended, stays out.

A score and its column are one number that sorts: higher scores first, and among equal ones the lower column, which is
the lower item id. Few numbers per row are worth sorting; a bound finds them without ordering the rest.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Columns = NDArray[np.int64]
Keys = NDArray[np.uint64]

CELLS_AT_ONCE = 1_000_000
"""Scores that are looked at at once: what this takes stays in the caches, and many more would take far longer."""
NOTHING = np.uint64(2**64 - 1)
"""The key that sorts behind every other one."""
_SIGN = np.uint32(2**31)
_LOW_HALF = np.uint64(2**32 - 1)
_GROUPS_PER_PLACE = 5
"""Groups for each wanted column: with so many, few columns but the wanted ones lie above the bound."""


def best_columns(scores: Floats, n: int) -> Columns:
    """The columns of the `n` highest scores per row, best first; among equal scores, the lower column first.

    Args:
        scores: Shape (rows, columns), no NaN.
        n: How many.

    Returns:
        Shape (rows, min(n, columns)).
    """
    n = min(n, scores.shape[1])
    rows_at_once = max(1, CELLS_AT_ONCE // max(1, scores.shape[1]))
    best = np.empty((scores.shape[0], n), dtype=np.int64)
    for first in range(0, scores.shape[0] if n else 0, rows_at_once):
        best[first : first + rows_at_once] = _best_of_few(scores[first : first + rows_at_once], n)
    return best


def sorting_keys(scores: Floats, columns: NDArray[np.integer]) -> Keys:
    """Numbers whose ascending order is that of falling scores, and of rising columns where scores are equal.

    Args:
        scores: Any shape, no NaN.
        columns: Same shape, below 2^32.
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # adding 0 makes both zeros the same
    falling = np.where(bits >= _SIGN, bits, ~(bits | _SIGN))
    keys: Keys = falling.astype(np.uint64) << np.uint64(32) | columns.astype(np.uint64)
    return keys


def columns_of(keys: Keys) -> Columns:
    """The columns that `sorting_keys` were made of."""
    return (keys & _LOW_HALF).astype(np.int64)


def scores_of(keys: Keys) -> Floats:
    """The scores that `sorting_keys` were made of."""
    falling = (keys >> np.uint64(32)).astype(np.uint32)
    return np.where(falling >= _SIGN, falling, ~falling ^ _SIGN).view(np.float32)


def floor(scores: Floats, n: int) -> Floats:
    """A bound that at least `n` scores of each row reach, and not many more.

    The `n`-th highest of the maxima of disjoint groups: each of these groups has a score that reaches it.

    Args:
        scores: Shape (rows, at least `n` columns).
        n: At least 1.

    Returns:
        Shape (rows,).
    """
    rows, width = scores.shape
    size = max(1, width // (_GROUPS_PER_PLACE * n))
    groups = width // size
    maxima = scores if size == 1 else scores[:, : size * groups].reshape(rows, size, groups).max(axis=1)
    return np.partition(maxima, groups - n, axis=1)[:, groups - n]


def padded_rows(values: Keys, rows: Columns, count: int) -> Keys:
    """Keys of some rows, in any order, as a table.

    Args:
        values: Keys.
        rows: The row of each.
        count: How many rows there are.

    Returns:
        Shape (rows, keys of the longest row), padded with `NOTHING`.
    """
    lengths = np.bincount(rows, minlength=count)
    order = np.argsort(rows.astype(np.uint16) if count <= 2**16 else rows, kind="stable")  # 16 bits sort fastest
    ordered = rows[order]
    table = np.full((count, int(lengths.max(initial=0))), NOTHING)
    table[ordered, np.arange(rows.size) - (np.cumsum(lengths) - lengths)[ordered]] = values[order]
    return table


def _best_of_few(scores: Floats, n: int) -> Columns:
    """What `best_columns` returns, for some rows."""
    count, width = scores.shape
    bound = floor(scores, n)
    found = np.flatnonzero(scores >= bound[:, np.newaxis])
    rows = found // width
    crowded = np.bincount(rows, minlength=count) > 4 * n
    if crowded.any():  # so many equal scores that sorting them would take too long
        is_apart = ~crowded[rows]
        found, rows = found[is_apart], rows[is_apart]
    table = padded_rows(sorting_keys(scores.ravel()[found], found - rows * width), rows, count)
    table.sort(axis=1)
    best = np.empty((count, n), dtype=np.int64)
    if not crowded.all():
        best[~crowded] = columns_of(table[~crowded, :n])
    for row in np.flatnonzero(crowded):
        best[row] = _best_of_crowd(scores[row], n)
    return best


def _best_of_crowd(scores: Floats, n: int) -> Columns:
    """What `best_columns` returns, for one row in which very many scores are equal: they are not sorted."""
    worst = np.partition(scores, scores.size - n)[scores.size - n]
    above = np.flatnonzero(scores > worst)
    equal, reach = above[:0], n
    while equal.size < n - above.size:  # the lowest columns are enough, and mostly near
        reach *= 4
        equal = np.flatnonzero(scores[:reach] == worst)
    best = above[np.argsort(-scores[above], kind="stable")]
    return np.concatenate([best, equal[: n - above.size]])
