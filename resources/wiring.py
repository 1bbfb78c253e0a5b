"""The one place that builds the resources from the settings."""

import os
from typing import Any

import dagster as dg

from resources.dashboard_folder import DashboardFolder
from resources.engine import Engine, PolarsEngine
from resources.lake import DeltaLake
from resources.landing import Landing, LocalLanding
from resources.model_registry import ModelRegistry
from resources.notifier import Notifier
from resources.online_store import OnlineStore
from resources.settings import Settings

SPARK_SETTINGS = {
    "spark.app.name": "recsys",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
}


def build_resources(settings: Settings) -> dict[str, Any]:
    """Build every resource of the graph.

    Secrets are handed over as `EnvVar`, so that they are read when they are used and never shown.

    Args:
        settings: Addresses and places.

    Returns:
        Resource name to resource.
    """
    return {
        "lake": DeltaLake(root=settings.lake),
        "landing": build_landing(settings),
        "engine": build_engine(settings),
        "model_registry": build_model_registry(settings),
        "online_store": OnlineStore(
            url=dg.EnvVar("RECSYS_REDIS_URL") if settings.has_redis_url else "",
            folder=str(settings.home / "valkey"),
        ),
        "dashboard_folder": DashboardFolder(folder=str(settings.home / "dashboard")),
        "notifier": Notifier(
            token=dg.EnvVar("SLACK_TOKEN") if settings.has_slack_token else "",
            api_url=settings.slack_api_url,
            folder=str(settings.home / "reports"),
        ),
    }


def build_landing(settings: Settings) -> Landing:
    """The landing: a folder, or an S3 prefix through dagster-aws."""
    if not settings.landing.startswith("s3://"):
        return LocalLanding(root=settings.landing)
    from dagster_aws.s3 import S3Resource

    from resources.landing import S3Landing

    bucket, _, prefix = settings.landing.removeprefix("s3://").partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    return S3Landing(bucket=bucket, prefix=f"{prefix}/" if prefix else "", s3=S3Resource(endpoint_url=endpoint))


def build_engine(settings: Settings) -> Engine:
    """The engine: Polars, or Spark through dagster-pyspark."""
    if settings.engine == "polars":
        return PolarsEngine()
    from dagster_pyspark import PySparkResource

    from resources.engine import SparkEngine

    return SparkEngine(spark=PySparkResource(spark_config=SPARK_SETTINGS))


def build_model_registry(settings: Settings) -> ModelRegistry:
    """MLflow: the server that the environment names, or SQLite and files under the home."""
    locks, folder = str(settings.home / "locks"), settings.home / "mlflow"
    if settings.has_tracking_uri:
        return ModelRegistry(tracking_uri=dg.EnvVar("MLFLOW_TRACKING_URI"), lock_folder=locks)
    return ModelRegistry(
        tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"), lock_folder=locks
    )
