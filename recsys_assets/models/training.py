"""Fitting a family on the training set of a slot: the same recipe for the candidate, the release, and making it again.

What is fitted on is always sorted, because sums of numbers depend on their order, and files keep none.
"""

from dataclasses import replace
from datetime import date
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.specification import feature_spec_hash
from recsys_assets.models.artifact import Artifact, Fit, Provenance
from recsys_assets.models.catalogue import ConfiguredFamily
from recsys_assets.models.family import (
    HISTORY_SCHEMA,
    CannotFitError,
    Family,
    Interactions,
    Parameters,
    SparkInteractions,
)
from recsys_assets.models.made_with import made_with, made_with_spark, rows_digest
from recsys_assets.models.on_spark import spread_digest
from recsys_assets.platform import Platform
from recsys_assets.slot_window import SlotWindow
from resources.engine import Engine, SparkEngine
from resources.lake import DeltaLake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fit_on(
    platform: Platform, family: ConfiguredFamily, lake: DeltaLake, engine: Engine, window: SlotWindow, split: str
) -> Artifact:
    """Fit a family on one split of the slot's training set.

    Args:
        platform: The configuration.
        family: What to fit, with its settings.
        lake: Where `features/training_set` is.
        engine: What fits it, if the family can be fitted there; this machine's memory otherwise.
        window: The slot's days.
        split: `train` for the candidate, `release` for the release: the same recipe on other days.
    """
    version = lake.version(TRAINING_SET.name)
    through = window.candidate_through if split == "train" else window.last
    days, slot = family.settings.window_days, (window.slot, window.slot)
    interactions: Interactions | SparkInteractions
    if isinstance(engine, SparkEngine) and family.family.fit_on_spark is not None:
        rows = engine.scan(lake, TRAINING_SET, slot, version).filter(nw.col("split") == split)
        interactions = spread_rows(rows.to_native(), through, days)
    else:
        interactions = fitted_rows(training_split(lake, window, split, version), through, days)
    provenance = Provenance(
        slot=window.slot,
        trained_through=through,
        seed=platform.training.seed,
        training_set_version=version,
        feature_spec_hash=feature_spec_hash(platform),
        code_version=_code_version(),
    )
    return fit_rows(family.family, family.parameters, interactions, days, provenance)


def fit_rows(
    family: Family,
    parameters: Parameters,
    interactions: Interactions | SparkInteractions,
    window_days: int,
    provenance: Provenance,
) -> Artifact:
    """Fit a family on given rows, where they are.

    Args:
        family: What to fit.
        parameters: Its hyper-parameters.
        interactions: What to learn from, as `fitted_rows` or `spread_rows` makes it.
        window_days: The days of them.
        provenance: Where they come from, and the seed; with what it is made is filled in.

    Raises:
        CannotFitError: The rows are spread over Spark, and the family has no fit there.
    """
    if isinstance(interactions, Interactions):
        model, using = family.fit(interactions, parameters, provenance.seed), made_with(family)
    elif family.fit_on_spark is None:
        raise CannotFitError(f"{family.name} has no fit on Spark; read its rows into this machine's memory")
    else:
        model, using = family.fit_on_spark(interactions, parameters, provenance.seed), made_with_spark(family)
    fit = Fit(window_days, digest_of(interactions), using)
    return Artifact(model, replace(provenance, code_version=_code_version(), fit=fit))


def digest_of(interactions: Interactions | SparkInteractions) -> str:
    """What a version's training rows are recognized by; rows on Spark have another digest than the same rows here."""
    return rows_digest(interactions.rows) if isinstance(interactions, Interactions) else spread_digest(interactions)


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


def spread_rows(rows: "DataFrame", through: date, window_days: int) -> SparkInteractions:
    """The same of rows that are spread over the tasks of Spark; each task sorts its own."""
    return SparkInteractions(rows.select(*HISTORY_SCHEMA.names()), through).within(window_days)


def _code_version() -> str:
    return package_version("recsys-assets")
