"""Which impressions count, and why others are set aside. Pure: what is known of versions and users is read elsewhere.

For every day, counted + set aside = impressions of the day.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import SET_ASIDE_IMPRESSIONS
from recsys_assets.monitoring.attribution import BROUGHT

UNKNOWN_VERSION = "unknown_version"
"""The registry has no such version of the family."""
INCOMPLETE_VERSION = "incomplete_version"
"""The row names a family without a version, or a version without a family."""
NO_CUSTOMER = "no_customer"
"""It was shown to a test account of the shop, or to a machine."""
_BROUGHT = list(BROUGHT)


@dataclass(frozen=True)
class Judgement:
    """What is set aside.

    Attributes:
        brought: family, version, reason of every pair in the day's rows; the reason is null where the pair is known,
            or where neither is named: whoever brought such a row, it counts for whole lists alone.
        not_customers: Ids of test accounts and machines.
    """

    brought: pl.DataFrame
    not_customers: pl.Series

    def counted(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows that count, of those of a day."""
        return self._judged(rows).filter(pl.col("reason").is_null()).drop("reason") if self._finds_any else rows

    def set_aside(self, rows: pl.LazyFrame, day: date) -> pl.DataFrame:
        """The others, as rows of `SET_ASIDE_IMPRESSIONS`."""
        if not self._finds_any:
            return pl.DataFrame(schema=SET_ASIDE_IMPRESSIONS.schema)
        columns = ["reason", *BROUGHT]
        others = self._judged(rows).filter(pl.col("reason").is_not_null())
        counts = others.group_by(columns).agg(impressions=pl.len().cast(pl.Int64)).with_columns(ds=pl.lit(day))
        return counts.select(SET_ASIDE_IMPRESSIONS.schema.names()).collect(engine="streaming").sort(columns)

    @property
    def _finds_any(self) -> bool:
        return bool(self.not_customers.len()) or self.brought["reason"].null_count() < self.brought.height

    def _judged(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        judged = rows.join(self.brought.lazy(), on=_BROUGHT, how="left", nulls_equal=True)
        is_none = pl.col("user_id").is_in(self.not_customers.implode())
        return judged.with_columns(pl.coalesce("reason", pl.when(is_none).then(pl.lit(NO_CUSTOMER))))


def named(rows: pl.LazyFrame) -> pl.DataFrame:
    """Every family and version that the rows name, either of them null where a row does not say: family, version."""
    return rows.select(_BROUGHT).unique().collect(engine="streaming").sort(_BROUGHT)


def judgement(brought: pl.DataFrame, known: Mapping[str, Collection[str]], not_customers: pl.Series) -> Judgement:
    """Decide what is set aside.

    Args:
        brought: As `named` returns it.
        known: Family to the versions that the registry has of it.
        not_customers: Ids of test accounts and machines.
    """
    reasons = [_reason(family, version, known) for family, version in brought.select(_BROUGHT).iter_rows()]
    return Judgement(brought.with_columns(pl.Series("reason", reasons, dtype=pl.String)), not_customers)


def _reason(family: str | None, version: str | None, known: Mapping[str, Collection[str]]) -> str | None:
    if (family is None) != (version is None):
        return INCOMPLETE_VERSION
    return None if family is None or version in known.get(family, ()) else UNKNOWN_VERSION
