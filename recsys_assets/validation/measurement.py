"""Measuring the candidate of a slot: its holdout, read from the feature store, and how its lists do on it."""

import polars as pl

from recsys_assets.columns import ITEMS_SEEN
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, is_finite
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions
from recsys_assets.models.training import training_split
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.evaluation import LIST_LENGTH, Holdout, lists_for
from recsys_assets.validation.gate import Measured
from recsys_assets.validation.metrics import mean_metrics
from recsys_assets.validation.report import Lists, Surroundings
from recsys_assets.validation.segments import accuracy, established_items


def holdout_of(store: FeatureStore, window: SlotWindow) -> Holdout:
    """The holdout of a slot: hits from the training set; histories, exclusions, eligibility of the day before it.

    Histories reach back as far as those that serve do, which may be further than the train rows.
    """
    through = window.candidate_through
    longest = max(settings.ranked_days for settings in store.platform.families.values())
    return Holdout(
        histories=Interactions(store.history(through, longest), through),
        hits=training_split(store.lake, window, "holdout"),
        exclusions=store.read("exclusions", through),
        eligible=store.read("eligible_items", through),
    )


def surroundings_of(store: FeatureStore, window: SlotWindow) -> Surroundings:
    """What is known of users and items on the last day that candidates of the slot have seen.

    Segments are those of `features/user_profile`: by the purchases of its trailing window, which ends on that day
    and need not be the window of a family.
    """
    through = window.candidate_through
    train = training_split(store.lake, window, "train").select("user_id", "item_id").unique()
    seen = store.engine.collect(store.known(through).total(ITEMS_SEEN).select("item_id", "first_seen_on"))
    return Surroundings(
        profiles=store.read("user_profile", through).select("user_id", "segment"),
        item_users=train.group_by("item_id").agg(users=pl.len()),
        user_count=train["user_id"].n_unique(),
        established=established_items(seen, through),
    )


def lists_of(family: ConfiguredFamily, candidate: Artifact, baseline: Artifact, holdout: Holdout) -> Lists:
    """The lists that the candidate would have served to the users of the holdout, with a history and without."""
    known, cold = (
        lists_for(candidate.model, baseline.model, holdout, family.settings.ranked_days, users)
        for users in (holdout.users, holdout.cold_users)
    )
    return Lists(known, cold, candidate.model.item_ids)


def measure(
    lists: pl.DataFrame, candidate: Artifact, fallback: ConfiguredFamily, baseline: Artifact, holdout: Holdout
) -> Measured:
    """What the gate looks at.

    Args:
        lists: user_id, item_ids: what the candidate would have served to users with a history.
        candidate: What is judged.
        fallback: The fallback family.
        baseline: Its candidate of the same slot.
        holdout: The truth.
    """
    users = holdout.users
    popular = lists_for(baseline.model, baseline.model, holdout, fallback.settings.ranked_days, users)
    return Measured(
        ndcg_at_10=_mean_ndcg(lists, holdout),
        popularity_ndcg_at_10=_mean_ndcg(popular, holdout),
        holdout_users=users.len(),
        is_finite=is_finite(candidate.model),
    )


def _mean_ndcg(lists: pl.DataFrame, holdout: Holdout) -> float | None:
    return mean_metrics(accuracy(lists, holdout.hits, holdout.users, LIST_LENGTH))["ndcg_at_10"]
