"""What may be recommended to whom, as arrays over a model's own items: exclusions and eligibility, nothing else.

The rules that decided it are in the feature store; here they are only looked up.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """What may be recommended to some users.

    Attributes:
        is_eligible: Whether the item may be recommended to anybody, shape (items,).
        is_adult: Whether only verified adults may see the item, shape (items,).
        may_see_adult: Whether the user is one, shape (users,).
        excluded: Items that the user must not see, shape (users, items); stored cells are exclusions.
    """

    is_eligible: Mask
    is_adult: Mask
    may_see_adult: Mask
    excluded: csr_array

    def forbid(self, scores: NDArray[np.float32], first_user: int) -> None:
        """Set the scores of whatever may not be recommended to minus infinity.

        Args:
            scores: Shape (some users, items), changed in place.
            first_user: The user of the first row.
        """
        count = scores.shape[0]
        scores[:, ~self.is_eligible] = -np.inf
        minors = np.flatnonzero(~self.may_see_adult[first_user : first_user + count])
        scores[np.ix_(minors, np.flatnonzero(self.is_adult))] = -np.inf
        block = self.excluded[first_user : first_user + count].tocoo()
        scores[block.row, block.col] = -np.inf


def candidates_for(
    users: pl.Series, item_ids: pl.Series, exclusions: pl.DataFrame, eligible: pl.DataFrame
) -> Candidates:
    """Look the users' exclusions and the items' eligibility up.

    Args:
        users: User ids, in the order of the rows to rank.
        item_ids: The model's id map.
        exclusions: Rows of `features/exclusions`; a user without a row has none, and may not see adult titles.
        eligible: Rows of `features/eligible_items`; an item without a row is recommended to nobody.
    """
    items = (
        pl.DataFrame({"item_id": item_ids})
        .with_row_index("column")
        .join(
            eligible.select("item_id", "creator", "category", "is_adult"),
            on="item_id",
            how="left",
            maintain_order="left",
        )
    )
    rows = pl.DataFrame({"user_id": users}).with_row_index("row")
    mine = rows.join(exclusions.drop("ds", strict=False), on="user_id", how="left", maintain_order="left")
    cells = (
        pl.concat(
            mine.select("row", pl.col(lists).alias(key))
            .explode(key, empty_as_null=False, keep_nulls=False)
            .join(items.select("column", key), on=key)
            .select("row", "column")
            for lists, key in (
                ("item_ids", "item_id"),
                ("blocked_creators", "creator"),
                ("blocked_categories", "category"),
            )
        )
        .unique()
        .sort("row", "column")
    )
    where = (cells["row"].cast(pl.Int32).to_numpy(), cells["column"].cast(pl.Int32).to_numpy())
    return Candidates(
        is_eligible=items["is_adult"].is_not_null().to_numpy(),
        is_adult=items["is_adult"].fill_null(value=False).to_numpy(),
        may_see_adult=mine["may_see_adult"].fill_null(value=False).to_numpy(),
        excluded=csr_array((np.ones(cells.height, dtype=np.bool_), where), shape=(users.len(), item_ids.len())),
    )
