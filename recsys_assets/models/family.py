"""The protocol of every model family.

A model is what it knows about items; users are input: their vectors are computed from their histories when they
are ranked. So one artifact serves users who came after the training, and holds no personal data.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from recsys_assets.mapping import Declared
from recsys_assets.models.search import Among

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
HISTORY_SCHEMA = pl.Schema({"user_id": pl.String, "item_id": pl.String, "day": pl.Date, "weight": pl.Float64})
Weighting = Literal["linear", "log", "binary"]
HalfLife = Annotated[
    Annotated[float, Field(gt=0)] | None,
    Field(description="days after which an interaction counts half; null: it never fades"),
    Among((None, 7.0, 14.0, 30.0, 90.0, 180.0, 365.0)),
]


class CannotFitError(Exception):
    """A family cannot be fitted on these rows with these hyper-parameters; the message says what to change."""


@dataclass(frozen=True)
class Interactions:
    """Weighted interactions as known at the end of a day.

    Attributes:
        rows: As in HISTORY_SCHEMA; weights are positive.
        as_of: The last day that is known.
    """

    rows: pl.DataFrame
    as_of: date

    def within(self, days: int) -> "Interactions":
        """Only the newest `days` days."""
        first = self.as_of - timedelta(days=days - 1)
        return Interactions(self.rows.filter(pl.col("day") >= first), self.as_of)

    def faded(self, half_life_days: float | None) -> pl.DataFrame:
        """Weights summed per user and item, each halved for every half-life that has passed since its day.

        Returns:
            user_id, item_id, weight (Float64); sorted.
        """
        weight = pl.col("weight") * self.fading(half_life_days)
        return self.rows.group_by("user_id", "item_id").agg(weight.sum()).sort("user_id", "item_id")

    def fading(self, half_life_days: float | None) -> pl.Expr:
        """What a row's weight is multiplied with: halved for every half-life that has passed since its day."""
        if half_life_days is None:
            return pl.lit(1.0)
        return 0.5 ** ((pl.lit(self.as_of) - pl.col("day")).dt.total_days() / half_life_days)


@dataclass(frozen=True)
class SparkInteractions:
    """Weighted interactions as known at the end of a day, spread over the tasks of Spark.

    Attributes:
        rows: As in HISTORY_SCHEMA; weights are positive.
        as_of: The last day that is known.
    """

    rows: "DataFrame"
    as_of: date

    def within(self, days: int) -> "SparkInteractions":
        """Only the newest `days` days."""
        first = self.as_of - timedelta(days=days - 1)
        return SparkInteractions(self.rows.filter(self.rows["day"] >= first), self.as_of)


class Parameters(Declared):
    """Hyper-parameters of a family; each family extends it with its own.

    A field is a type with its bounds, a default and a description. What `recsys tune` may try for it is said in the
    annotation too, by `Between` or `Among`; a field without one stays as it is configured.
    """

    half_life_days: HalfLife = None

    def history_weights(self, interactions: Interactions) -> pl.DataFrame:
        """What users did, as the weights that the family learns from and scores: the same in `fit` and in `rank`.

        A family that needs more than sums (when, or after what) overrides this, and so puts it into the weights.

        Returns:
            user_id, item_id, weight (Float64, positive); one row per user and item, sorted.
        """
        return interactions.faded(self.half_life_days)


class WeighedParameters(Parameters):
    """Hyper-parameters of a family for which more of the same need not count more."""

    weighting: Annotated[Weighting, Among(get_args(Weighting))] = Field(
        "linear", description="how the summed weight of a user and item enters: as it is, as log(1 + weight), or as 1"
    )

    def history_weights(self, interactions: Interactions) -> pl.DataFrame:
        """See `Parameters.history_weights`; faded first, then weighed."""
        return super().history_weights(interactions).with_columns(weight=self.weighed(pl.col("weight")))

    def weighed(self, weight: pl.Expr) -> pl.Expr:
        """A summed weight as it enters."""
        return {"linear": weight, "log": weight.log1p(), "binary": pl.lit(1.0)}[self.weighting]


def history_matrix(weights: pl.DataFrame, users: pl.Series, item_ids: pl.Series) -> csr_array:
    """Users' histories as a sparse matrix.

    Args:
        weights: user_id, item_id, weight, as `Parameters.history_weights` returns them.
        users: The rows of the result.
        item_ids: The columns of the result; what users did with other items is left out.

    Returns:
        Weights, shape (users, items), float32.
    """
    rows = pl.DataFrame({"user_id": users}).with_row_index("row")
    columns = pl.DataFrame({"item_id": item_ids}).with_row_index("column")
    cells = weights.join(rows, on="user_id").join(columns, on="item_id").sort("row", "column")
    values = cells["weight"].cast(pl.Float32).to_numpy()
    where = (cells["row"].cast(pl.Int32).to_numpy(), cells["column"].cast(pl.Int32).to_numpy())
    cells_of = coo_array((values, where), shape=(users.len(), item_ids.len()))
    return csr_array(cells_of)


def training_matrix(interactions: Interactions, parameters: Parameters) -> tuple[csr_array, pl.Series]:
    """Everything that a family learns from, without who it was.

    Returns:
        Weights, shape (users, items), float32, in the order of user ids; and the id map: every item there is, sorted.
    """
    weights = parameters.history_weights(interactions)
    users, item_ids = weights["user_id"].unique().sort(), weights["item_id"].unique().sort()
    return history_matrix(weights, users, item_ids), item_ids


class Model(ABC):
    """A trained model: item-side parameters only.

    Attributes:
        item_ids: The id map (String, sorted): the place of an item here is its index in every array.
        parameters: The hyper-parameters it was fitted with.
        is_personal: Whether its lists depend on the user's history; if so, users without one get none from it.
        losses: The training loss after each iteration, of a family that has one and was fitted just now; it is a
            figure of the fit, and not stored with the model.
    """

    item_ids: pl.Series
    parameters: Parameters
    is_personal: ClassVar[bool]
    losses: tuple[float, ...] = ()

    @abstractmethod
    def scores(self, histories: csr_array) -> Floats:
        """Score every item for every user.

        Args:
            histories: `Parameters.history_weights` as a matrix, shape (users, items), float32.

        Returns:
            Scores, shape (users, items), float32; higher is better. The caller may change the array.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """The parameters to store, by name."""

    def reasons(self, history: csr_array, items: NDArray[np.int64]) -> Floats | None:
        """How much each item of one user's history speaks for some recommended items.

        Args:
            history: One row of what `scores` takes, shape (1, items).
            items: Indices of the recommended items.

        Returns:
            Shape (recommended items, items in the history, in the order of `history.indices`), or None where
            the family cannot tell.
        """
        del history, items
        return None


class FactorModel(Model):
    """A model whose score is the product of a vector of the user and a vector of the item.

    It is ranked without computing every score; that of a recommended item is its exact product, rounded to float32.

    Attributes:
        item_factors: The vectors of the items, shape (items, factors), float32.
    """

    item_factors: Floats

    @abstractmethod
    def vectors(self, histories: csr_array) -> Floats:
        """The users' vectors.

        Args:
            histories: As `scores` takes them. A user's vector must not depend on the others.

        Returns:
            Shape (users, factors), float32.
        """

    def scores(self, histories: csr_array) -> Floats:
        """See `Model.scores`."""
        result: Floats = self.vectors(histories) @ self.item_factors.T
        return result


@dataclass(frozen=True)
class Family:
    """What a family's module offers as `FAMILY`.

    Attributes:
        name: As in `recsys.yaml` and in asset keys.
        parameters: Its hyper-parameters.
        fit: (interactions, parameters, seed) to a model.
        load: (item ids, parameters, arrays) to the same model again.
        fit_on_spark: As `fit`, with rows that no single machine has to hold; None: the family has no such fit.
    """

    name: str
    parameters: type[Parameters]
    fit: Callable[[Interactions, Any, int], Model]
    load: Callable[[pl.Series, Any, Arrays], Model]
    fit_on_spark: Callable[[SparkInteractions, Any, int], Model] | None = None
