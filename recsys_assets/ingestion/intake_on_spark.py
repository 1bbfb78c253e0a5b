"""The files of some days, read and judged by tasks of Spark, which write what becomes of the rows beside the tables.

Each task reads a portion from the landing itself, with credentials of its own environment, and judges it as
`intake.judged` does. The driver learns counts, and which files are unreadable. Committing stays with the assets.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from recsys_assets.columns import REJECTED_ROWS, SOURCE_TABLES
from recsys_assets.ingestion.forgotten import ForgottenUsers
from recsys_assets.ingestion.intake import FilePortion, judged, nothing, portions
from recsys_assets.ingestion.landing_days import LandedDay
from recsys_assets.ingestion.raw_rows import UnreadableFileError
from recsys_assets.platform import Platform
from resources.engine import SparkEngine
from resources.lake import DeltaLake
from resources.landing import Landing, LandingError
from resources.landing_elsewhere import LandingAddress, address_of
from resources.spark_tables import nothing_staged, table_folder
from resources.staged import StagedFile, StagedRows
from resources.staged_files import READ_ROWS, TableFolder, write_files

EXPECTED = {error.__name__: error for error in (LandingError, UnreadableFileError)}
"""What a file of the landing may be wrong in; a task reports it instead of failing, which would be tried again."""
TABLE = "table"


@dataclass(frozen=True)
class Assignment:
    """What every task is told beside its portion.

    Attributes:
        landing: Where the files are.
        platform: The configuration.
        forgotten: People whose rows are set aside.
        tables: Name of a table to its folder; that of the rejected rows too.
    """

    landing: LandingAddress
    platform: Platform
    forgotten: ForgottenUsers | None
    tables: Mapping[str, TableFolder]


def stage_in(
    engine: SparkEngine,
    landing: Landing,
    lake: DeltaLake,
    platform: Platform,
    landed: Sequence[LandedDay],
    names: Sequence[str],
    forgotten: ForgottenUsers | None = None,
) -> tuple[dict[str, StagedRows], StagedRows, pl.DataFrame]:
    """Read and judge the files that feed some tables, however many there are.

    Args:
        engine: Whose tasks.
        landing: Where the files are.
        lake: Where the tables are.
        platform: The configuration.
        landed: The days to take in.
        names: The tables.
        forgotten: People whose rows are set aside.

    Returns:
        Name of each table to its accepted rows; the rejected rows of all; rows of `INGESTED_FILES` without the
        fingerprint of the landing.

    Raises:
        LandingError: A file cannot be fetched.
        UnreadableFileError: A file cannot be read as a whole.
    """
    fed = {name: SOURCE_TABLES[name] for name in names}
    folders = {name: table_folder(lake, table) for name, table in fed.items()}
    folders[REJECTED_ROWS.name] = table_folder(lake, REJECTED_ROWS, [TABLE])
    assignment = Assignment(address_of(landing), platform, forgotten, folders)
    work = [portion for name in names for portion in portions(platform, landed, name)]
    reports = _reports(engine, assignment, work)
    accepted = {name: nothing_staged(engine.session, lake, table) for name, table in fed.items()}
    rejected = nothing_staged(engine.session, lake, REJECTED_ROWS)
    counts = [nothing(REJECTED_ROWS).counts]
    for portion, report in zip(work, reports, strict=True):
        if "error" in report:
            raise EXPECTED[report["error"]](report["message"])
        accepted[portion.table].files.extend(map(StagedFile.from_json, report["accepted"]))
        rejected.files.extend(map(StagedFile.from_json, report["rejected"]))
        in_text = counts[0].schema | {"ds": pl.String}
        found = pl.DataFrame(report["counts"], in_text, orient="row")
        counts.append(found.with_columns(pl.col("ds").str.to_date()))
    return accepted, rejected, pl.concat(counts)


def _reports(engine: SparkEngine, assignment: Assignment, work: Sequence[FilePortion]) -> list[dict[str, Any]]:
    """What the tasks say of each portion, in the same order."""
    if not work:
        return []
    context = engine.session.sparkContext
    return [
        json.loads(one) for one in context.parallelize(work, len(work)).map(partial(_take_in, assignment)).collect()
    ]


def _take_in(assignment: Assignment, portion: FilePortion) -> str:
    """Runs in a task: judge a portion and write its rows."""
    try:
        rows = judged(portion, assignment.landing.open(), assignment.platform, assignment.forgotten)
    except tuple(EXPECTED.values()) as error:
        return json.dumps({"error": type(error).__name__, "message": str(error)})
    report = {
        "accepted": _written(rows.accepted, assignment.tables[portion.table]),
        "rejected": _written(rows.rejected, assignment.tables[REJECTED_ROWS.name]),
        "counts": rows.counts.with_columns(pl.col("ds").cast(pl.String)).rows(),
    }
    return json.dumps(report)


def _written(rows: pl.DataFrame, folder: TableFolder) -> list[str]:
    """The files that hold the rows."""
    in_order = rows.sort("ds", maintain_order=True).to_arrow().cast(folder.schema)
    return [file.to_json() for file in write_files(in_order.to_batches(READ_ROWS), folder)]
