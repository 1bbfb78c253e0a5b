"""What is bought next: the second volume after the first, from the order of purchases and the days between them.

A first-order Markov chain over purchase days, as in Rendle, Freudenthaler and Schmidt-Thieme, "Factorizing
Personalized Markov Chains for Next-Basket Recommendation", WWW 2010, counted instead of factorized. Days are the finest
time there is: what a user bought on one day is one step, and neither item came first.
"""

from collections.abc import Iterable
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, diags_array, vstack

from recsys_assets.models.family import Arrays, Family, HalfLife, Interactions, WeighedParameters
from recsys_assets.models.item_item import BLOCK_ITEMS, NeighbourModel, Neighbours, padded, products
from recsys_assets.models.search import Between


class SequentialParameters(WeighedParameters):
    """Hyper-parameters of what is bought next.

    A history counts by its order: a step counts `position_decay` as much as the step after it, and half for every
    `half_life_days` that it is old. Transitions are learned with the same weights, from each step to later ones.
    """

    half_life_days: HalfLife = 90.0
    position_decay: Annotated[float, Field(gt=0, le=1), Between(0.3, 1.0)] = Field(
        0.7,
        description="what a step counts relative to the step after it; a step is a day on which the user did something",
    )
    reach_steps: Annotated[int, Field(ge=1), Between(1, 6)] = Field(
        3, description="how many steps ahead a transition may lie"
    )
    same_day_weight: Annotated[float, Field(ge=0, le=1), Between(0.0, 1.0)] = Field(
        0.5, description="of a pair of one day, in each direction, relative to a pair of consecutive steps"
    )
    shrinkage: Annotated[float, Field(ge=0), Between(0.1, 100.0, is_log=True)] = Field(
        5.0,
        description="purchases without a successor that are imagined for each item, so that one coincidence is no rule",
    )
    popularity_discount: Annotated[float, Field(ge=0, le=1), Between(0.0, 1.0)] = Field(
        0.3,
        description="power of an item's summed weight by which transitions to it are divided: 0 not at all, 1 in full",
    )
    neighbours: Annotated[Neighbours, Between(20, 500, is_log=True)] = 200

    def history_weights(self, interactions: Interactions) -> pl.DataFrame:
        """See `Parameters.history_weights`; faded by days, and by steps counted from the user's last one."""
        weight = pl.col("weight") * self.position_decay ** pl.col("steps_after").cast(pl.Float64)
        return self.steps(interactions).group_by("user_id", "item_id").agg(weight.sum()).sort("user_id", "item_id")

    def steps(self, interactions: Interactions) -> pl.DataFrame:
        """What users did, in order.

        Returns:
            user_id, day, item_id, presence (weighed), weight (faded as well), steps_after (how many steps of the user
            came later); one row per user, day and item, sorted.
        """
        summed = interactions.rows.group_by("user_id", "day", "item_id").agg(pl.col("weight").sort().sum())
        presence = self.weighed(pl.col("weight"))
        return summed.select(
            "user_id",
            "day",
            "item_id",
            presence=presence,
            weight=presence * interactions.fading(self.half_life_days),
            steps_after=pl.col("day").rank("dense", descending=True).over("user_id") - 1,
        ).sort("user_id", "day", "item_id")


def fit(interactions: Interactions, parameters: SequentialParameters, seed: int) -> NeighbourModel:
    """Count transitions; nothing is random.

    Args:
        interactions: What to learn from.
        parameters: Hyper-parameters.
        seed: Not used.
    """
    del seed
    steps = parameters.steps(interactions)
    item_ids = steps["item_id"].unique().sort()
    row = steps.select(pl.struct("user_id", "day").rank("dense") - 1).to_series().to_numpy().astype(np.int64)
    where = (row, item_ids.search_sorted(steps["item_id"]).to_numpy())
    shape = (int(row.max(initial=-1)) + 1, item_ids.len())
    faded = csr_array((steps["weight"].to_numpy(), where), shape=shape)
    present = csr_array((steps["presence"].to_numpy(), where), shape=shape)
    owner = steps.unique(["user_id", "day"], maintain_order=True)["user_id"].rank("dense").to_numpy()
    blocks = _transitions(*_normalized(faded, present, parameters), owner, parameters)
    return NeighbourModel(item_ids, parameters, *padded(blocks, parameters.neighbours))


def load(item_ids: pl.Series, parameters: SequentialParameters, arrays: Arrays) -> NeighbourModel:
    """Build the model from its stored arrays."""
    return NeighbourModel(item_ids, parameters, **arrays)


def _normalized(faded: csr_array, present: csr_array, parameters: SequentialParameters) -> tuple[csr_array, csr_array]:
    """Both sides of a transition: a purchase's share of all of its item, and a later item's share of its day."""
    total = faded.sum(axis=0)
    support = np.maximum(total, np.finfo(np.float32).tiny)  # what has faded to nothing divides nothing by zero
    of_item = diags_array(1 / (support + parameters.shrinkage))
    of_day = diags_array(1 / np.maximum(np.diff(present.indptr), 1))
    discount = diags_array(support**-parameters.popularity_discount)
    return csr_array(faded @ of_item), csr_array(of_day @ present @ discount)


def _transitions(
    before: csr_array, after: csr_array, owner: NDArray[np.int64], parameters: SequentialParameters
) -> Iterable[csr_array]:
    """Transition weights, a block of rows at a time.

    Args:
        before: Steps of all users in order, as what comes first, shape (steps, items).
        after: The same steps as what comes later.
        owner: Whose step it is, shape (steps,).
        parameters: Hyper-parameters.
    """
    firsts, seconds = [], []
    for distance in range(1, parameters.reach_steps + 1):
        first = np.flatnonzero(owner[:-distance] == owner[distance:])
        firsts.append(before[first] * parameters.position_decay ** (distance - 1))
        seconds.append(after[first + distance])
    later = products(csr_array(vstack(firsts).T), csr_array(vstack(seconds)))
    same_day = products(csr_array(before.T), after)
    for number, (of_later, of_same_day) in enumerate(zip(later, same_day, strict=True)):
        pairs = of_same_day.tocoo()
        is_itself = pairs.col == pairs.row + number * BLOCK_ITEMS
        pairs.data *= np.where(is_itself, 0, parameters.same_day_weight)
        yield csr_array(of_later + pairs.tocsr())


FAMILY = Family("sequential", SequentialParameters, fit, load)
