"""What a policy would have got, from what another one showed: estimates before anybody sees a list of it. Pure.

Impressions say with which probability each was shown where it was shown (the propensity). Weighing the clicks of each
by how much more often the new policy would have shown it gives what that one would have got:

- IPS, inverse propensity scoring: the mean of w * click, w = target / propensity. Without bias, and it may exceed 1
  (Horvitz and Thompson, JASA 1952; Bottou et al., "Counterfactual reasoning and learning systems", JMLR 2013).
- SNIPS, self-normalized: sum of w * click / sum of w. A little bias, much less variance (Swaminathan and Joachims, "The
  self-normalized estimator for counterfactual learning", NIPS 2015).

Both are ratios of sums over users, so their intervals are those of `intervals`. Each place of a list is taken by
itself, as Saito, Aihara, Matsutani and Narita take it ("Open Bandit Dataset and Pipeline", 2020). Weights must be 1 on
average; where they are not, the old policy never showed what the new one would, and no estimate can know.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_assets.monitoring.intervals import Estimates, Floats, Moments, proportions, ratios

LOST_AT_MOST = 0.05
"""Share of what the new policy shows that may be missing in the log."""
_PLACE = ["position", "item_id"]


class NoEstimateError(Exception):
    """The log cannot say how the policy would do; the message says why, and what would help."""


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def first_of(cls, found: Estimates) -> "Figure":
        """That of the only group."""
        return cls(float(found.value[0]), float(found.low[0]), float(found.high[0]))


@dataclass(frozen=True)
class OffPolicy:
    """What a log says of a policy.

    Attributes:
        impressions: Rows of the log.
        units: Users, or requests of unknown ones.
        matched: Rows that the policy may have shown as well.
        logged: Click-through rate of the log as it is.
        ips: Of the policy, by inverse propensity scoring.
        snips: Of the policy, self-normalized.
        weight: Mean weight, with its interval; 1 in expectation where the log shows whatever the policy would.
        largest_weight: The largest weight, after clipping.
        clipped: Rows whose weight was clipped.
        effective: Impressions that would say as much if all had the same weight: (sum of w)^2 / sum of w^2 (Kish 1965).
    """

    impressions: int
    units: int
    matched: int
    logged: Figure
    ips: Figure
    snips: Figure
    weight: Figure
    largest_weight: float
    clipped: int
    effective: float


def item_frequencies(log: pl.DataFrame) -> pl.DataFrame:
    """The policy that shows each item at each place as often as a log does, whoever looks.

    Args:
        log: position, item_id; one row per impression.

    Returns:
        position, item_id, target (Float64): its probability among the items of the place.
    """
    counts = log.group_by(_PLACE).agg(shown=pl.len())
    return counts.select(*_PLACE, target=pl.col("shown") / pl.col("shown").sum().over("position")).sort(_PLACE)


def with_targets(log: pl.DataFrame, policy: pl.DataFrame) -> pl.DataFrame:
    """The log with the probability with which the policy would have shown each of its rows.

    Args:
        log: position, item_id, and whatever else.
        policy: As `item_frequencies` returns it.

    Raises:
        NoEstimateError: The policy shows items at places where the log never does.
    """
    asked = policy.join(log.select("position").unique(), on="position", how="semi")
    never = asked.join(log.select(_PLACE).unique(), on=_PLACE, how="anti").filter(pl.col("target") > 0)
    lost = never["target"].sum() / max(asked["position"].n_unique(), 1)
    if lost > LOST_AT_MOST:
        position, item, _ = never.sort("target", descending=True).row(0)
        raise NoEstimateError(
            f"the log never shows {lost:.0%} of what the policy would show, such as {item} at place {position}: it "
            "says nothing about these; log a policy that shows every candidate sometimes"
        )
    return log.join(policy, on=_PLACE, how="left").with_columns(pl.col("target").fill_null(0.0))


def estimate(log: pl.DataFrame, clip: float | None = None) -> OffPolicy:
    """Estimate the click-through rate of a policy.

    Args:
        log: unit (of any type: whoever is independent of one another), is_clicked (Boolean), propensity (Float64: the
            probability with which the row was shown at its place), target (Float64: that of the policy).
        clip: The largest weight; larger ones are lowered to it, which trades bias for variance. None: no limit.

    Raises:
        NoEstimateError: A propensity is missing or is no probability above 0, a target is no probability, there are
            fewer than two units, or the log does not show what the policy would.
    """
    _require_probabilities(log)
    if clip is not None and not clip > 0:
        raise NoEstimateError(f"weights cannot be clipped at {clip}; give a number above 0")
    full = log.with_columns(weight=pl.col("target") / pl.col("propensity"))
    mean_weight = _figure(full, pl.col("weight"), pl.lit(1.0))
    if not mean_weight.high >= 1 - LOST_AT_MOST:
        raise NoEstimateError(
            f"the weights of the policy are {mean_weight.value:.3f} on average, at most {mean_weight.high:.3f}, where "
            "they should be 1: the log seldom or never shows what the policy would, or its propensities are wrong; log "
            "a policy that shows every candidate sometimes"
        )
    weighed = full.with_columns(pl.col("weight").clip(upper_bound=clip)) if clip is not None else full
    clicks, weight = pl.col("is_clicked").cast(pl.Float64), pl.col("weight")
    weights = weighed["weight"]
    return OffPolicy(
        impressions=log.height,
        units=log["unit"].n_unique(),
        matched=int((weights > 0).sum()),
        logged=_figure(weighed, clicks, pl.lit(1.0), is_proportion=True),
        ips=_not_below_zero(_figure(weighed, weight * clicks, pl.lit(1.0))),
        snips=_figure(weighed, weight * clicks, weight, is_proportion=True),
        weight=mean_weight,
        largest_weight=float(weights.to_numpy().max()),
        clipped=int((full["weight"] > weights).sum()),
        effective=_effective(weights.to_numpy()),
    )


def _require_probabilities(log: pl.DataFrame) -> None:
    for name, is_wrong, must in (
        ("propensity", ~pl.col("propensity").is_between(0, 1, closed="right"), "above 0 and at most 1"),
        ("target", ~pl.col("target").is_between(0, 1), "from 0 to 1"),
    ):
        missing = log[name].null_count() + int(log[name].is_nan().sum())
        if missing:
            raise NoEstimateError(f"{missing:,} of {log.height:,} impressions have no {name}; each needs one")
        wrong = log.filter(is_wrong)[name]
        if wrong.len():
            raise NoEstimateError(
                f"{wrong.len():,} of {log.height:,} impressions have a {name} such as {wrong[0]:g}; it is a "
                f"probability, {must}"
            )
    units = log["unit"].n_unique()
    if units < 2:  # noqa: PLR2004 - one varies with nobody
        raise NoEstimateError(f"the log has {units} users; an interval needs at least two, and a useful one many")


def _figure(log: pl.DataFrame, over: pl.Expr, under: pl.Expr, *, is_proportion: bool = False) -> Figure:
    """A ratio of sums over units."""
    sums = log.group_by("unit").agg(y=over.sum(), x=(under + pl.lit(0.0) * pl.col("weight")).sum())
    y, x = (sums[name].cast(pl.Float64).to_numpy() for name in ("y", "x"))
    is_there = x > 0
    moments = Moments.of(y[is_there], x[is_there])
    return Figure.first_of(proportions(moments) if is_proportion else ratios(moments))


def _not_below_zero(figure: Figure) -> Figure:
    return Figure(figure.value, max(figure.low, 0.0), figure.high)


def _effective(weights: Floats) -> float:
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0
