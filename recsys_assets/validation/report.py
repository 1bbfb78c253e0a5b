"""The report on the lists of a slot: every figure, with its interval, and the tables behind it. Pure.

The figures that are means over users come from one row per user, so a mean, its interval, its segments and the
stored rows cannot disagree. What is decided by them is in `gate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recsys_assets.validation.beyond_accuracy import (
    catalogue_coverage,
    item_facts,
    list_qualities,
    quality_names,
    shown_items,
    spread,
    spread_names,
)
from recsys_assets.validation.bootstrap import mean_intervals
from recsys_assets.validation.comparison import Change
from recsys_assets.validation.evaluation import LIST_LENGTH, Holdout
from recsys_assets.validation.metrics import CUTOFFS, mean_metrics, metric_names
from recsys_assets.validation.segments import SEGMENT_METRICS, accuracy, by_segment, segments_of

MAIN = tuple(f"{metric}_at_{cutoff}" for cutoff in CUTOFFS for metric in ("ndcg", "recall", "hit_rate"))
"""The metrics that are also stored per user, and also measured on warm pairs."""
WARM = "_warm"
LOW, HIGH = "_low", "_high"
COVERAGE = "catalogue_coverage"
COMPARED = ("popularity", "approved")
"""Whom NDCG at 10 is compared with: the slot's popularity candidate, and the approved version on the same users."""

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Surroundings:
    """What is known of users and items on the last day before the holdout, beside what may be recommended.

    Attributes:
        profiles: user_id, segment.
        item_users: item_id, users: how many users of the training rows had the item.
        user_count: Number of users of the training rows.
        established: Ids of the items that were not new any more.
    """

    profiles: pl.DataFrame
    item_users: pl.DataFrame
    user_count: int
    established: pl.Series


@dataclass(frozen=True)
class Lists:
    """What is judged.

    Attributes:
        served: user_id, item_ids of the users with a history and a hit.
        cold: user_id, item_ids of the users with a hit and without a history: fallbacks.
        known_items: The ids that the candidate was trained on: hits on others stay in `all` and leave `warm`.
    """

    served: pl.DataFrame
    cold: pl.DataFrame
    known_items: pl.Series


@dataclass(frozen=True)
class Report:
    """What is stored of the lists of a slot.

    Attributes:
        figures: The columns `report_metrics()`; None where there is nobody or nothing to measure.
        user_metrics: user_id, segment and MAIN, one row per user with a history and a hit.
        segments: segment, users, SEGMENT_METRICS.
    """

    figures: Figures
    user_metrics: pl.DataFrame
    segments: pl.DataFrame

    @property
    def numbers(self) -> dict[str, float]:
        """The figures that there are."""
        return {name: value for name, value in self.figures.items() if value is not None}


def mean_names() -> tuple[str, ...]:
    """The figures that are means over users: on all pairs, on warm pairs, and what the lists are like."""
    return (*metric_names(), *(name + WARM for name in MAIN), *quality_names())


def report_metrics() -> tuple[str, ...]:
    """The metric columns of a report: each mean with the ends of its interval, then what is no mean over users."""
    means = (name + end for name in mean_names() for end in ("", LOW, HIGH))
    changes = (change_to(who) + end for who in COMPARED for end in ("", LOW, HIGH))
    return (*means, *spread_names(), COVERAGE, *changes)


def change_to(who: str) -> str:
    """Name the relative change of NDCG at 10 against one of COMPARED, such as -0.03 for three percent less."""
    return f"ndcg_at_10_change_to_{who}"


def report_on(
    lists: Lists,
    holdout: Holdout,
    surroundings: Surroundings,
    seed: int,
    changes: Mapping[str, Change | None] | None = None,
) -> Report:
    """Measure everything.

    Args:
        lists: What is judged.
        holdout: The truth, and what may be recommended.
        surroundings: What users and items are like.
        seed: Of the intervals; the same for everything that is judged on the holdout.
        changes: How NDCG at 10 compares with COMPARED, as far as somebody compared it.
    """
    users, hits = holdout.users, holdout.hits
    facts = item_facts(holdout.eligible, surroundings.item_users, surroundings.user_count)
    shown = shown_items(lists.served, users, facts, LIST_LENGTH)
    warm = accuracy(lists.served, _on(hits, lists.known_items), users, LIST_LENGTH).select(MAIN)
    parts = (
        accuracy(lists.served, hits, users, LIST_LENGTH),
        warm.select(pl.all().name.suffix(WARM)),
        list_qualities(shown, users.len()),
    )
    per_user = pl.concat(parts, how="horizontal")
    segment = segments_of(users, surroundings.profiles)
    user_metrics = per_user.select(users.alias("user_id"), segment.alias("segment"), *MAIN)
    new = accuracy(lists.served, _on(hits, surroundings.established, is_on=False), users, LIST_LENGTH)
    cold = accuracy(lists.cold, hits, holdout.cold_users, LIST_LENGTH)
    rest = {**spread(shown, facts.height), COVERAGE: catalogue_coverage(lists.served, facts.height)}
    return Report(
        figures={**_with_intervals(per_user, seed), **rest, **_with_ends(changes or {})},
        user_metrics=user_metrics,
        segments=by_segment(user_metrics, new.select(SEGMENT_METRICS), cold.select(SEGMENT_METRICS)),
    )


def _with_intervals(per_user: pl.DataFrame, seed: int) -> Figures:
    """Each mean, followed by the ends of its interval."""
    intervals = mean_intervals(per_user, seed)
    figures: Figures = {}
    for name, mean in mean_metrics(per_user).items():
        low, high = intervals[name] or (None, None)
        figures |= {name: mean, name + LOW: low, name + HIGH: high}
    return figures


def _with_ends(changes: Mapping[str, Change | None]) -> Figures:
    """Each change, followed by the ends of its interval; None where nothing was compared."""
    figures: Figures = {}
    for who in COMPARED:
        name, change = change_to(who), changes.get(who)
        ends = (None, None, None) if change is None else (change.estimate, change.low, change.high)
        figures |= dict(zip((name, name + LOW, name + HIGH), ends, strict=True))
    return figures


def _on(hits: pl.DataFrame, items: pl.Series, *, is_on: bool = True) -> pl.DataFrame:
    """The hits on some items, or on all others."""
    return hits.join(items.to_frame("item_id"), on="item_id", how="semi" if is_on else "anti")
