"""Measuring the candidate of a slot: its holdout, read from the feature store, and how its lists do on it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import polars as pl

from recsys_assets.columns import ITEMS_SEEN, TRAINING_SET
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, is_finite
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions
from recsys_assets.models.training import of_split, training_split
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.slot_window import SlotWindow
from recsys_assets.validation.beyond_accuracy import catalogue_coverage
from recsys_assets.validation.comparison import relative_changes
from recsys_assets.validation.evaluation import Holdout, lists_for
from recsys_assets.validation.forbidden import forbidden_pairs, without_pairs
from recsys_assets.validation.gate import Compared, Measured
from recsys_assets.validation.metrics import CUTOFFS, mean_metrics
from recsys_assets.validation.report import Lists, Surroundings
from recsys_assets.validation.rivals import Rivals
from recsys_assets.validation.segments import accuracy, established_items
from recsys_assets.validation.shared import shared
from recsys_assets.validation.stored_reports import seed_of

NO_RIVALS = Rivals()


def holdout_of(store: FeatureStore, window: SlotWindow) -> Holdout:
    """The holdout of a slot: hits from the training set; histories, exclusions, eligibility of the day before it.

    Histories reach back as far as those that serve do, which may be further than the train rows. Users without a hit
    are left out: nobody is judged by them.
    """
    return shared(store, window, "holdout", lambda: _holdout(store, window))


def _holdout(store: FeatureStore, window: SlotWindow) -> Holdout:
    through = window.candidate_through
    hits = training_split(store.lake, window, "holdout")
    users = hits["user_id"].unique()
    return Holdout(
        histories=Interactions(_histories(store, window, users), through),
        hits=hits,
        exclusions=store.read("exclusions", through, users=users),
        eligible=store.read("eligible_items", through),
    )


def _histories(store: FeatureStore, window: SlotWindow, users: pl.Series) -> pl.DataFrame:
    """What some users had done before the holdout; the train rows are just that, where they reach back far enough."""
    longest = max(settings.ranked_days for settings in store.platform.families.values())
    first = window.candidate_through - timedelta(days=longest - 1)
    if first >= window.first or window.first <= store.platform.first_day:
        rows = _train(store, window).filter(pl.col("day") >= first)
        return rows.join(users.to_frame().lazy(), on="user_id", how="semi").collect(engine="streaming")
    return store.history(window.candidate_through, longest, users)


def _train(store: FeatureStore, window: SlotWindow) -> pl.LazyFrame:
    """What the candidates of the slot are fitted on: more than memory should hold beside them."""
    return of_split(store.lake.scan(TRAINING_SET, (window.slot, window.slot)), "train")


def surroundings_of(store: FeatureStore, window: SlotWindow) -> Surroundings:
    """What is known of users and items on the last day that candidates of the slot have seen.

    Segments are those of `features/user_profile`: by the purchases of its trailing window, which ends on that day
    and need not be the window of a family.
    """
    return shared(store, window, "surroundings", lambda: _surroundings(store, window))


def _surroundings(store: FeatureStore, window: SlotWindow) -> Surroundings:
    through = window.candidate_through
    train = _train(store, window).select("user_id", "item_id").unique()
    counts = train.group_by("item_id").agg(users=pl.len()), train.select(pl.col("user_id").n_unique())
    item_users, user_count = pl.collect_all(counts, engine="streaming")
    seen = store.engine.collect(store.known(through).total(ITEMS_SEEN).select("item_id", "first_seen_on"))
    return Surroundings(
        profiles=store.segments(through),
        item_users=item_users,
        user_count=int(user_count.item()),
        established=established_items(seen, through),
    )


def lists_of(family: ConfiguredFamily, candidate: Artifact, baseline: Artifact, holdout: Holdout) -> Lists:
    """The lists that the candidate would have served to the users of the holdout, with a history and without."""
    known, cold = (
        lists_for(candidate.model, baseline.model, holdout, family.settings.ranked_days, users)
        for users in (holdout.users, holdout.cold_users)
    )
    return Lists(known, cold, candidate.model.item_ids)


def allowed_lists(lists: Lists, holdout: Holdout) -> tuple[Lists, int]:
    """Take out of the lists what must not be in them, so that all else can be measured.

    Returns:
        The lists, and how many items were taken out: none, unless something is wrong with the ranking.
    """
    parts = [lists.served, lists.cold]
    pairs = [forbidden_pairs(part, holdout.exclusions, holdout.eligible) for part in parts]
    count = sum(one.height for one in pairs)
    if not count:
        return lists, 0
    served, cold = (without_pairs(part, one) for part, one in zip(parts, pairs, strict=True))
    return replace(lists, served=served, cold=cold), count


def popular_lists(fallback: ConfiguredFamily, baseline: Artifact, holdout: Holdout) -> pl.DataFrame:
    """user_id, item_ids that popularity would have served to the users with a history."""
    return lists_for(baseline.model, baseline.model, holdout, fallback.settings.ranked_days, holdout.users)


def lists_beside(
    popular: pl.DataFrame, baseline: Artifact, holdout: Holdout, rivals: Rivals = NO_RIVALS
) -> dict[str, pl.DataFrame]:
    """What a candidate is compared with: the lists of the same users, ranked on the same histories.

    Args:
        popular: As `popular_lists` returns it.
        baseline: The fallback family's candidate of the slot.
        holdout: The truth, and what may be recommended.
        rivals: The approved versions.

    Returns:
        `popularity`, and those of `rivals` that can be ranked with, each to user_id, item_ids.
    """
    return {FALLBACK_FAMILY: popular} | {
        name: lists_for(rival.artifact.model, baseline.model, holdout, rival.ranked_days, holdout.users)
        for name, rival in rivals.by_name().items()
        if rival.artifact is not None
    }


def measure(
    lists: pl.DataFrame,
    beside: Mapping[str, pl.DataFrame],
    candidate: Artifact,
    holdout: Holdout,
    *,
    rivals: Rivals = NO_RIVALS,
    forbidden: int = 0,
) -> Measured:
    """What the gate looks at.

    Args:
        lists: user_id, item_ids: what the candidate would have served to users with a history.
        beside: As `lists_beside` returns it.
        candidate: What is judged.
        holdout: The truth.
        rivals: The approved versions that it is compared with.
        forbidden: How many items had to be taken out of the lists, as `allowed_lists` counts them.
    """
    users, by_whom = holdout.users, {"candidate": lists, **beside}
    ndcg = pl.DataFrame(
        accuracy(of, holdout.hits, users, min(CUTOFFS))["ndcg_at_10"].alias(name) for name, of in by_whom.items()
    )
    changes = relative_changes(ndcg["candidate"], ndcg.drop("candidate"), seed_of(candidate.provenance.slot))
    means = mean_metrics(ndcg)
    return Measured(
        ndcg_at_10=means["candidate"],
        popularity_ndcg_at_10=means[FALLBACK_FAMILY],
        holdout_users=ndcg.height,
        is_finite=is_finite(candidate.model),
        ndcg_error=_standard_error(ndcg["candidate"]),
        to_popularity=changes[FALLBACK_FAMILY],
        to_approved={
            name: Compared(rival.who, changes.get(name), rival.problem) for name, rival in rivals.by_name().items()
        },
        coverage=catalogue_coverage(lists, holdout.eligible.height) if ndcg.height else None,
        forbidden=forbidden,
    )


def _standard_error(values: pl.Series) -> float | None:
    deviation = values.std()
    return float(deviation) / values.len() ** 0.5 if isinstance(deviation, float) else None
