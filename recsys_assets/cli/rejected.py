"""`recsys rejected`: which landed rows were set aside, why, and what they look like."""

from dataclasses import dataclass
from datetime import date

import polars as pl
from rich.console import Console
from rich.text import Text

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.run import check_day
from recsys_assets.cli.screen import plain_table, printable, screen
from recsys_assets.columns import INGESTED_FILES, REJECTED_ROWS, SOURCE_TABLES, Table
from recsys_assets.configuration import ConfigurationError
from resources.lake import DeltaLake

SHOWN_CHARACTERS = 160
NEXT = (
    "Correct the mapping in recsys.yaml, or deliver the file again; `recsys run` then ingests the day again, "
    "and nothing is doubled."
)


@dataclass(frozen=True)
class Wanted:
    """Which rejected rows are asked for; None means all."""

    table: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        """The rows in words, to stand behind `rejected rows`."""
        return (f" of {self.table}" if self.table else "") + (f" with the reason {self.reason}" if self.reason else "")


def rejected_command(day: date | None, wanted: Wanted, limit: int) -> None:
    """Print a day's rejected rows, or the summary over all days.

    Raises:
        ConfigurationError: There is no such table, reason or day, or nothing was ingested.
    """
    installation = Installation.from_env()
    if wanted.table is not None and wanted.table not in SOURCE_TABLES:
        raise ConfigurationError(f"--table {wanted.table}: no such table; one of {', '.join(SOURCE_TABLES)}")
    if day is None:
        show_all_days(installation.lake, screen(), wanted)
    else:
        check_day(installation.platform, "--day", day)
        show_day(installation.lake, screen(), day, wanted, limit)


def show_all_days(lake: DeltaLake, console: Console, wanted: Wanted) -> None:
    """Print how many rows each reason has refused, on how many days, and when last.

    Raises:
        ConfigurationError: Nothing was ingested, or no row has the reason.
    """
    if not lake.version(INGESTED_FILES.name) >= 0:
        raise ConfigurationError("nothing has been ingested yet; `recsys run` does it")
    grouped = _scan(lake, REJECTED_ROWS, wanted).group_by("table", "reason")
    sums = grouped.agg(rows=pl.len(), days=pl.col("ds").n_unique(), newest_day=pl.col("ds").max())
    found = sums.sort("table", "rows", "reason", descending=[False, True, False]).collect()
    if found.is_empty():
        _check_reason(lake, wanted)
        console.print(f"No rejected rows{wanted} on any day.")
        return
    _print(console, "Rejected rows of all days", found)
    console.print("`recsys rejected --day D` shows the rows of a day.", soft_wrap=True)


def show_day(lake: DeltaLake, console: Console, day: date, wanted: Wanted, limit: int) -> None:
    """Print a day's rejected rows: how many for each reason and file, and some of each reason.

    Raises:
        ConfigurationError: The day was not ingested, or no row of it has the reason.
    """
    files = _scan(lake, INGESTED_FILES, Wanted(wanted.table), day).select("source_file", "parsed").collect()
    if files.is_empty():
        what = f" of {wanted.table}" if wanted.table else ""
        raise ConfigurationError(
            f"--day {day}: no file{what} was ingested for this day; `recsys run` ingests what has landed, "
            "`recsys doctor` says what that is"
        )
    rejected = _scan(lake, REJECTED_ROWS, wanted, day)
    found = rejected.group_by("table", "reason", "source_file").agg(rows=pl.len())
    summary = found.sort("table", "rows", "reason", "source_file", descending=[False, True, False, False]).collect()
    if summary.is_empty():
        _check_reason(lake, wanted, day)
        console.print(f"No rejected rows{wanted} on {day}: {files['parsed'].sum():,} rows, all accepted.")
        return
    of_all = f"{summary['rows'].sum():,} of {files['parsed'].sum():,} rows"
    _print(console, f"Rejected on {day}: {of_all}", summary.select("table", "reason", "rows", "source_file"))
    some = _some_of_each_reason(rejected, limit)
    _print(console, f"{some.height} of them", some)
    console.print(NEXT, soft_wrap=True)


def _check_reason(lake: DeltaLake, wanted: Wanted, day: date | None = None) -> None:
    """Refuse a reason that none of the rows has that it was looked for in."""
    if wanted.reason is None:
        return
    rows = _scan(lake, REJECTED_ROWS, Wanted(wanted.table), day)
    reasons = rows.select(pl.col("reason").unique().sort()).collect()["reason"].to_list()
    where = (f" of {wanted.table}" if wanted.table else "") + (f" on {day}" if day else "")
    known = f"the reasons there: {', '.join(reasons)}" if reasons else "no row was rejected there at all"
    raise ConfigurationError(f"--reason {wanted.reason}: no row{where} was rejected for this; {known}")


def _scan(lake: DeltaLake, table: Table, wanted: Wanted, day: date | None = None) -> pl.LazyFrame:
    """The rows asked for; the conditions reach the files, so that other days are not read."""
    conditions = {
        name: value for name, value in (("table", wanted.table), ("reason", wanted.reason)) if value is not None
    }
    return lake.scan(table, None if day is None else (day, day)).filter(**conditions)


def _some_of_each_reason(rejected: pl.LazyFrame, limit: int) -> pl.DataFrame:
    """The first rows of each table and reason, as many as are to be shown, in the order of their files."""
    place = ("table", "source_file", "line")
    shortened = rejected.select(*place, "reason", pl.col("raw").str.slice(0, SHOWN_CHARACTERS + 1)).sort(place)
    turn = pl.int_range(pl.len()).over("table", "reason")
    chosen = shortened.with_columns(turn=turn).sort("turn", *place).head(limit).sort(place).collect()
    return chosen.select("table", "source_file", "line", "reason", "raw")


def _print(console: Console, title: str, rows: pl.DataFrame) -> None:
    table = plain_table(title, *(name.replace("_", " ") for name in rows.columns))
    for row in rows.iter_rows():
        table.add_row(*(_as_delivered(f"{value:,}" if isinstance(value, int) else str(value)) for value in row))
    console.print(table)


def _as_delivered(text: str) -> Text:
    """Text from outside, shortened: with its blanks and line ends, and never read as markup."""
    return Text(printable(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"))
