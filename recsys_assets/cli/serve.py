"""`recsys serve`: the API and the pages of this installation, until it is told to stop.

Each worker is a process that builds the application anew from the environment, so secrets are handed to nobody. On
SIGTERM a worker takes no new connections, answers what has begun, and writes what is still to be written.
"""

import os
import sys
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from recsys_assets.api.app import build_app
from recsys_assets.api.keys import KEYS, KEYS_FILE, ApiKeys, is_loopback
from recsys_assets.api.metrics import MULTIPROCESS_FOLDER
from recsys_assets.api.routes_dashboard import build_dashboard_routes
from recsys_assets.api.services import Dependencies
from recsys_assets.cli.installation import Installation
from recsys_assets.definitions import allow_known_warnings
from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.pages import build_router
from resources.engine import PolarsEngine
from resources.online_store import OnlineStore
from resources.settings import SettingsError

LOGS_SERVED = "RECSYS_LOG_SERVED"
STORE_SECONDS = 0.5
"""How long a request waits for the online store."""
SWITCH_SECONDS = 0.0005
"""How soon stored lists get their turn while others are being ranked; Python's own 5 ms are longer than they take."""
DRAIN_SECONDS = 30
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "recsys_assets": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
"""No log of requests: their addresses name users. `/metrics` counts them."""


def serve_command(host: str, port: int, workers: int, *, is_open: bool, logs_served: bool) -> None:
    """Serve until stopped.

    Raises:
        SettingsError: Other machines could ask, and no key is configured.
    """
    Installation.from_env()  # so that what is wrong with the configuration is told once, and here
    if ApiKeys.from_env(os.environ).is_open and not is_loopback(host) and not is_open:
        raise SettingsError(
            f"--host {host} can be reached from other machines, and no key is configured; set {KEYS} or {KEYS_FILE}, "
            "or say --open where something else keeps strangers out"
        )
    os.environ[LOGS_SERVED] = str(int(logs_served))
    with TemporaryDirectory(prefix="recsys-metrics-") as folder:
        if workers > 1:
            os.environ[MULTIPROCESS_FOLDER] = folder
        uvicorn.run(
            f"{__name__}:application",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="httptools",
            access_log=False,
            server_header=False,
            log_config=LOGGING,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )


def application() -> FastAPI:
    """The application of the installation that the environment describes."""
    allow_known_warnings()
    sys.setswitchinterval(SWITCH_SECONDS)
    threadpool_limits(1)  # lists are ranked beside each other; threads within one would only wait for each other
    installation = Installation.from_env()
    store = FeatureStore(installation.platform, installation.lake, PolarsEngine())
    online_store = installation.online_store
    impatient = OnlineStore(url=online_store.url, folder=online_store.folder, timeout_seconds=STORE_SECONDS, retries=1)
    given = Dependencies(
        store=store,
        registry=installation.model_registry,
        landing=installation.landing,
        connect=impatient.connect,
        events=installation.settings.home / "events",
        logs_served=os.environ.get(LOGS_SERVED, "1") == "1",
    )
    pages = build_router(store, installation.model_registry, online_store.connect)
    dashboard = build_dashboard_routes(installation.dashboard_folder)
    return build_app(given, ApiKeys.from_env(os.environ), [pages, dashboard])
