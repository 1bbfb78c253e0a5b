"""Judging lists against a holdout: who is judged, on what, and the figures that come out. Pure."""

from dataclasses import dataclass

import polars as pl

from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.validation.metrics import (
    CUTOFFS,
    catalogue_coverage,
    hit_matrix,
    mean_metrics,
    metric_names,
    per_user_metrics,
    relevant_counts,
)

WARM = "warm_"
COVERAGE = "catalogue_coverage"
LIST_LENGTH = max(CUTOFFS)
OVERLAP_AT = 50


@dataclass(frozen=True)
class Holdout:
    """What candidates of a slot are judged on; everything is as of the last day before the holdout.

    Attributes:
        histories: What users had done until then.
        hits: user_id, item_id: what they took in the holdout without having had it.
        exclusions: Rows of `features/exclusions`.
        eligible: Rows of `features/eligible_items`.
    """

    histories: Interactions
    hits: pl.DataFrame
    exclusions: pl.DataFrame
    eligible: pl.DataFrame

    @property
    def users(self) -> pl.Series:
        """Users with a history and at least one hit, sorted: those that the gate counts."""
        known = self.histories.rows.select("user_id").unique()
        return self.hits.select("user_id").unique().join(known, on="user_id", how="semi")["user_id"].sort()


def report_metrics() -> tuple[str, ...]:
    """The metric columns of a report: over all hits, over hits on items that the candidate knows, and coverage."""
    names = metric_names()
    return (*names, *(WARM + name for name in names), COVERAGE)


def lists_for(
    model: Model, fallback: Model, holdout: Holdout, history_days: int, users: pl.Series, n: int = LIST_LENGTH
) -> pl.DataFrame:
    """The lists that the users would have been served: personal where the model can, else the fallback's.

    Args:
        model: What is judged.
        fallback: The popularity model of the same slot.
        holdout: Histories and what may be recommended.
        history_days: The family's window of history.
        users: Whom to rank for.
        n: Length of the lists.

    Returns:
        user_id, item_ids, scores.
    """
    histories = holdout.histories.within(history_days)
    personal = rank(model, histories, users, holdout.exclusions, holdout.eligible, n=n)
    rest = users.filter(~users.is_in(personal["user_id"].implode()))
    return pl.concat([personal, rank(fallback, histories, rest, holdout.exclusions, holdout.eligible, n=n)])


def figures(lists: pl.DataFrame, holdout: Holdout, known_items: pl.Series) -> dict[str, float | None]:
    """The report's figures: means over the holdout users.

    Args:
        lists: user_id, item_ids of every holdout user.
        holdout: The truth.
        known_items: The candidate's id map: hits on other items stay in `all` and leave `warm`.
    """
    users = holdout.users
    warm_hits = holdout.hits.filter(pl.col("item_id").is_in(known_items.implode()))
    over_all = mean_metrics(_per_user(lists, holdout.hits, users))
    over_warm = mean_metrics(_per_user(lists, warm_hits, users))
    coverage = catalogue_coverage(lists, holdout.eligible.height)
    return {**over_all, **{WARM + name: value for name, value in over_warm.items()}, COVERAGE: coverage}


def mean_overlap(lists: pl.DataFrame, others: pl.DataFrame, at: int = OVERLAP_AT) -> float | None:
    """Mean over users of the share of the first `at` items that two sets of lists have in common."""
    pairs = lists.select("user_id", first=pl.col("item_ids").list.head(at)).join(
        others.select("user_id", second=pl.col("item_ids").list.head(at)), on="user_id"
    )
    longest = pl.max_horizontal(pl.col("first").list.len(), pl.col("second").list.len())
    common = pl.col("first").list.set_intersection("second").list.len()
    mean = pairs.filter(longest > 0).select((common / longest).mean()).item()
    return None if mean is None else float(mean)


def _per_user(lists: pl.DataFrame, hits: pl.DataFrame, users: pl.Series) -> pl.DataFrame:
    return per_user_metrics(hit_matrix(lists, hits, users, LIST_LENGTH), relevant_counts(hits, users))
