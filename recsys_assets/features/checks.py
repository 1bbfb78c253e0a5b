"""The checks that follow from a view's declaration: pure findings, with actual and threshold.

What must be counted is a plan, so that any engine counts it where the rows are. What a finding means for a run is
said where the assets are: errors block, oddities warn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

import narwhals as nw
import polars as pl

from recsys_assets.features.rules import Frame
from recsys_assets.features.view import FeatureView
from recsys_assets.platform import ViewChecks

BLOCKING = {
    "schema_is_declared": "Every column is there with its declared type, and no other.",
    "keys_are_complete": "No key is null, and neither is any column that must have a value.",
    "keys_are_unique": "No two rows have the same key.",
}
WARNING = {
    "items_are_known": "Items exist in the mapped catalogue, now or earlier.",
    "row_count_is_usual": "No day has far more or fewer rows than the same weekdays before it.",
}
FEWEST_DAYS_TO_COMPARE = 7
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name.
        actual: What was measured.
        threshold: What is allowed, in words with numbers.
        passed: Whether it is within.
        sentence: The finding in words.
    """

    check: str
    actual: float
    threshold: str
    passed: bool
    sentence: str


def checks_of(view: FeatureView, has_catalogue: bool) -> dict[str, str]:  # noqa: FBT001 - a fact, not a switch
    """Name and meaning of the checks of a view."""
    left_out = set() if view.refers_to_catalogue and has_catalogue else {"items_are_known"}
    left_out |= {"row_count_is_usual"} if view.partitions == "slot" else set()
    return {name: meaning for name, meaning in (BLOCKING | WARNING).items() if name not in left_out}


def schema_finding(view: FeatureView, found: pl.Schema) -> Finding:
    """Whether rows have the columns that the view declares, each with its type."""
    declared = view.table.schema
    wrong = sorted(name for name in {*declared, *found} if declared.get(name) != found.get(name))
    return _at_most("schema_is_declared", len(wrong), 0, "columns differ" + (f": {', '.join(wrong)}" if wrong else ""))


def key_counts(view: FeatureView, rows: Frame) -> Frame:
    """What `key_findings` must know of rows with the columns of a view: a plan of one row."""
    nulls = [nw.col(name).null_count().cast(nw.Int64) for name in view.table.required]
    counted = rows.select(nw.len().cast(nw.Int64).alias("rows"), *nulls)
    keys = rows.select(*view.table.primary_key).unique()
    distinct = keys.select(nw.len().cast(nw.Int64).alias("distinct_keys"))
    in_all = nw.sum_horizontal(nw.lit(0), *(nw.col(name) for name in view.table.required)).alias("nulls")
    return counted.select("rows", in_all).join(distinct, how="cross")


def key_findings(view: FeatureView, counts: Mapping[str, int]) -> list[Finding]:
    """Whether rows have complete and unique keys, by the row of `key_counts`."""
    twice = counts["rows"] - counts["distinct_keys"]
    return [
        _at_most("keys_are_complete", counts["nulls"], 0, "nulls in keys and required columns"),
        _at_most("keys_are_unique", twice, 0, f"rows repeat the key {', '.join(view.table.primary_key)}"),
    ]


def catalogue_finding(unknown_rows: int, rows: int, allowed: float) -> Finding:
    """Whether few enough rows name an item that the catalogue never had."""
    share = unknown_rows / rows if rows else 0.0
    sentence = f"{unknown_rows:,} of {rows:,} rows name an item that the catalogue never had ({share:.2%})"
    return Finding("items_are_known", share, f"at most {allowed}", share <= allowed, sentence)


def row_count_finding(counts: Mapping[date, int], first: date, last: date, checks: ViewChecks) -> Finding:
    """Whether the days of a range have as many rows as days before them usually had.

    Args:
        counts: Rows of every stored day, the range included; a day without rows may be missing.
        first: First day of the range.
        last: Last day of the range.
        checks: How far back to look, and the band.

    Returns:
        The finding on the day furthest from what is usual.
    """
    low, high = checks.row_count_band
    band = f"between {low} and {high} times what is usual"
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    ratios = {day: ratio for day in days if (ratio := _ratio(counts, day, checks.trailing_days)) is not None}
    if not ratios:
        return Finding("row_count_is_usual", 1.0, band, passed=True, sentence="there are too few days to compare with")
    day = max(ratios, key=lambda one: max(ratios[one], 1 / ratios[one] if ratios[one] else float("inf")))
    sentence = f"{day} has {counts.get(day, 0):,} rows, {ratios[day]:.2f} times what is usual"
    return Finding("row_count_is_usual", ratios[day], band, low <= ratios[day] <= high, sentence)


def _ratio(counts: Mapping[date, int], day: date, trailing_days: int) -> float | None:
    """A day's rows as a multiple of the median of the same weekdays before it (of all days, if these are few)."""
    oldest = min(counts, default=day)
    before = [day - timedelta(days=age) for age in range(1, trailing_days + 1)]
    inside = [one for one in before if one >= oldest]
    if len(inside) < min(FEWEST_DAYS_TO_COMPARE, trailing_days):
        return None
    same_weekday = [one for one in inside if (day - one) % WEEK == timedelta(0)]
    compared = same_weekday if len(same_weekday) > 1 else inside
    usual = median(counts.get(one, 0) for one in compared)
    return counts.get(day, 0) / usual if usual else None


def _at_most(check: str, actual: int, allowed: int, what: str) -> Finding:
    return Finding(check, actual, f"at most {allowed}", actual <= allowed, f"{actual:,} {what}")
