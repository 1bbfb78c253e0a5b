"""The conditions of a mapping as Polars expressions over raw rows.

What the operators mean is written at `mapping.Condition`; which row a condition is asked of stays out.
"""

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

from recsys_assets.ingestion.raw_rows import field
from recsys_assets.ingestion.values import as_number
from recsys_assets.mapping import Condition

_OPERATORS: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "is_missing": lambda text, wanted: text.is_null() if wanted else text.is_not_null(),
    "equals": lambda text, wanted: text.is_in([wanted] if isinstance(wanted, str) else list(wanted)),
    "matches": lambda text, pattern: text.str.contains(pattern),
    "not_matches": lambda text, pattern: ~text.str.contains(pattern),
    "below": lambda text, bound: as_number(text) < bound,
    "at_most": lambda text, bound: as_number(text) <= bound,
    "above": lambda text, bound: as_number(text) > bound,
    "at_least": lambda text, bound: as_number(text) >= bound,
}


def holds(condition: Condition) -> pl.Expr:
    """Whether a row satisfies the condition: true or false, never null."""
    wanted = getattr(condition, condition.operator)
    return _OPERATORS[condition.operator](field(condition.column), wanted).fill_null(value=False)


def all_hold(conditions: Iterable[Condition]) -> pl.Expr:
    """Whether a row satisfies all of the conditions; true when there are none."""
    return pl.all_horizontal(pl.lit(value=True), *(holds(condition) for condition in conditions))
