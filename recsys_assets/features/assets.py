"""The assets of the group `features`: read, call the feature store, write. Rules and views stay in their modules."""

from collections.abc import Callable
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EVENTS,
    EXCLUSIONS,
    INGESTED_FILES,
    INTERACTION_DAYS,
    INTERACTIONS,
    ITEMS,
    PURCHASE_SEQUENCE,
    TRAINING_SET,
    USER_BLOCKS,
    USERS,
    Table,
)
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import training_rows
from recsys_assets.partitions import day_partitions, day_to_history, slot_partitions, slot_to_days
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, slot_of, written
from recsys_assets.slot_window import days_between, slot_window
from resources.engine import Engine
from resources.lake import Days, DeltaLake

MIXED = "mixed"
SnapshotView = Callable[[FeatureStore, date], pl.DataFrame]


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The feature assets of a platform."""
    return [
        _interactions(platform),
        _snapshot(platform, EXCLUSIONS, FeatureStore.exclusions, (INTERACTIONS, USERS, USER_BLOCKS)),
        _snapshot(platform, ELIGIBLE_ITEMS, FeatureStore.eligible_items, (INTERACTIONS, ITEMS)),
        _snapshot(platform, PURCHASE_SEQUENCE, FeatureStore.purchase_sequences, (INTERACTIONS, USERS)),
        _training_set(platform),
    ]


def _interactions(platform: Platform) -> dg.AssetsDefinition:
    @dg.asset(
        **described(INTERACTIONS),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetKey(EVENTS.key)],
        kinds={"deltalake", "polars"},
    )
    def interactions(context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine) -> dg.MaterializeResult:
        days = day_range(context)
        seen = _landing_seen(lake, platform, days)
        rows = FeatureStore(platform, lake, engine).interactions_of(*days)
        version = lake.replace(INTERACTIONS, rows, days)
        lake.replace(INTERACTION_DAYS, seen, days)
        return written(lake, INTERACTIONS, rows, version)

    return interactions


def _landing_seen(lake: DeltaLake, platform: Platform, days: Days) -> pl.DataFrame:
    """Rows of `features/interaction_days`: the state of the landing that the sources of each day came from.

    Tables that were ingested from different states give none of them, so that the day is ingested as a whole.
    """
    calendar = pl.DataFrame({"ds": days_between(*days)}, schema={"ds": pl.Date})
    fingerprint = pl.col("landing_fingerprint")
    files = (
        lake.scan(INGESTED_FILES, days)
        .filter(pl.col("table").is_in(list(platform.sources)))
        .group_by("ds")
        .agg(pl.when(fingerprint.n_unique() == 1).then(fingerprint.first()).otherwise(pl.lit(MIXED)))
        .collect()
    )
    return calendar.join(files, on="ds", how="left").with_columns(pl.col("landing_fingerprint").fill_null(""))


def _snapshot(platform: Platform, table: Table, view: SnapshotView, inputs: tuple[Table, ...]) -> dg.AssetsDefinition:
    """An asset that keeps a view as of the end of each day."""

    @dg.asset(
        **described(table),
        partitions_def=day_partitions(platform),
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetDep(dg.AssetKey(one.key), partition_mapping=day_to_history()) for one in inputs],
        kinds={"deltalake", "polars"},
    )
    def snapshot(context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine) -> dg.MaterializeResult:
        days = day_range(context)
        store = FeatureStore(platform, lake, engine)
        rows = pl.concat([view(store, day) for day in days_between(*days)])
        return written(lake, table, rows, lake.replace(table, rows, days))

    return snapshot


def _training_set(platform: Platform) -> dg.AssetsDefinition:
    inputs = (INTERACTIONS, USERS, USER_BLOCKS, ITEMS)

    @dg.asset(
        **described(TRAINING_SET),
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetDep(dg.AssetKey(one.key), partition_mapping=slot_to_days(platform)) for one in inputs],
        kinds={"deltalake", "polars"},
    )
    def training_set(context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engine) -> dg.MaterializeResult:
        slot = slot_of(context)
        rows = training_rows(FeatureStore(platform, lake, engine), slot_window(platform, slot))
        splits = dict(rows.group_by("split").len().sort("split").iter_rows())
        version = lake.replace(TRAINING_SET, rows, (slot, slot))
        return written(lake, TRAINING_SET, rows, version, **{f"{split}_rows": n for split, n in splits.items()})

    return training_set
