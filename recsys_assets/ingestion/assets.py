"""The assets of the group `sources`: the landed files of some days, typed and deduplicated, and what was set aside.

All files of the run are read and judged before anything is written, so a file that cannot be read leaves the lake
as it was.
"""

from collections.abc import Iterable, Iterator
from datetime import date

import dagster as dg
import polars as pl

from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES, Table
from recsys_assets.ingestion.canonical import CanonicalRows, to_canonical
from recsys_assets.ingestion.landing_days import LandedDay, landed_days
from recsys_assets.ingestion.reading import LandedFile, read_files
from recsys_assets.mapping import SourceMapping
from recsys_assets.partitions import day_partitions
from recsys_assets.platform import Platform
from recsys_assets.presentation import day_range, described, written
from resources.lake import Days, DeltaLake
from resources.landing import Landing

READ_AT_ONCE_BYTES = 128_000_000
"""Files are read and judged in portions of about this size, so that a year of them needs no year's memory."""


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
        results = {
            name: _read(landing, SOURCE_TABLES[name], platform, _within(landed.values(), days)) for name in names
        }
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


def _within(landed: Iterable[LandedDay], days: Days) -> list[LandedDay]:
    return [one for one in landed if days[0] <= one.day <= days[1]]


def _read(landing: Landing, table: Table, platform: Platform, landed: list[LandedDay]) -> CanonicalRows:
    """Read and judge the files of one table, portion by portion."""
    mapping = platform.sources.get(table.key[-1])
    if mapping is None:
        return _nothing(table)
    parts = [_judge(landing, table, mapping, platform, portion) for portion in _portions(landed)]
    if not parts:
        return _nothing(table)
    return CanonicalRows(
        accepted=pl.concat(part.accepted for part in parts),
        rejected=pl.concat(part.rejected for part in parts),
        counts=pl.concat(part.counts for part in parts),
    )


def _judge(
    landing: Landing, table: Table, mapping: SourceMapping, platform: Platform, landed: list[LandedDay]
) -> CanonicalRows:
    files = [
        LandedFile(one.day, path, landing.read(path)) for one in landed for path in one.paths.get(table.key[-1], ())
    ]
    listed = pl.DataFrame(
        {"ds": [file.ds for file in files], "source_file": [file.path for file in files]},
        schema={"ds": pl.Date, "source_file": pl.String},
    )
    return to_canonical(read_files(files, mapping), table, mapping, platform, files=listed)


def _portions(landed: list[LandedDay]) -> Iterator[list[LandedDay]]:
    """Whole days, as many at once as are read together."""
    portion: list[LandedDay] = []
    for one in landed:
        if portion and sum(day.size_bytes for day in portion) + one.size_bytes > READ_AT_ONCE_BYTES:
            yield portion
            portion = []
        portion.append(one)
    if portion:
        yield portion


def _nothing(table: Table) -> CanonicalRows:
    counts = INGESTED_FILES.schema
    counts.pop("landing_fingerprint")
    return CanonicalRows(
        pl.DataFrame(schema=table.schema),
        pl.DataFrame(schema=REJECTED_ROWS.schema),
        pl.DataFrame(schema=counts),
    )


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


def _by_reason(rejected: pl.DataFrame) -> dg.TableMetadataValue:
    counts = rejected.group_by("table", "reason").len("rows").sort("table", "rows", descending=[False, True])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in counts.iter_rows(named=True)])
