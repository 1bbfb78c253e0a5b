"""What `recsys run` prints."""

from datetime import date

import typer
from rich.console import Console
from rich.markup import escape

from recsys_assets.cli.decide import record_all
from recsys_assets.cli.driver import Finished, Limits, drive
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import RunProgress, run_progress
from recsys_assets.cli.reports import Reporter
from recsys_assets.configuration import ConfigurationError
from recsys_assets.platform import Platform
from sensors.state import read_approvals

EVERYTHING = Limits()


def run_command(first: date | None, last: date | None) -> None:
    """Drive the installation to its fixed point.

    Raises:
        ConfigurationError: The days asked for lie outside the configured ones, or in the wrong order.
        typer.Exit: Something failed.
    """
    installation = Installation.from_env()
    limits = Limits(first, last)
    check_days(installation.platform, first, last)
    if not run_to_fixed_point(installation, limits):
        raise typer.Exit(1)


def run_to_fixed_point(installation: Installation, limits: Limits = EVERYTHING, *, is_brief: bool = False) -> bool:
    """Do everything that is due, and tell it.

    Args:
        installation: Where.
        limits: The days to look at.
        is_brief: Only failures are told.

    Returns:
        Whether nothing failed; a refusal of the gate is no failure.

    Raises:
        BusyError: Something else starts runs in this home.
    """
    with installation.driving(), run_progress() as progress:
        installation.refuse_live_daemon()
        for recorded in record_all(installation):
            progress.console.print(escape(recorded), soft_wrap=True)
        reporter = Reporter(installation, Console(quiet=True) if is_brief else progress.console)
        reporter.tell()
        finished = []
        for one in drive(installation, limits, progress, lambda: check_services(installation)):
            finished.append(one)
            if one.errors or not is_brief:
                tell(one, progress)
            reporter.tell()
        has_errors = any(one.errors for one in finished)
        if not finished and not is_brief:
            progress.console.print("Nothing is due.")
        if not has_errors and not read_approvals(installation.platform, installation.instance):
            progress.console.print(_why_nothing_serves(installation), soft_wrap=True)
    return not has_errors


def check_services(installation: Installation) -> None:
    """Ask every service that a run will need, before anything is written.

    Raises:
        OnlineStoreError: The online store does not answer.
        RegistryError: The model registry does not answer.
    """
    installation.online_store.connect()
    _ = installation.model_registry


def _why_nothing_serves(installation: Installation) -> str:
    platform = installation.platform
    return (
        f"No model is approved, so nothing is published: training begins with the first slot from "
        f"{platform.first_slot_day} on (training.min_history_days is {platform.training.min_history_days}) "
        "whose days are closed; `recsys models` shows what was refused, `recsys doctor` what has landed."
    )


def check_days(platform: Platform, first: date | None, last: date | None) -> None:
    """Make sure that the days asked for are in order, and days of the platform.

    Raises:
        ConfigurationError: They are not.
    """
    if first and last and first > last:
        raise ConfigurationError(f"--from {first} is after --to {last}; swap them")
    for option, day in (("--from", first), ("--to", last)):
        if day:
            check_day(platform, option, day)


def check_day(platform: Platform, option: str, day: date) -> None:
    """Make sure that a day asked for is one of the platform.

    Raises:
        ConfigurationError: It is not.
    """
    if day < platform.first_day or (platform.last_day is not None and day > platform.last_day):
        until = platform.last_day or "today"
        raise ConfigurationError(f"{option} {day} lies outside the configured days, {platform.first_day} to {until}")


def tell(finished: Finished, progress: RunProgress) -> None:
    """Print what a run came to."""
    for note in finished.notes:
        progress.console.print(f"  {note}", soft_wrap=True)
    for refusal in finished.refusals:
        progress.console.print(f"[yellow]refused:[/] {escape(refusal)}", soft_wrap=True)
    for error in finished.errors:
        progress.console.print(f"[bold red]failed:[/] {escape(error)}", soft_wrap=True)
    if finished.errors:
        progress.console.print(f"run {finished.run_id}; `recsys dev` shows it in the Dagster UI", soft_wrap=True)
