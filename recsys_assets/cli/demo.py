"""`recsys simulate` writes a simulated store's files; `recsys demo` runs the whole loop on one."""

from datetime import date
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.models import show_versions
from recsys_assets.cli.recommend import show_list, some_user
from recsys_assets.cli.run import run_to_fixed_point
from recsys_assets.cli.screen import screen
from recsys_assets.cli.story import Plot, Readers, tell_story
from recsys_assets.configuration import ConfigurationError
from recsys_assets.platform import Platform
from recsys_assets.simulation import SimulatedStore, StoreParameters, simulate

SHOWN_ITEMS = 10
NEXT = """
[bold]What to open next[/]
  make dev                                            the Dagster UI on this very home
  {home}/dashboard/latest.html
  .venv/bin/recsys serve                              the API and its pages for people
  .venv/bin/recsys models                             what is in production, what was refused and why
  .venv/bin/recsys recommend {user} --explain      this list, longer
  .venv/bin/recsys init FOLDER                        your own data
  make stop                                           end the online store that was started"""


def simulate_command(users: int, items: int, seed: int, days: int | None) -> None:
    """Write the landing files of a simulated store into the configured landing."""
    installation = Installation.from_env()
    store = write_store(installation, users=users, items=items, seed=seed, days=days)
    _summary(screen(), installation, store)


def demo_command(users: int, items: int, seed: int) -> None:
    """Simulate a store, run everything on it, and show the result.

    Raises:
        typer.Exit: A run failed.
    """
    console = screen()
    installation = Installation.from_env()
    plot = Plot.of(installation.platform)
    readers = Readers(installation, plot)
    store = write_store(installation, users=users, items=items, seed=seed, days=None, readers=readers)
    _summary(console, installation, store)
    if not run_to_fixed_point(installation):
        raise typer.Exit(1)
    tell_story(installation, plot, console)
    show_versions(installation, console)
    user = some_user(installation)
    if user is not None:
        show_list(installation, console, user, SHOWN_ITEMS, with_reasons=True)
    console.print(NEXT.format(user=user or "USER", home=installation.settings.home), soft_wrap=True)


def write_store(
    installation: Installation,
    *,
    users: int,
    items: int,
    seed: int,
    days: int | None,
    readers: Readers | None = None,
) -> SimulatedStore:
    """Simulate the configured days; the same seed writes the same bytes, so that nothing is ingested twice.

    Args:
        installation: Where the files go, and what configures the days.
        users: Accounts on the first day.
        items: Books on the first day.
        seed: Of all chance.
        days: How many; None: as configured.
        readers: Who are shown lists, and what follows; None: nobody is.

    Raises:
        ConfigurationError: The landing is no local folder, or the length of the store is not known.
    """
    landing = installation.settings.landing
    if landing.startswith("s3://"):
        raise ConfigurationError(f"RECSYS_LANDING is {landing}; a store is simulated into a local folder")
    parameters = StoreParameters(
        first_day=installation.platform.first_day,
        days=days or _configured_days(installation.platform),
        users=users,
        items=items,
        seed=seed,
        time_zone=installation.platform.time_zone,
    )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Simulating the store", total=parameters.days)
        if readers is None:
            return simulate(parameters, Path(landing), lambda _: progress.advance(task))

        def on_day(day: date) -> None:
            progress.advance(task)
            if readers.is_shown_lists_after(day):
                progress.stop()  # the runs of a day have a bar of their own
                readers.live(day)

        return simulate(parameters, Path(landing), on_day, readers.lists_of)


def _configured_days(platform: Platform) -> int:
    if platform.last_day is None:
        raise ConfigurationError("recsys.yaml has no last_day; say with --days how long the simulated store runs")
    return (platform.last_day - platform.first_day).days + 1


def _summary(console: Console, installation: Installation, store: SimulatedStore) -> None:
    first = installation.platform.first_day
    console.print(
        f"Simulated a store from {first}: {store.event_rows:,} event rows of {store.users:,} users on "
        f"{store.items:,} books, {store.refunds:,} refunds, {sum(store.dirty_rows.values()):,} dirty rows "
        f"({installation.settings.landing})",
        soft_wrap=True,
    )
