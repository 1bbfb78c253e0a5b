"""The lists that two versions of a family give to the same users on the same day."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import INTERACTION_DAYS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.validation.evaluation import OVERLAP_AT, mean_overlap

SHOWN_USERS = 10
OVERLAP_USERS = 1_000


@dataclass(frozen=True)
class SideBySide:
    """Lists of two versions.

    Attributes:
        as_of: The day up to whose end histories, exclusions and eligibility reach.
        users: The users shown: an even spread over the ids of those with a history.
        first: User to item ids, best first, by the first version; without a user whose history it knows nothing of.
        second: The same by the second version.
        overlap: Mean share of the first 50 items in common; None where nobody has both lists.
        overlap_users: How many users that is the mean over, at most.
    """

    as_of: date
    users: list[str]
    first: dict[str, list[str]]
    second: dict[str, list[str]]
    overlap: float | None
    overlap_users: int


def side_by_side(store: FeatureStore, family: ConfiguredFamily, first: Model, second: Model) -> SideBySide | None:
    """Rank the same users with two models, as daily inference would on the newest ingested day.

    Returns:
        The lists; None where nothing was ingested yet, or nobody has a history.
    """
    days = store.lake.days(INTERACTION_DAYS.name)
    if not days:
        return None
    day = days[-1]
    histories = Interactions(store.history(day, family.settings.ranked_days), day)
    users = histories.rows["user_id"].unique().sort()
    if users.is_empty():
        return None
    asked = spread(users, OVERLAP_USERS)
    exclusions, eligible = store.read("exclusions", day), store.read("eligible_items", day)
    lists, others = (rank(model, histories, asked, exclusions, eligible, n=OVERLAP_AT) for model in (first, second))
    shown = spread(asked, SHOWN_USERS)
    return SideBySide(
        as_of=day,
        users=shown.to_list(),
        first=_of(lists, shown),
        second=_of(others, shown),
        overlap=mean_overlap(lists, others),
        overlap_users=asked.len(),
    )


def spread(users: pl.Series, count: int) -> pl.Series:
    """At most `count` of the users, at even distances; the same users always give the same choice."""
    chosen = min(count, users.len())
    return users.gather([place * users.len() // chosen for place in range(chosen)])


def _of(lists: pl.DataFrame, users: pl.Series) -> dict[str, list[str]]:
    return dict(lists.filter(pl.col("user_id").is_in(users.implode())).select("user_id", "item_ids").iter_rows())
