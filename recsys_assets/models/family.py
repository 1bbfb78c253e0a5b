"""The protocol of every model family.

A model is what it knows about items; users are input: their vectors are computed from their histories when they
are ranked. So one artifact serves users who came after the training, and holds no personal data.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array, csr_array

from recsys_assets.mapping import Declared

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
HISTORY_SCHEMA = pl.Schema({"user_id": pl.String, "item_id": pl.String, "day": pl.Date, "weight": pl.Float64})


HalfLife = Annotated[float, Field(gt=0)] | None
"""Days after which an interaction counts half; None: it never fades."""


class Parameters(Declared):
    """Hyper-parameters of a family; each family extends it with its own."""

    half_life_days: HalfLife = None


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
        weight = pl.col("weight")
        if half_life_days is not None:
            age_days = (pl.lit(self.as_of) - pl.col("day")).dt.total_days()
            weight = weight * 0.5 ** (age_days / half_life_days)
        return self.rows.group_by("user_id", "item_id").agg(weight.sum()).sort("user_id", "item_id")


def history_matrix(faded: pl.DataFrame, users: pl.Series, item_ids: pl.Series) -> csr_array:
    """Users' histories as a sparse matrix.

    Args:
        faded: user_id, item_id, weight.
        users: The rows of the result.
        item_ids: The columns of the result; what users did with other items is left out.

    Returns:
        Weights, shape (users, items), float32.
    """
    rows = pl.DataFrame({"user_id": users}).with_row_index("row")
    columns = pl.DataFrame({"item_id": item_ids}).with_row_index("column")
    cells = faded.join(rows, on="user_id").join(columns, on="item_id").sort("row", "column")
    values = cells["weight"].cast(pl.Float32).to_numpy()
    where = (cells["row"].cast(pl.Int32).to_numpy(), cells["column"].cast(pl.Int32).to_numpy())
    cells_of = coo_array((values, where), shape=(users.len(), item_ids.len()))
    return csr_array(cells_of)


class Model(ABC):
    """A trained model: item-side parameters only.

    Attributes:
        item_ids: The id map (String, sorted): the place of an item here is its index in every array.
        parameters: The hyper-parameters it was fitted with.
        is_personal: Whether its lists depend on the user's history; if so, users without one get none from it.
    """

    item_ids: pl.Series
    parameters: Parameters
    is_personal: ClassVar[bool]

    @abstractmethod
    def scores(self, histories: csr_array) -> Floats:
        """Score every item for every user.

        Args:
            histories: Weights, shape (users, items), float32.

        Returns:
            Scores, shape (users, items), float32; higher is better. The caller may change the array.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """The parameters to store, by name."""

    def reasons(self, history: csr_array, items: NDArray[np.int64]) -> Floats | None:
        """How much each item of one user's history speaks for some recommended items.

        Args:
            history: Shape (1, items).
            items: Indices of the recommended items.

        Returns:
            Shape (recommended items, items in the history, in the order of `history.indices`), or None where
            the family cannot tell.
        """
        del history, items
        return None


@dataclass(frozen=True)
class Family:
    """What a family's module offers as `FAMILY`.

    Attributes:
        name: As in `recsys.yaml` and in asset keys.
        parameters: Its hyper-parameters.
        fit: (interactions, parameters, seed) to a model.
        load: (item ids, parameters, arrays) to the same model again.
    """

    name: str
    parameters: type[Parameters]
    fit: Callable[[Interactions, Any, int], Model]
    load: Callable[[pl.Series, Any, Arrays], Model]
