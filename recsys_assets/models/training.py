"""Fitting a family on the training set of a slot: the same recipe for the candidate, the release, and making it again.

What is fitted on is always sorted, because sums of numbers depend on their order, and files keep none.
"""

import hashlib
from dataclasses import replace
from datetime import date
from importlib.metadata import version as package_version

import polars as pl

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.models.artifact import Artifact, Fit, Provenance
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Interactions, Parameters
from recsys_assets.models.made_with import made_with
from recsys_assets.platform import Platform
from recsys_assets.slot_window import SlotWindow
from resources.lake import DeltaLake

DIGESTED_AT_ONCE = 1_000_000


def fit_on(platform: Platform, family: ConfiguredFamily, lake: DeltaLake, window: SlotWindow, split: str) -> Artifact:
    """Fit a family on one split of the slot's training set.

    Args:
        platform: The configuration.
        family: What to fit, with its settings.
        lake: Where `features/training_set` is.
        window: The slot's days.
        split: `train` for the candidate, `release` for the release: the same recipe on other days.
    """
    version = lake.version(TRAINING_SET.name)
    through = window.candidate_through if split == "train" else window.last
    interactions = fitted_rows(training_split(lake, window, split, version), through, family.settings.window_days)
    provenance = Provenance(
        slot=window.slot,
        trained_through=through,
        seed=platform.training.seed,
        training_set_version=version,
        feature_spec_hash=feature_spec_hash(platform),
        code_version=_code_version(),
    )
    return fit_rows(family.family, family.parameters, interactions, family.settings.window_days, provenance)


def fit_rows(
    family: Family, parameters: Parameters, interactions: Interactions, window_days: int, provenance: Provenance
) -> Artifact:
    """Fit a family on given rows.

    Args:
        family: What to fit.
        parameters: Its hyper-parameters.
        interactions: What to learn from, as `fitted_rows` makes it.
        window_days: The days of them.
        provenance: Where they come from, and the seed; with what it is made is filled in.
    """
    model = family.fit(interactions, parameters, provenance.seed)
    fit = Fit(window_days, rows_digest(interactions.rows), made_with(family))
    return Artifact(model, replace(provenance, code_version=_code_version(), fit=fit))


def training_split(lake: DeltaLake, window: SlotWindow, split: str, version: int | None = None) -> pl.DataFrame:
    """user_id, item_id, day, weight of one split of `features/training_set`, now or as of a Delta version."""
    return of_split(lake.scan(TRAINING_SET, (window.slot, window.slot), version), split).collect()


def of_split(rows: pl.LazyFrame, split: str) -> pl.LazyFrame:
    """user_id, item_id, day, weight of one split."""
    return rows.filter(pl.col("split") == split).select(HISTORY_SCHEMA.names())


def fitted_rows(rows: pl.DataFrame, through: date, window_days: int) -> Interactions:
    """What a model learns from, of the rows of its split: the newest days, sorted."""
    newest = Interactions(rows, through).within(window_days)
    return Interactions(newest.rows.sort(HISTORY_SCHEMA.names()), through)


def rows_digest(rows: pl.DataFrame) -> str:
    """SHA-256 of sorted rows, by their values alone: neither the files that they lay in nor a library decides it.

    Args:
        rows: As in HISTORY_SCHEMA, without nulls.
    """
    digest = hashlib.sha256()
    for part in rows.iter_slices(DIGESTED_AT_ONCE):
        for ids in (part["user_id"], part["item_id"]):
            digest.update(ids.str.len_bytes().to_numpy().astype("<u4").tobytes())
            digest.update(ids.str.join("").item().encode())
        digest.update(part["day"].to_physical().to_numpy().astype("<i4").tobytes())
        digest.update(part["weight"].to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()


def _code_version() -> str:
    return package_version("recsys-assets")
