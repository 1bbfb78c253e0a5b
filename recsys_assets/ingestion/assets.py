"""The assets of the group `sources`: the landed files of some days, typed and deduplicated, and what was set aside.

All files of the run are read and judged before anything is written, so a file that cannot be read leaves the lake
as it was.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES
from recsys_assets.ingestion.canonical import CanonicalRows
from recsys_assets.ingestion.intake import take_in
from recsys_assets.ingestion.landing_days import LandedDay, landed_days
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from resources.lake import Days, DeltaLake
from resources.landing import Landing


def build_assets(platform: Platform) -> list[dg.AssetsDefinition]:
    """The source tables and `rejected_rows`: one step, because one file may feed several of them."""
    tables = (*SOURCE_TABLES.values(), REJECTED_ROWS)

    @dg.multi_asset(
        name="sources",
        specs=[
            dg.AssetSpec(**described(table), kinds={"deltalake"}, partitions_def=day_partitions(platform))
            for table in tables
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def sources(context: dg.AssetExecutionContext, lake: DeltaLake, landing: Landing) -> Iterator[dg.MaterializeResult]:
        days = day_range(context)
        chosen = [table for table in tables if dg.AssetKey(table.key) in context.selected_asset_keys]
        names = [table.key[-1] for table in chosen if table is not REJECTED_ROWS] or list(platform.sources)
        landed = landed_days(landing.files(), platform)
        chosen_days = [one for day, one in landed.items() if days[0] <= day <= days[1]]
        results = {name: take_in(landing, SOURCE_TABLES[name], platform, chosen_days) for name in names}
        versions = {name: lake.replace(SOURCE_TABLES[name], rows.accepted, days) for name, rows in results.items()}
        rejected = _set_aside(lake, results, days)
        _record(lake, results, landed, days)
        for table in chosen:
            if table is REJECTED_ROWS:
                rows = pl.concat(result.rejected for result in results.values())
                yield written(lake, table, rows, rejected, reasons=_by_reason(rows))
            else:
                result = results[table.key[-1]]
                sums = result.counts.select("parsed", "accepted", "rejected", "folded").sum().row(0, named=True)
                yield written(lake, table, result.accepted, versions[table.key[-1]], **sums)

    return [sources]


def _set_aside(lake: DeltaLake, results: dict[str, CanonicalRows], days: Days) -> int:
    """Replace the rejected rows of each table and day; returns the Delta version."""
    for name, result in results.items():
        lake.replace(REJECTED_ROWS, result.rejected, days, where={"table": name})
    return lake.version(REJECTED_ROWS.name)


def _record(lake: DeltaLake, results: dict[str, CanonicalRows], landed: dict[date, LandedDay], days: Days) -> None:
    """Write the counts of each file last: a day counts as ingested by the state of the landing recorded here."""
    fingerprints = pl.DataFrame(
        {"ds": list(landed), "landing_fingerprint": [one.fingerprint for one in landed.values()]},
        schema={"ds": pl.Date, "landing_fingerprint": pl.String},
    )
    for name, result in results.items():
        rows = result.counts.join(fingerprints, on="ds", how="left")
        lake.replace(INGESTED_FILES, rows, days, where={"table": name})


def _by_reason(rejected: pl.DataFrame) -> dg.JsonMetadataValue:
    counts = rejected.group_by("table", "reason").len("rows").sort("table", "rows", descending=[False, True])
    return dg.MetadataValue.json({f"{table} {reason}": rows for table, reason, rows in counts.iter_rows()})
