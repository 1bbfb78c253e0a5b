"""`recsys init FOLDER`: draft a `recsys.yaml` from what lies in a folder, and preview one day of it."""

from pathlib import Path

import polars as pl
import typer
from rich.console import Console

from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.ingestion.draft import draft_mapping
from recsys_assets.ingestion.intake import take_in
from recsys_assets.ingestion.landing_days import LandedDay, landed_days
from recsys_assets.platform import Platform, load_platform
from resources.landing import Landing, LocalLanding

SHOWN_ROWS = 5
SHOWN_CHARACTERS = 24


def init_command(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Draft, write, and preview.

    Raises:
        typer.BadParameter: The target exists and must not be replaced.
        NothingToDraftError: Nothing in the folder looks like events.
    """
    if target.exists() and not overwrite:
        raise typer.BadParameter(f"{target} exists; choose another --output, or --overwrite it")
    landing = LocalLanding(root=str(folder.absolute()))
    text = draft_mapping([file.path for file in landing.files()], landing.read)
    target.write_text(text, encoding="utf-8")
    console = screen()
    console.print(f"Drafted [bold]{target}[/]. Read it, correct it, then:")
    console.print(f"  RECSYS_CONFIG={target} RECSYS_LANDING={folder} recsys doctor", soft_wrap=True)
    platform = load_platform(target)
    days = landed_days(landing.files(), platform)
    if days:
        preview(console, platform, landing, next(iter(days.values())))


def preview(console: Console, platform: Platform, landing: Landing, day: LandedDay) -> None:
    """Show what one day's files would give: accepted rows, and rejected ones with their reasons."""
    for name in platform.sources:
        result = take_in(landing, SOURCE_TABLES[name], platform, [day])
        sums = result.counts.select("parsed", "accepted", "rejected", "folded").sum().row(0, named=True)
        console.rule(f"{name} on {day.day}: " + ", ".join(f"{count} {what}" for what, count in sums.items()))
        _print(console, f"accepted, the first {SHOWN_ROWS}", result.accepted.head(SHOWN_ROWS))
        examples = result.rejected.group_by("reason", maintain_order=True).agg(
            rows=pl.len(), line=pl.col("line").first(), example=pl.col("raw").first()
        )
        _print(console, "rejected, by reason", examples.sort("rows", descending=True))


def _print(console: Console, title: str, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    shown = rows.select(name for name in rows.columns if rows[name].null_count() < rows.height)
    table = plain_table(title, *shown.columns)
    for column, values in zip(table.columns, shown.iter_columns(), strict=True):
        column.overflow, column.no_wrap = "ellipsis", True
        column.min_width = min(SHOWN_CHARACTERS, max(len(str(value)) for value in (values.name, *values)))
    for row in shown.iter_rows():
        table.add_row(*(as_cell(value) for value in row))
    console.print(table)
