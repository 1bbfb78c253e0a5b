"""Stored reports: the figures of a slot, and the tables behind them."""

from datetime import date

import polars as pl

from recsys_assets.columns import SEGMENT_METRICS, USER_METRICS, report_table
from recsys_assets.validation.report import Report, report_metrics
from resources.lake import DeltaLake


def seed_of(slot: date) -> int:
    """The seed of everything that is drawn to judge a slot: all families are judged with the same draws."""
    return slot.toordinal()


def store_report(
    lake: DeltaLake, slot: date, family: str, version: str, report: Report, *, is_only: bool = False
) -> None:
    """Replace the report on a version, the figures last: where they are, the tables behind them are.

    Args:
        lake: Where to.
        slot: The slot.
        family: The family, or `final`.
        version: The registry version, or how the blend is put together.
        report: What is stored.
        is_only: Whether the slot keeps no report on another version of the family.
    """
    of_version = {} if is_only else {"version": version}
    table = report_table(family, report_metrics())
    figures = pl.DataFrame(
        [{"ds": slot, "version": version, "holdout_users": report.user_metrics.height, **report.figures}],
        schema=table.schema,
    )
    for behind, rows in ((SEGMENT_METRICS, report.segments), (USER_METRICS, report.user_metrics)):
        keyed = rows.with_columns(ds=pl.lit(slot), family=pl.lit(family), version=pl.lit(version))
        lake.replace(behind, keyed, (slot, slot), {"family": family, **of_version})
    lake.replace(table, figures, (slot, slot), of_version)
