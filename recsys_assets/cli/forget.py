"""`recsys forget USER`: out of the lake with its history, the training sets and the online store."""

from datetime import UTC, datetime

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.forgetting import Forgotten, forget


def forget_command(user_id: str) -> None:
    """Forget a user, and print what was removed where.

    Raises:
        BusyError: Something else writes to this installation.
    """
    installation = Installation.from_env()
    with installation.driving():
        installation.refuse_live_daemon()
        done = forget(
            user_id,
            datetime.now(tz=UTC).astimezone(installation.platform.zone).date(),
            installation.lake,
            installation.model_registry,
            installation.platform.families,
            installation.online_store.connect(),
        )
    _show(user_id, done)


def _show(user_id: str, done: Forgotten) -> None:
    console = screen()
    table = plain_table(f"Forgot user {user_id}", "where", "removed")
    for name, rows in done.rows.items():
        table.add_row(as_cell(name), f"{rows:,} rows")
    table.add_row("online store", f"{done.online_keys:,} keys")
    table.add_row("history", f"older data files of {done.tables:,} tables")
    console.print(table)
    names = ", ".join(f"{one.family} {one.version}" for one in done.versions) or "none"
    console.print(f"  Registered versions that can no longer be reproduced: {names}", soft_wrap=True)
    console.print(
        "  Files in the landing are the shop's and were not touched; what they hold about this user up to today is "
        "set aside as `forgotten` if they are taken in again.",
        soft_wrap=True,
    )
