"""One installation, opened: its settings, configuration, resources and its persistent Dagster instance."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg
import yaml
from filelock import FileLock, Timeout

from recsys_assets.definitions import build_definitions, configured_platform
from recsys_assets.platform import Platform
from resources import s3
from resources.dashboard_folder import DashboardFolder
from resources.engine import Engine, Engines
from resources.lake import DeltaLake
from resources.landing import Landing
from resources.model_registry import ModelRegistry
from resources.notifier import Notifier
from resources.online_store import OnlineStore
from resources.settings import Settings
from resources.wiring import build_resources

DAEMON_SILENCE_SECONDS = 60.0
"""A daemon reports every 30 seconds; one that has been silent for twice as long is gone."""
DAGSTER_YAML = """\
telemetry:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:  # by run: nothing is claimed step by step that a killed run could keep
    granularity: run
    default_limit: 1
run_monitoring:  # a run whose process is gone would keep its partition waiting for ever
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: 43200
"""


COMPUTE_LOGS = "# From here on as RECSYS_COMPUTE_LOGS says it, written anew by recsys."
"""What stands above this line in `dagster.yaml` belongs to people."""


class BusyError(Exception):
    """Something else is driving this installation."""


@dataclass(frozen=True)
class Installation:
    """Everything that a command may need, opened when it is first asked for.

    Attributes:
        settings: Addresses and places.
        platform: The configuration.
    """

    settings: Settings
    platform: Platform

    @classmethod
    def from_env(cls) -> "Installation":
        """The installation that the environment describes."""
        settings = Settings.from_env()
        return cls(settings, configured_platform(settings))

    @cached_property
    def resources(self) -> dict[str, Any]:
        """Resource name to resource, with secrets still unread."""
        return build_resources(self.settings, self.platform.engine)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The persistent Dagster instance; `recsys dev` shows what it remembers."""
        return dg.DagsterInstance.from_config(self.prepare_dagster_home())

    def prepare_dagster_home(self) -> str:
        """Make Dagster's folder, with a `dagster.yaml` that people may edit."""
        home = self.settings.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        file = home / "dagster.yaml"
        before = file.read_text(encoding="utf-8") if file.exists() else DAGSTER_YAML
        wanted = before.partition(COMPUTE_LOGS)[0] + compute_logs_yaml(self.settings)
        if not file.exists() or wanted != before:
            file.write_text(wanted, encoding="utf-8")
        return str(home)

    def definitions(self, loggers: Mapping[str, dg.LoggerDefinition] | None = None) -> dg.Definitions:
        """The graph, with other loggers where a command draws its own progress."""
        return build_definitions(self.platform, self.resources, loggers)

    @cached_property
    def lake(self) -> DeltaLake:
        """The lake."""
        lake: DeltaLake = self._ready("lake")
        return lake

    @cached_property
    def landing(self) -> Landing:
        """The landing."""
        landing: Landing = self._ready("landing")
        return landing

    @cached_property
    def engine(self) -> Engine:
        """What computes features."""
        engines: Engines = self._ready("engine")
        return engines.of("features")

    @cached_property
    def model_registry(self) -> ModelRegistry:
        """The model registry.

        Raises:
            RegistryError: A tracking server is configured and does not answer.
        """
        registry: ModelRegistry = self._ready("model_registry")
        registry.check()
        return registry

    @cached_property
    def dashboard_folder(self) -> DashboardFolder:
        """The folder of the dashboard's pages."""
        folder: DashboardFolder = self._ready("dashboard_folder")
        return folder

    @cached_property
    def online_store(self) -> OnlineStore:
        """The connection to the online store."""
        store: OnlineStore = self._ready("online_store")
        return store

    @cached_property
    def notifier(self) -> Notifier:
        """Where reports go."""
        notifier: Notifier = self._ready("notifier")
        return notifier

    def _ready(self, name: str) -> Any:
        """A resource with its environment variables read, as an asset would get it."""
        with self.resources[name].process_config_and_initialize_cm() as resource:  # one may be made of others
            return resource  # none of them is torn down

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Be the only one who starts runs here.

        Raises:
            BusyError: Another command, or a Dagster daemon, starts runs in this home.
        """
        self.settings.home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.settings.home / "drive.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(
                f"another recsys command drives {self.settings.home}: a `recsys run`, or a `recsys dev`, which starts "
                "what is due by itself; wait until it ends, or stop it"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def refuse_live_daemon(self) -> None:
        """Make sure that no daemon starts runs in this home.

        Raises:
            BusyError: One does.
        """
        heartbeats = self.instance.get_daemon_heartbeats().values()
        if any(time.time() - heartbeat.timestamp < DAEMON_SILENCE_SECONDS for heartbeat in heartbeats):
            raise BusyError(
                f"a Dagster daemon is live on {self.settings.home} and starts the runs by itself; "
                f"stop it and wait {DAEMON_SILENCE_SECONDS:.0f} seconds, or let it work"
            )


def compute_logs_yaml(settings: Settings) -> str:
    """The end of `dagster.yaml`: where what the steps of runs print is kept, if not in the home.

    Addresses only: keys are found by boto's usual chain.
    """
    if not settings.compute_logs:
        return ""
    bucket, _, prefix = settings.compute_logs.removeprefix("s3://").partition("/")
    said = {"prefix": prefix, "endpoint_url": s3.endpoint_url(), "region": s3.region()}
    config = {"bucket": bucket, "local_dir": str(settings.dagster_home / "compute_logs")}
    manager = {
        "module": "dagster_aws.s3.compute_log_manager",
        "class": "S3ComputeLogManager",
        "config": config | {name: value for name, value in said.items() if value},
    }
    return f"{COMPUTE_LOGS}\n{yaml.safe_dump({'compute_logs': manager}, sort_keys=False)}"
