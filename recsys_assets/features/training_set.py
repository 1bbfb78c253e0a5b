"""The one data set that all families of a slot share: train, holdout and release rows with one id map.

Pure assembly on top of the feature store's as-of reads. What a family does with the rows is its own affair.
"""

import polars as pl

from recsys_assets.columns import TRAINING_SET
from recsys_assets.features.store import FeatureStore
from recsys_assets.slot_window import SlotWindow


class TooLittleHistoryError(Exception):
    """A slot cannot be trained or judged; the message says what is missing and from which slot on it is there."""


def training_rows(store: FeatureStore, window: SlotWindow) -> pl.DataFrame:
    """Rows of `features/training_set` for one slot.

    Args:
        store: Features as of any day.
        window: The days that the slot sees.

    Returns:
        The candidate's rows as known when the holdout began, the hits of the holdout, and the release's rows as
        known at the slot. `item_index` is the place of the item among the sorted items of the train rows.

    Raises:
        TooLittleHistoryError: There are no train rows, or no hits to judge by.
    """
    train_days = (window.candidate_through - window.first).days + 1
    release_days = (window.last - window.first).days + 1
    train = store.history(window.candidate_through, train_days)
    holdout = store.hits(window.holdout, window.last).with_columns(weight=pl.lit(1.0))
    release = store.history(window.last, release_days)
    for name, rows, days in (
        ("interactions to train on", train, f"{window.first} to {window.candidate_through}"),
        ("hits to judge by", holdout, f"{window.holdout} to {window.last}"),
    ):
        if rows.is_empty():
            raise TooLittleHistoryError(
                f"slot {window.slot} has no {name} in {days}; ingest these days, or choose a later slot"
            )
    items = train.select(pl.col("item_id").unique().sort()).with_row_index("item_index")
    splits = pl.concat(
        [
            rows.with_columns(split=pl.lit(split))
            for split, rows in (("train", train), ("holdout", holdout), ("release", release))
        ],
        how="diagonal",
    )
    return (
        splits.join(items, on="item_id", how="left")
        .with_columns(pl.lit(window.slot).alias("ds"), pl.col("item_index").cast(pl.Int32))
        .select(TRAINING_SET.schema.names())
        .sort(TRAINING_SET.primary_key)
    )
