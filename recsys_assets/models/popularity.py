"""Popularity with decay: what everybody did lately. The baseline of the gate, and the fallback of every list."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from recsys_assets.models.family import (
    Arrays,
    Family,
    Floats,
    HalfLife,
    Interactions,
    Model,
    Parameters,
    SparkInteractions,
)
from recsys_assets.models.on_spark import weight_per_item
from recsys_assets.models.search import Among


class PopularityParameters(Parameters):
    """Hyper-parameters of popularity."""

    half_life_days: Annotated[HalfLife, Among((None, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0))] = 14.0


@dataclass(frozen=True)
class PopularityModel(Model):
    """One number per item: its faded weight over all users."""

    item_ids: pl.Series
    parameters: PopularityParameters
    popularity: Floats
    is_personal: ClassVar[bool] = False

    def scores(self, histories: csr_array) -> Floats:
        """See `Model.scores`; every user gets the same row."""
        return np.repeat(self.popularity[np.newaxis, :], histories.shape[0], axis=0)

    def arrays(self) -> Arrays:
        """See `Model.arrays`."""
        return {"popularity": self.popularity}


def fit(interactions: Interactions, parameters: PopularityParameters, seed: int) -> PopularityModel:
    """Sum the faded weights per item; nothing is random.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Not used.
    """
    del seed
    totals = parameters.history_weights(interactions).group_by("item_id").agg(pl.col("weight").sum()).sort("item_id")
    return _of(totals, parameters)


def fit_on_spark(interactions: SparkInteractions, parameters: PopularityParameters, seed: int) -> PopularityModel:
    """The same sums, where the rows are.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Not used.
    """
    del seed
    return _of(weight_per_item(interactions, parameters), parameters)


def _of(totals: pl.DataFrame, parameters: PopularityParameters) -> PopularityModel:
    return PopularityModel(totals["item_id"], parameters, totals["weight"].cast(pl.Float32).to_numpy())


def load(item_ids: pl.Series, parameters: PopularityParameters, arrays: Arrays) -> PopularityModel:
    """Build the model from its stored arrays."""
    return PopularityModel(item_ids, parameters, arrays["popularity"])


FAMILY = Family("popularity", PopularityParameters, fit, load, fit_on_spark)
