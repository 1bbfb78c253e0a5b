"""Judging lists against a holdout: who is judged, on what, and by which lists. Pure; figures are made in `report`."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.validation.metrics import CUTOFFS

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
        return self._users("semi")

    @property
    def cold_users(self) -> pl.Series:
        """Users with a hit and without a history, sorted: those who get the fallback."""
        return self._users("anti")

    def _users(self, how: Literal["semi", "anti"]) -> pl.Series:
        known = self.histories.rows.select("user_id").unique()
        return self.hits.select("user_id").unique().join(known, on="user_id", how=how)["user_id"].sort()


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


def mean_overlap(lists: pl.DataFrame, others: pl.DataFrame, at: int = OVERLAP_AT) -> float | None:
    """Mean over users of the share of the first `at` items that two sets of lists have in common."""
    mean = overlaps(lists, others, at).mean()
    return mean if isinstance(mean, float) else None


def overlaps(lists: pl.DataFrame, others: pl.DataFrame, at: int = OVERLAP_AT) -> pl.Series:
    """For each user with an item in either of two lists, the share of the first `at` items that both have in common."""
    pairs = lists.select("user_id", first=pl.col("item_ids").list.head(at)).join(
        others.select("user_id", second=pl.col("item_ids").list.head(at)), on="user_id"
    )
    longest = pl.max_horizontal(pl.col("first").list.len(), pl.col("second").list.len())
    common = pl.col("first").list.set_intersection("second").list.len()
    return pairs.filter(longest > 0).select(overlap=common / longest)["overlap"]
