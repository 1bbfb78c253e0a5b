"""The online metrics of a day, from what it adds up to. Pure: sums in, rows of the tables out.

What is added up is decided in `online_sums`, how certain a figure is in `intervals`.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from recsys_assets.columns import ONLINE_FIGURES, ONLINE_METRICS, USER_OUTCOMES
from recsys_assets.monitoring.attribution import BROUGHT, MONEY_DECIMALS
from recsys_assets.monitoring.intervals import Estimates, Moments, bounded, proportions, ratios
from recsys_assets.monitoring.online_sums import GROUP, SUMS, Sums

RATIOS = {
    "ctr": ("clicks", "impressions"),
    "cvr": ("conversions", "clicks"),
    "revenue_per_impression": ("revenue", "impressions"),
    "ndcg": ("ndcg_sum", "ndcg_requests"),
}
"""Figure to the sums that it is the ratio of."""
BY_SURFACE, BY_ARM, IN_ALL = ("surface", "arm"), ("arm",), ()
LEVELS: tuple[tuple[str, ...], ...] = (BY_SURFACE, BY_ARM, IN_ALL)
"""What a row of the metrics keeps apart; over the rest it is pooled. Each level pools the one before."""
_DIGITS = 10
"""Figures are rounded, so that the order of adding up, which differs from run to run, cannot be seen."""
_MOMENTS = ("units", "y", "x", "yy", "xx", "xy")


@dataclass(frozen=True)
class Figures:
    """What a day came to: rows of `ONLINE_METRICS` and of `USER_OUTCOMES`."""

    metrics: pl.DataFrame
    users: pl.DataFrame


def figures_of(sums: Sums, eligible: int, day: date, *, is_final: bool) -> Figures:
    """The online metrics of a day.

    Args:
        sums: What the day adds up to.
        eligible: How many items could be recommended to somebody on the day.
        day: The day.
        is_final: Whether nothing more can be credited.
    """
    parts, users = [], pl.DataFrame()
    for level in LEVELS:
        sums = sums if level == BY_SURFACE else sums.pooled((*BROUGHT, *level))
        parts.append(_measured(sums, eligible))
        if level == BY_ARM:
            users = _users(sums)
    rows = pl.concat(parts).with_columns(ds=pl.lit(day), is_final=pl.lit(is_final)).sort(GROUP)
    return Figures(
        rows.select(ONLINE_METRICS.schema.names()),
        users.with_columns(ds=pl.lit(day)).select(USER_OUTCOMES.schema.names()),
    )


def _users(sums: Sums) -> pl.DataFrame:
    known = sums.units.filter(pl.col("user_id").is_not_null()).join(sums.groups, on="group")
    return known.with_columns(pl.col("revenue").round(MONEY_DECIMALS), pl.col("ndcg_sum").round(_DIGITS))


def _coverage(items: pl.DataFrame) -> pl.DataFrame:
    """Per group: different items, the eligible ones (covered), and of these those that only one unit saw.

    Of the latter, the sum over the units (alone), and the sum of their squares (alone_squared).
    """
    counts = items.group_by("group").agg(items=pl.len(), covered=pl.col("is_eligible").sum())
    lonely = items.filter(pl.col("is_eligible"), pl.col("least") == pl.col("greatest"))
    by_unit = lonely.group_by("group", "least").agg(alone=pl.len().cast(pl.Float64)).group_by("group")
    alone = by_unit.agg(pl.col("alone").sum(), alone_squared=pl.col("alone").pow(2).sum())
    return counts.join(alone, on="group", how="left").with_columns(pl.col("alone", "alone_squared").fill_null(0.0))


def _measured(sums: Sums, eligible: int) -> pl.DataFrame:
    """Rows of the metrics of one level, without day and state."""
    found = (
        sums.units.group_by("group")
        .agg(
            pl.col(name for name in SUMS if not name.startswith("ndcg")).sum(),
            *(one for figure in RATIOS for one in _moments(figure)),
            users=pl.col("user_id").count(),
            units=pl.len(),
        )
        .join(_coverage(sums.items), on="group")
        .join(sums.groups, on="group")
        .with_columns(pl.col("revenue").round(MONEY_DECIMALS))
    )
    estimates = {**{figure: _ratio(figure, found) for figure in RATIOS}, "coverage": _covered(found, eligible)}
    columns = [
        pl.Series(name, values, nan_to_null=True).round_sig_figs(_DIGITS)
        for figure in ONLINE_FIGURES
        for name, values in _columns(figure, estimates[figure]).items()
    ]
    rows = found.with_columns(*columns)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in ONLINE_METRICS.schema.items() if name in rows)


def _columns(figure: str, found: Estimates) -> dict[str, np.ndarray]:
    return {figure: found.value, f"{figure}_low": found.low, f"{figure}_high": found.high, f"{figure}_se": found.se}


def _moments(figure: str) -> tuple[pl.Expr, ...]:
    """Sums over the units that have any of the denominator; the others say nothing about the ratio."""
    y, x = (pl.col(name).cast(pl.Float64) for name in RATIOS[figure])
    is_there = x > 0
    terms = (is_there.cast(pl.Float64), y, x, y * y, x * x, x * y)
    return tuple(
        one.filter(is_there).sum().alias(f"{figure} {name}") for name, one in zip(_MOMENTS, terms, strict=True)
    )


def _ratio(figure: str, found: pl.DataFrame) -> Estimates:
    moments = Moments(*(found[f"{figure} {name}"].to_numpy() for name in _MOMENTS))
    return ratios(moments) if figure == "revenue_per_impression" else proportions(moments)


def _covered(found: pl.DataFrame, eligible: int) -> Estimates:
    """Coverage, with the jackknife's standard error: without a unit, the items are gone that nobody else saw.

    On average it is not too small (Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 1981).
    """
    names = ("covered", "alone", "alone_squared", "units")
    covered, alone, squared, units = (found[name].cast(pl.Float64).to_numpy() for name in names)
    if not eligible:
        nothing = np.full_like(covered, np.nan)
        return Estimates(nothing, nothing, nothing, nothing)
    variance = np.where(units > 1, (units - 1) / units * np.maximum(squared - np.square(alone) / units, 0), np.nan)
    return bounded(covered / eligible, np.sqrt(variance) / eligible, units)
