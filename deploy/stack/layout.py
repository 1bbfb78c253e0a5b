"""Where everything of one stack is: its folder, its ports, and the services that follow from them."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deploy.make_secrets import make_secrets
from deploy.stack import programs
from deploy.stack.compose import DEPLOY, Places, Service, read_document, read_services
from deploy.stack.leftovers import Begun, begun
from deploy.stack.shop import Shop
from deploy.stack.supervisor import StackError, Supervisor, inherited

PORTS = {"webserver": 13000, "api": 18000, "mlflow": 15000, "postgres": 15432, "redis": 16379, "code": 14000}
"""Ten thousand above the containers' own: they clash neither with `make dev` nor with the system's PostgreSQL."""
CHOICES = (
    "RECSYS_ENGINE",
    "RECSYS_LAKE",
    "RECSYS_ARTIFACTS",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "API_WORKERS",
    "MLFLOW_WORKERS",
)
"""Variables of compose.yaml that may be set here too."""


STATE = "state.json"


class PortError(Exception):
    """A port cannot be used; the message says which option gives another."""


@dataclass(frozen=True)
class Layout:
    """One stack.

    Attributes:
        folder: Holds everything of it.
        shop: What it runs.
        ports: Service to its port.
    """

    folder: Path
    shop: Shop
    ports: Mapping[str, int]

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.folder / "secrets"

    @property
    def home(self) -> Path:
        """The platform's home."""
        return self.folder / "home"

    @property
    def state_file(self) -> Path:
        """Says who drives the stack, where it listens, and whether all of it does."""
        return self.folder / STATE

    @classmethod
    def running(cls, folder: Path, shop: Shop) -> "Layout":
        """The stack that runs in a folder.

        Raises:
            StackError: None does.
        """
        if driver_of(folder) is None:
            raise StackError(f"no stack runs in {folder}; start one with `make stack`")
        return cls(folder, shop, json.loads((folder / STATE).read_text(encoding="utf-8"))["ports"])

    def write_state(self, *, is_ready: bool) -> None:
        """Say that this process drives the stack."""
        driver = begun(os.getpid())
        content = {"driver": driver and asdict(driver), "ports": dict(self.ports), "is_ready": is_ready}
        unfinished = self.folder / f".{STATE}"
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        unfinished.replace(self.state_file)

    def services(self) -> dict[str, Service]:
        """The services of compose.yaml, as they are run here."""
        found = read_services(self._document(), self._places())
        found["postgres"] = programs.postgres(found["postgres"], self._postgres, programs.postgres_programs())
        found["redis"] = programs.redis(found["redis"], self.folder / "redis")
        return found

    def prepare(self) -> None:
        """Make secrets and folders where they are missing, and a database cluster.

        Raises:
            MissingProgramError: PostgreSQL is not installed, or cannot be run here.
        """
        make_secrets(
            self.secrets,
            {name: f"127.0.0.1:{self.ports[name]}" for name in ("postgres", "redis")},
            has_bloom=programs.bloom_module() is not None,
            is_derived_again=True,  # ports may be others than the last time
        )
        (self.home / "dagster").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DEPLOY / "dagster.yaml", self.home / "dagster" / "dagster.yaml")
        (self.folder / "artifacts").mkdir(exist_ok=True)
        programs.make_cluster(self._postgres, programs.postgres_programs(), self.secrets / "postgres_password")

    def supervisor(self, environment: Mapping[str, str], tell: Callable[[str], None]) -> Supervisor:
        """What drives the stack, once everything is prepared.

        Args:
            environment: Of this process.
            tell: Takes a line for people.
        """
        services = self.services()
        make_databases = partial(programs.make_databases, services["postgres"], programs.postgres_programs())
        return Supervisor(
            services=services,
            environment=inherited(environment),
            folder=self.folder,
            users={"postgres": programs.postgres_user()},
            once_healthy={"postgres": make_databases},
            tell=tell,
        )

    @property
    def _postgres(self) -> Path:
        return self.folder / "postgres"

    def _document(self) -> dict[str, Any]:
        own = {
            "RECSYS_LANDING": self.shop.landing,
            "RECSYS_LAKE": str(self.folder / "lake"),
            "RECSYS_ARTIFACTS": str(self.folder / "artifacts"),
            "AWS_ENDPOINT_URL": "",
            "API_WORKERS": "1",
            "MLFLOW_WORKERS": "1",
        }
        return read_document({**own, **{name: os.environ[name] for name in CHOICES if name in os.environ}})

    def _places(self) -> Places:
        return Places(
            ports=self.ports,
            paths={
                "/run/secrets": self.secrets,
                "/var/lib/recsys": self.home,
                "/etc/recsys/recsys.yaml": self.shop.config,
                "/opt/recsys": DEPLOY,
            },
        )


def driver_of(folder: Path) -> Begun | None:
    """The process that drives the stack of a folder; None where no stack runs."""
    file = folder / STATE
    if not file.exists():
        return None
    driver = Begun(**json.loads(file.read_text(encoding="utf-8"))["driver"])
    return driver if begun(driver.pid) == driver else None


def chosen_ports(asked: Sequence[str]) -> dict[str, int]:
    """The port of each service.

    Args:
        asked: As `service=port`; port 0 is any that is free.

    Raises:
        PortError: There is no such service, or the port is taken.
    """
    ports = dict(PORTS)
    for one in asked:
        name, _, port = one.partition("=")
        if name not in ports or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the last port
            raise PortError(f"--port {one}: write it like api=8000, with one of {', '.join(ports)}")
        ports[name] = int(port)
    return {name: _free(name, port) for name, port in ports.items()}


def _free(name: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the services do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortError(
                f"port {port}, for {name}, cannot be used ({error.strerror}); give another with --port {name}=PORT "
                f'(`make stack OPTIONS="--port {name}=0"` takes any that is free)'
            ) from error
        found: int = probe.getsockname()[1]
        return found
