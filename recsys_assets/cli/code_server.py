"""`recsys code-server`: the code location of a deployment, for a webserver and a daemon that are processes elsewhere.

Its runs are processes beside it, so when it starts, none of an earlier one is alive. Dagster itself would wait for them
until their longest time has passed, and their days with them.
"""

import os
import sys
from pathlib import Path

from dagster._core.launcher import DefaultRunLauncher

from recsys_assets.cli.driver import abandon_unfinished
from recsys_assets.cli.installation import Installation


def code_server_command(host: str, port: int) -> None:
    """Mark runs of an earlier code server as failed, and become Dagster's code server."""
    installation = Installation.from_env()
    home = installation.prepare_dagster_home()
    if isinstance(installation.instance.run_launcher, DefaultRunLauncher):  # others run elsewhere, and go on
        abandon_unfinished(installation.instance)
    installation.instance.dispose()
    program = str(Path(sys.executable).with_name("dagster"))
    command = [
        "code-server",
        "start",
        "--host",
        host,
        "--port",
        str(port),
        "--module-name",
        "recsys_assets.definitions",
    ]
    os.execve(program, [program, *command], {**os.environ, "DAGSTER_HOME": home})  # noqa: S606 - the installed Dagster
