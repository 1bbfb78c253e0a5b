"""Measuring the candidate of a slot: its holdout, read from the feature store, and its figures on it."""

from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, is_finite
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions
from recsys_assets.models.training import training_split
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.evaluation import Holdout, figures, lists_for
from recsys_assets.validation.gate import Measured


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


def measure(
    family: ConfiguredFamily,
    candidate: Artifact,
    fallback: ConfiguredFamily,
    baseline: Artifact,
    holdout: Holdout,
) -> tuple[dict[str, float | None], Measured]:
    """The candidate's figures, and what the gate looks at."""
    users = holdout.users
    lists = lists_for(candidate.model, baseline.model, holdout, family.settings.ranked_days, users)
    popular = lists_for(baseline.model, baseline.model, holdout, fallback.settings.ranked_days, users)
    values = figures(lists, holdout, candidate.model.item_ids)
    popular_values = figures(popular, holdout, baseline.model.item_ids)
    return values, Measured(
        ndcg_at_10=values["ndcg_at_10"],
        popularity_ndcg_at_10=popular_values["ndcg_at_10"],
        holdout_users=users.len(),
        is_finite=is_finite(candidate.model),
    )
