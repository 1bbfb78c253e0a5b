"""The one place that builds the resources from the settings."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from resources import s3
from resources.dashboard_folder import DashboardFolder
from resources.engine import GROUPS, EnginePerGroup, Engines, Group, PolarsEngine
from resources.lake import DeltaLake
from resources.landing import Landing, LocalLanding
from resources.model_registry import ModelRegistry
from resources.notifier import Notifier
from resources.online_store import OnlineStore
from resources.settings import EngineName, Settings
from resources.spark_jobs import SparkJobs


def build_resources(settings: Settings, engines: Mapping[Group, EngineName] | None = None) -> dict[str, Any]:
    """Build every resource of the graph.

    Secrets are handed over as `EnvVar`, so that they are read when they are used and never shown.

    Args:
        settings: Addresses and places.
        engines: Group to its engine, as far as it is not the one of the settings.

    Returns:
        Resource name to resource.
    """
    return {
        "lake": DeltaLake(root=settings.lake),
        "landing": build_landing(settings),
        "engine": build_engines(settings, engines or {}),
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
        **build_spark_jobs(settings, engines or {}),
    }


def build_landing(settings: Settings) -> Landing:
    """The landing: a folder, or an S3 prefix through dagster-aws."""
    if not settings.landing.startswith("s3://"):
        return LocalLanding(root=settings.landing)
    from dagster_aws.s3 import S3Resource

    from resources.landing import S3Landing

    bucket, _, prefix = settings.landing.removeprefix("s3://").partition("/")
    client = S3Resource(endpoint_url=s3.endpoint_url(), region_name=s3.region(), max_attempts=s3.attempts(5))
    return S3Landing(bucket=bucket, prefix=f"{prefix}/" if prefix else "", s3=client)


def build_engines(settings: Settings, engines: Mapping[Group, EngineName]) -> Engines:
    """The engine of each group; where Spark jobs run elsewhere, this machine is left with Polars."""
    if settings.emr is not None:
        return PolarsEngine()
    return EnginePerGroup(names={str(group): engines.get(group, settings.engine) for group in GROUPS})


def build_spark_jobs(settings: Settings, engines: Mapping[Group, EngineName]) -> dict[str, SparkJobs]:
    """The place of Spark jobs, under its resource name, if there is one.

    Raises:
        SettingsError: No group is computed on Spark, or one needs an MLflow server that jobs can reach.
    """
    if settings.emr is None:
        return {}
    from resources.emr_serverless import EmrServerless

    groups: list[str] = [group for group in GROUPS if engines.get(group, settings.engine) == "spark"]
    return {"spark_jobs": EmrServerless.of(settings.emr, groups, settings)}


def build_model_registry(settings: Settings) -> ModelRegistry:
    """MLflow: the server that the environment names, or SQLite under the home, and artifacts where they should be."""
    locks, folder = str(settings.home / "locks"), settings.home / "mlflow"
    if settings.has_tracking_uri:
        return ModelRegistry(tracking_uri=dg.EnvVar("MLFLOW_TRACKING_URI"), lock_folder=locks)
    return ModelRegistry(
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        artifact_root=settings.artifacts or str(folder / "artifacts"),
        lock_folder=locks,
    )
