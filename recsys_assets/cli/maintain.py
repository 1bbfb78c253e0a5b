"""`recsys maintain`: the upkeep of the lake, by hand."""

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.maintenance.upkeep import Upkeep, keep_up


def maintain_command() -> None:
    """Keep the lake up, and print what that came to.

    Raises:
        BusyError: Something else starts runs in this home.
        ConfigurationError: Fewer days are to be kept than somebody reads.
    """
    installation = Installation.from_env()
    with installation.driving():
        installation.refuse_live_daemon()
        done = keep_up(installation.lake, installation.platform)
    _show(done)


def _show(done: Upkeep) -> None:
    console = screen()
    table = plain_table("Upkeep of the lake", "table", "days dropped", "files put together", "unused files removed")
    for name in sorted({*done.dropped, *done.compacted, *done.removed}):
        counts = (one.get(name, 0) for one in (done.dropped, done.compacted, done.removed))
        table.add_row(as_cell(name), *(f"{count:,}" for count in counts))
    console.print(table if table.row_count else "Nothing was to be done.")
    if done.folders:
        console.print(f"  Temporary folders of killed runs removed: {done.folders}")
