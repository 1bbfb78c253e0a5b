"""`recsys dev` opens the Dagster UI with the daemon on this home; `recsys stop` ends the embedded online store."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import typer

from recsys_assets.cli.driver import abandon_unfinished
from recsys_assets.cli.installation import Installation
from resources import embedded_valkey


def dev_command(port: int) -> None:
    """Run the UI and the daemon until they are stopped; sensors start what is due.

    Raises:
        typer.Exit: With Dagster's own exit code.
    """
    installation = Installation.from_env()
    environment = {**os.environ, "DAGSTER_HOME": installation.prepare_dagster_home()}
    command = [
        str(Path(sys.executable).with_name("dagster")),
        "dev",
        "-m",
        "recsys_assets.definitions",
        "-p",
        str(port),
    ]
    with installation.driving():
        installation.refuse_live_daemon()
        abandon_unfinished(installation.instance)
        dagster = subprocess.Popen(command, env=environment)  # noqa: S603 - the installed Dagster
        for sent in (signal.SIGTERM, signal.SIGINT):  # whoever stops this command stops the UI and the daemon
            signal.signal(sent, lambda *_: dagster.send_signal(signal.SIGINT))
        code = dagster.wait()
    raise typer.Exit(code)


def stop_command() -> None:
    """Stop the embedded online store; its data stay."""
    installation = Installation.from_env()
    was_running = embedded_valkey.stop(installation.settings.home / "valkey")
    typer.echo("Stopped the embedded online store." if was_running else "The embedded online store was not running.")
