"""The feature store seen through one user: of every table that names users, only that user's rows are read.

So the rules and views are asked for one user as they are for all, at a cost that does not grow with the others.
"""

from dataclasses import replace
from typing import Any

import narwhals as nw
import polars as pl

from recsys_assets.features.store import FeatureStore
from resources.at_rest import StoredTable
from resources.engine import PolarsEngine
from resources.lake import Days, DeltaLake


class OneUserEngine(PolarsEngine):
    """Polars, reading the rows of one user.

    Attributes:
        user_id: Whose.
    """

    user_id: str

    def scan(
        self, lake: DeltaLake, table: StoredTable, days: Days | None = None, version: int | None = None
    ) -> nw.LazyFrame[Any]:
        """See `Engine.scan`; the filter comes first, so that Parquet's row groups of others are not read."""
        rows = lake.scan(table, days, version)
        if "user_id" in table.schema:
            rows = rows.filter(pl.col("user_id") == self.user_id)
        return nw.from_native(rows)


def seen_through(store: FeatureStore, user_id: str) -> FeatureStore:
    """The same store for one user; views of items would miss what others did, and must not be read through it."""
    return replace(store, engine=OneUserEngine(user_id=user_id))
