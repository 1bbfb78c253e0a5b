"""`recsys features`: the specification of the feature views; `recsys backfill`: days of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import typer
from rich.console import Console
from rich.table import Table as RichTable

from recsys_assets.cli.driver import Finished, abandon_unfinished, execute, progress_definitions
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import run_progress
from recsys_assets.cli.run import check_days, tell
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.columns import Table
from recsys_assets.features.materialized import stale_days
from recsys_assets.features.pages import Grid, Page, all_as_markdown, as_markdown, overview, page_of
from recsys_assets.features.store import UnknownViewError, find_view
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import SNAPSHOTS
from resources.lake import DeltaLake
from sensors.decisions import Start


def features_command(name: str | None, *, markdown: bool) -> None:
    """Print all views, or the page of one.

    Raises:
        UnknownViewError: There is no such view.
    """
    installation = Installation.from_env()
    if markdown:
        platform = installation.platform
        typer.echo(as_markdown(page_of(find_view(name), platform)) if name else all_as_markdown(platform))
    elif name:
        page = page_of(find_view(name), installation.platform)
        stored = ("stored", _stored(installation, find_view(name)))
        show_page(screen(), replace(page, facts=(*page.facts, stored)))
    else:
        screen().print(_table(overview()))


def backfill_command(names: list[str], first: date, last: date) -> None:
    """Compute days of views, in a single run.

    Raises:
        UnknownViewError: There is no such view, or it is not kept by day.
        ConfigurationError: The days lie outside the configured ones.
        BusyError: Something else starts runs in this home.
        typer.Exit: The run failed.
    """
    views = [_by_day(find_view(name)) for name in dict.fromkeys(names)]
    installation = Installation.from_env()
    check_days(installation.platform, first, last)
    with installation.driving():
        installation.refuse_live_daemon()
        finished = backfill(installation, views, first, last)
    if finished.errors:
        raise typer.Exit(1)


def backfill(installation: Installation, views: Sequence[FeatureView], first: date, last: date) -> Finished:
    """Compute days of views in a single run, and tell what it came to."""
    names = tuple(view.name for view in views)
    start = Start("refresh", f"backfill:{first}..{last}", first, last, views=names)
    with run_progress() as progress:
        abandon_unfinished(installation.instance)
        job = progress_definitions(installation, progress).resolve_job_def(start.job)
        finished = execute(job, start, installation, progress)
        tell(finished, progress)
    return finished


def _by_day(view: FeatureView) -> FeatureView:
    if view.partitions == "slot":
        raise UnknownViewError(f"{view.name} is kept by training slot; backfill slots in the UI (`recsys dev`)")
    if not view.is_stored:
        raise UnknownViewError(f"{view.name} has no table of its own: it is computed from the lists when it is read")
    return view


def show_page(console: Console, page: Page) -> None:
    """Print a page of a specification."""
    console.print(f"[bold]{page.name}[/]\n{page.description}\n", soft_wrap=True)
    for name, value in page.facts:
        console.print(f"  [bold]{name}[/]: {value}", soft_wrap=True)
    for grid in page.grids:
        console.print()
        console.print(_table(grid))


def _table(grid: Grid) -> RichTable:
    table = plain_table(grid.title, *grid.columns)
    for row in grid.rows:
        table.add_row(*(as_cell(cell) for cell in row))
    return table


def _stored(installation: Installation, view: FeatureView) -> str:
    """Which days are there, and how many of them are out of date."""
    if not view.is_stored:
        return "as far as the lists of its families"
    days = _days(installation.lake, view.table)
    stale = stale_days(installation.lake, installation.platform, SNAPSHOTS).get(view.name, {})
    return days + (f"; {len(stale)} of them are out of date, `recsys run` computes them again" if stale else "")


def _days(lake: DeltaLake, table: Table) -> str:
    days = lake.days(table.name)
    if not days:
        return "nothing yet"
    return f"{len(days):,} partitions from {days[0]} to {days[-1]}"
