"""Fitting a family on the training set of a slot: the same recipe for the candidate and for the release."""

from importlib.metadata import version as package_version

import polars as pl

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.models.artifact import Artifact, Provenance
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import Interactions
from recsys_assets.platform import Platform
from recsys_assets.slot_window import SlotWindow
from resources.lake import DeltaLake


def fit_on(platform: Platform, family: ConfiguredFamily, lake: DeltaLake, window: SlotWindow, split: str) -> Artifact:
    """Fit a family on one split of the slot's training set.

    Args:
        platform: The configuration.
        family: What to fit, with its settings.
        lake: Where `features/training_set` is.
        window: The slot's days.
        split: `train` for the candidate, `release` for the release: the same recipe on other days.
    """
    through = window.candidate_through if split == "train" else window.last
    interactions = Interactions(training_split(lake, window, split), through).within(family.settings.window_days)
    seed = platform.training.seed
    provenance = Provenance(
        slot=window.slot,
        trained_through=through,
        seed=seed,
        training_set_version=lake.version(TRAINING_SET.name),
        feature_spec_hash=feature_spec_hash(platform),
        code_version=package_version("recsys-assets"),
    )
    return Artifact(family.family.fit(interactions, family.parameters, seed), provenance)


def training_split(lake: DeltaLake, window: SlotWindow, split: str) -> pl.DataFrame:
    """user_id, item_id, day, weight of one split of `features/training_set`."""
    rows = lake.scan(TRAINING_SET, (window.slot, window.slot)).filter(pl.col("split") == split)
    return rows.select("user_id", "item_id", "day", "weight").collect()
