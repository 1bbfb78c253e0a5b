"""The log that a registered version is estimated on: impressions with propensities, and what it would have shown there.

The version's policy is its own list for the user, as of the day before: at each place, its item with probability 1.
How an estimate follows is the business of `off_policy`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import IMPRESSIONS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.models.versions import CANDIDATE, RELEASE, load_version
from recsys_assets.monitoring.off_policy import NoEstimateError
from recsys_assets.monitoring.shown import Shown, read_shown
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from recsys_assets.slot_window import ONE_DAY
from resources.model_registry import ModelRegistry, ModelVersion

_PLACED = ["user_id", "item_id", "position"]


@dataclass(frozen=True)
class CandidateLog:
    """What a version can be estimated on.

    Attributes:
        log: What `off_policy.estimate` takes; the unit is the user.
        days: The days that it is of, the oldest first.
        without_propensity: Impressions left out because nobody said how likely they were.
        without_user: Impressions left out because nobody knows to whom they were shown.
        without_list: Impressions left out because the version has no list of its own for the user.
    """

    log: pl.DataFrame
    days: Sequence[date]
    without_propensity: int
    without_user: int
    without_list: int


def candidate_log(
    store: FeatureStore, registry: ModelRegistry, family: ConfiguredFamily, version: ModelVersion, newest_days: int
) -> CandidateLog:
    """Read the newest days that the version has not been trained on.

    Args:
        store: The features that lists are computed from.
        registry: Where the version is.
        family: Its family.
        version: Which version; its release where it has one, else its candidate.
        newest_days: How many of the days with impressions.

    Raises:
        NoEstimateError: No impression of these days can be used; the message says why.
        RegistryError: The version has no artifact.
        ArtifactError: Its artifact is damaged.
    """
    name = RELEASE if TRAINED_THROUGH in version.tags else CANDIDATE
    artifact = load_version(registry, family.family, version, name)
    through = artifact.provenance.trained_through
    with_impressions = store.lake.days(IMPRESSIONS.name)
    days = [day for day in with_impressions if day > through][-newest_days:]
    label = f"{version.family} version {version.version}"
    if not days:
        newest = f"the newest are of {with_impressions[-1]}" if with_impressions else "there are none"
        raise NoEstimateError(
            f"{label} was trained on days up to {through}, and on what it has seen it cannot be judged: it needs "
            f"impressions of later days, and {newest}"
        )
    found = [_of_day(store, registry, family, artifact.model, day) for day in days]
    merged = CandidateLog(
        pl.concat(one.log for one in found),
        days,
        sum(one.without_propensity for one in found),
        sum(one.without_user for one in found),
        sum(one.without_list for one in found),
    )
    if merged.log.is_empty():
        raise NoEstimateError(
            f"none of the impressions from {days[0]} to {days[-1]} says how {label} would do: "
            f"{merged.without_propensity:,} have no propensity, {merged.without_user:,} name no user, and for the "
            f"users of {merged.without_list:,} it has no list; map `propensity`, the probability with which an item "
            "was shown at its place, and show items at random for a share of the requests"
        )
    return merged


def _of_day(
    store: FeatureStore, registry: ModelRegistry, family: ConfiguredFamily, model: Model, day: date
) -> CandidateLog:
    rows = _logged(read_shown(store.platform, store.lake, registry, day))
    likely = rows.filter(pl.col("propensity").is_not_null())
    known = likely.filter(pl.col("user_id").is_not_null())
    lists = placed_lists(store, family, model, known, day - ONE_DAY)
    answered = known.join(lists.select("user_id").unique(), on="user_id", how="semi")
    log = answered.join(lists.with_columns(target=pl.lit(1.0)), on=_PLACED, how="left").select(
        "is_clicked", "propensity", pl.col("target").fill_null(0.0), unit="user_id"
    )
    return CandidateLog(
        log,
        [day],
        without_propensity=rows.height - likely.height,
        without_user=likely.height - known.height,
        without_list=known.height - answered.height,
    )


def _logged(shown: Shown) -> pl.DataFrame:
    """user_id, item_id, position, propensity, is_clicked of the impressions that count."""
    key = ["request_id", *_PLACED]
    clicked = shown.hits.filter(pl.col("clicks") > 0).select(key).unique().with_columns(is_hit=pl.lit(value=True))
    rows = shown.counted.select(*key, "propensity").collect(engine="streaming")
    joined = rows.join(clicked, on=key, how="left", nulls_equal=True)
    return joined.select(*_PLACED, "propensity", is_clicked=pl.col("is_hit").fill_null(value=False))


def placed_lists(
    store: FeatureStore, family: ConfiguredFamily, model: Model, rows: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    """What a model would have shown to some users, as daily inference computes it.

    Args:
        store: The features that lists are computed from.
        family: The model's family.
        model: The model.
        rows: user_id, and position: lists reach as far as the last place asked for.
        as_of: The day up to whose end histories reach.

    Returns:
        user_id, item_id, position; nothing for users of whom the model knows nothing.
    """
    users = rows["user_id"].unique().sort()
    longest = rows["position"].max() or 0
    if not isinstance(longest, int) or not longest:
        return rows.select(_PLACED).head(0)
    histories = Interactions(store.history(as_of, family.settings.ranked_days), as_of)
    exclusions, eligible = store.read("exclusions", as_of), store.read("eligible_items", as_of)
    ranked = rank(model, histories, users, exclusions, eligible, n=longest)
    placed = ranked.select("user_id", item_id="item_ids", position=pl.int_ranges(1, pl.col("item_ids").list.len() + 1))
    return placed.explode("item_id", "position", empty_as_null=False, keep_nulls=False)
