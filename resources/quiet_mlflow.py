"""Using MLflow without what it says to others than us: telemetry, progress bars, and warnings about its own parts.

What MLflow is used for stays out. Its import takes seconds, so it is imported where it is used, inside this context.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # By default a server that is gone is asked for minutes before anybody is told.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # By default a model is stored with the project files of whatever folder the command was started in.
    "MLFLOW_UV_AUTO_DETECT": "false",
}
NOISY_LOGGERS = ("alembic", "mlflow", "mlflow.store.db.utils")
"""They tell of every table that they create."""


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Import and call MLflow inside; what the environment sets for it already, stays."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401 - it sets the levels of its loggers when it is imported

        for noisy in NOISY_LOGGERS:
            logging.getLogger(noisy).setLevel(logging.ERROR)
        yield
