"""The assets of the group `sources`: the landed files of some days, typed and deduplicated, and what was set aside.

All files of the run are read and judged before anything is committed, so a file that cannot be read leaves the lake
as it was. Judged rows wait in a temporary folder, or on Spark beside the tables, so that a year of them needs no
year's memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl

from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES
from recsys_assets.ingestion.forgotten_in_lake import read_forgotten
from recsys_assets.ingestion.intake import spool_in
from recsys_assets.ingestion.intake_on_spark import stage_in
from recsys_assets.ingestion.landing_days import LandedDay, landed_days
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from resources.engine import Engine, Engines, SparkEngine, Waiting
from resources.lake import Days, DeltaLake, Spool
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
    def sources(
        context: dg.AssetExecutionContext, lake: DeltaLake, landing: Landing, engine: Engines
    ) -> Iterator[dg.MaterializeResult]:
        days = day_range(context)
        chosen = [table for table in tables if dg.AssetKey(table.key) in context.selected_asset_keys]
        names = [table.key[-1] for table in chosen if table is not REJECTED_ROWS] or list(platform.sources)
        landed = landed_days(landing.files(), platform)
        chosen_days = [one for day, one in landed.items() if days[0] <= day <= days[1]]
        used = engine.of("sources")
        with TemporaryDirectory(prefix="recsys-ingest-") as folder:
            taken = _take_in(used, landing, lake, platform, chosen_days, names, Path(folder))
            accepted, rejected, counts = taken
            versions = {name: lake.replace(SOURCE_TABLES[name], rows, days) for name, rows in accepted.items()}
            set_aside = lake.replace(REJECTED_ROWS, rejected, days, where={"table": names})
            _record(lake, counts, landed, days, names)
            for table in chosen:
                name = table.key[-1]
                if table is REJECTED_ROWS:
                    yield written(lake, table, rejected, set_aside, reasons=_by_reason(used, rejected))
                else:
                    yield written(lake, table, accepted[name], versions[name], **_sums(counts, name))

    return [sources]


def _take_in(
    engine: Engine,
    landing: Landing,
    lake: DeltaLake,
    platform: Platform,
    landed: Sequence[LandedDay],
    names: Sequence[str],
    folder: Path,
) -> tuple[Mapping[str, Waiting], Waiting, pl.DataFrame]:
    """Read and judge the files that feed some tables: accepted rows by table, rejected ones, counts."""
    forgotten = read_forgotten(lake)
    if isinstance(engine, SparkEngine):
        return stage_in(engine, landing, lake, platform, landed, names, forgotten)
    accepted = {name: Spool(SOURCE_TABLES[name], folder / name) for name in names}
    rejected = Spool(REJECTED_ROWS, folder / REJECTED_ROWS.key[-1])
    return accepted, rejected, spool_in(landing, platform, landed, accepted, rejected, forgotten)


def _record(
    lake: DeltaLake, counts: pl.DataFrame, landed: Mapping[date, LandedDay], days: Days, names: Sequence[str]
) -> None:
    """Write the counts of each file last: a day counts as ingested by the state of the landing recorded here."""
    fingerprints = pl.DataFrame(
        {"ds": list(landed), "landing_fingerprint": [one.fingerprint for one in landed.values()]},
        schema={"ds": pl.Date, "landing_fingerprint": pl.String},
    )
    lake.replace(INGESTED_FILES, counts.join(fingerprints, on="ds", how="left"), days, where={"table": names})


def _sums(counts: pl.DataFrame, name: str) -> dict[str, Any]:
    return counts.filter(table=name).select("parsed", "accepted", "rejected", "folded").sum().row(0, named=True)


def _by_reason(engine: Engine, rejected: Waiting) -> dg.JsonMetadataValue:
    counts = engine.lazy(rejected).group_by("table", "reason").agg(nw.len().alias("rows"))
    in_order = engine.collect(counts).sort("table", "rows", "reason", descending=[False, True, False])
    return dg.MetadataValue.json({f"{table} {reason}": rows for table, reason, rows in in_order.iter_rows()})
