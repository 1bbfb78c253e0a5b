"""The asset `validation/served`: how the lists that were really served did in the holdout days of a slot.

Reports say how a candidate would have done; this says how the versions in service did, on the same days. Nothing
depends on it. What is measured is in `served_ndcg`.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.columns import FINAL_RECOMMENDATIONS, INTERACTIONS, SERVED_NDCG, recommendations_table
from recsys_assets.features.store import FeatureStore
from recsys_assets.operating import TRAINING_POOL
from recsys_assets.partitions import slot_partitions, slot_to_days
from recsys_assets.platform import Platform
from recsys_assets.presentation import described, slot_of, written
from recsys_assets.slot_window import ONE_DAY, SlotWindow, days_between, slot_window
from recsys_assets.validation.served_ndcg import (
    FIGURE,
    newest_served,
    served_figures,
    served_users,
)
from recsys_assets.validation.stored_reports import seed_of
from resources.engine import Engines
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

SHOWN = (FIGURE, f"{FIGURE}_low", f"{FIGURE}_high", "users")
FINAL = FINAL_RECOMMENDATIONS.key[-1]


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The figures of what was served."""
    tables = (INTERACTIONS, FINAL_RECOMMENDATIONS, *(recommendations_table(name) for name in platform.families))

    @dg.asset(
        **described(SERVED_NDCG),
        partitions_def=slot_partitions(platform),
        deps=[dg.AssetDep(dg.AssetKey(one.key), partition_mapping=slot_to_days(platform)) for one in tables],
        kinds={"deltalake", "polars"},
        pool=TRAINING_POOL,
    )
    def served(
        context: dg.AssetExecutionContext, lake: DeltaLake, engine: Engines, model_registry: ModelRegistry
    ) -> dg.MaterializeResult:
        window = slot_window(platform, slot_of(context))
        per_user = list(_per_user(FeatureStore(platform, lake, engine.of("features")), window))
        rows = served_figures(per_user, window.slot, seed_of(window.slot))
        delta = lake.replace(SERVED_NDCG, rows, (window.slot, window.slot))
        newest = newest_served(per_user)
        _log(model_registry, rows, newest)
        return written(lake, SERVED_NDCG, rows, delta, **_shown(rows, newest, window))

    return [served]


def _per_user(store: FeatureStore, window: SlotWindow) -> Iterator[pl.DataFrame]:
    """What `served_users` returns, for each holdout day with lists; days without any are not measured."""
    for day in days_between(window.holdout, window.last):
        before = day - ONE_DAY
        if before in store.lake.days(FINAL_RECOMMENDATIONS.name):
            hits = store.hits(day, day)
            yield served_users(_lists(store, before, hits["user_id"].unique()), hits, day)


def _lists(store: FeatureStore, day: date, users: pl.Series) -> pl.DataFrame:
    """family, version, user_id, item_ids of the lists of a day, of some users; of families without their fallbacks."""
    wanted = users.to_frame().lazy()
    named = pl.concat_str(
        pl.element().struct.field("family"), pl.element().struct.field("version"), separator="="
    )  # as in the report of the blend
    final = store.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).with_columns(
        version=pl.col("versions").list.eval(named).list.sort().list.join(", ")
    )
    scans = {
        FINAL: final,
        **{
            name: store.lake.scan(recommendations_table(name), (day, day)).filter(~pl.col("is_fallback"))
            for name in store.platform.families
        },
    }
    parts = (
        rows.join(wanted, on="user_id", how="semi").select(
            "version", "user_id", "item_ids", family=pl.lit(name, pl.String)
        )
        for name, rows in scans.items()
    )
    return pl.concat(parts).collect()


def _log(registry: ModelRegistry, rows: pl.DataFrame, newest: dict[str, str]) -> None:
    """Put the figures with the versions that served last, beside those of their reports."""
    for family, served in _over_all_days(rows, newest).items():
        known = {} if family == FINAL else {str(one.version): one for one in registry.versions(family)}
        if served["version"] in known:
            registry.log_metrics(known[served["version"]], {f"served_{name}": float(served[name]) for name in SHOWN})


def _over_all_days(rows: pl.DataFrame, newest: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Family to the row over all days of the version that served last."""
    pooled = rows.filter(pl.col("day").is_null())
    return {row["family"]: row for row in pooled.iter_rows(named=True) if newest.get(row["family"]) == row["version"]}


def _shown(rows: pl.DataFrame, newest: dict[str, str], window: SlotWindow) -> dict[str, Any]:
    """Metadata: the figures over all days as numbers, which the UI plots by slot, and everything as a table."""
    days = f"{window.holdout} to {window.last}"
    if rows.is_empty():
        return {"days": days, "note": "nobody who took something was served a list on these days"}
    numbers = {
        f"{family}_{name}": served[name] for family, served in _over_all_days(rows, newest).items() for name in SHOWN
    }
    cells = rows.drop("ds").with_columns(pl.col("day").cast(pl.String).fill_null("all"))
    records = [dg.TableRecord(row) for row in cells.iter_rows(named=True)]
    return {"days": days, "versions": newest, **numbers, "by_day": dg.MetadataValue.table(records)}
