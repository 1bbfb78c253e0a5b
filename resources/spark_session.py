"""Spark's session, through dagster-pyspark: started when it is first used, and configured in Spark's own ways.

Whatever `$SPARK_CONF_DIR/spark-defaults.conf`, `PYSPARK_SUBMIT_ARGS` or `spark-submit` say stands; what is set here
only fills what they leave open. What runs on the session stays out.
"""

import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from dagster_pyspark import LazyPySparkResource
from dagster_pyspark.resources import spark_session_from_config

from resources.settings import SettingsError

REQUIRED = {"spark.sql.session.timeZone": "UTC"}
"""Moments are in UTC at rest, whatever the cluster's clocks say."""
DEFAULTS = {
    "spark.app.name": "recsys",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # The files of a table are looked up here, which is quicker than a job for it.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}
LOCAL = "local[*]"
LOCAL_DEFAULTS = {"spark.sql.shuffle.partitions": str(4 * (os.cpu_count() or 1))}
"""In one process, Spark's own 200 partitions cost more than they spread."""


class SparkSessionResource(LazyPySparkResource):
    """The session of this process."""

    spark_config: dict[str, Any] = DEFAULTS

    @property
    def spark_session(self) -> Any:
        """The session; the first use starts it.

        Raises:
            SettingsError: It does not start.
        """
        if self._spark_session is None:
            start: Any = spark_session_from_config
            self._spark_session = start(_settings(self.spark_config))
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        return self._spark_session

    @property
    def spark_context(self) -> Any:
        """The context of the session."""
        return self.spark_session.sparkContext


def _settings(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What the session is started with, beside what is configured."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    if SparkSession.getActiveSession() is not None:
        return dict(REQUIRED)
    is_known = "PYSPARK_PYTHON" in os.environ
    try:
        SparkContext._ensure_initialized()  # noqa: SLF001 - starts Java, which reads what is configured
    except (PySparkRuntimeError, OSError) as error:
        raise SettingsError(
            "Spark does not start: it needs Java 17 (JAVA_HOME, or java on the PATH), and settings that it can read "
            "in $SPARK_CONF_DIR/spark-defaults.conf and PYSPARK_SUBMIT_ARGS; what it says stands above"
        ) from error
    configured = SparkConf()
    is_local = configured.get("spark.master", LOCAL).startswith("local")
    if is_local and not is_known:
        os.environ["PYSPARK_PYTHON"] = sys.executable  # the tasks need the libraries of this very environment
    wanted = {**defaults, **(LOCAL_DEFAULTS if is_local else {})}
    open_ones = {name: value for name, value in wanted.items() if not configured.contains(name)}
    return open_ones | REQUIRED
