"""Addresses and places, read from the environment once. What a platform owner edits is `recsys.yaml`, not this."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

EngineName = Literal["polars", "spark"]
SLACK_API_URL = "https://slack.com/api/"
ENGINES: tuple[EngineName, ...] = ("polars", "spark")

EMR_VARIABLES = {
    "RECSYS_EMR_APPLICATION_ID": (r"[0-9a-z]{1,64}", "the id of an application, such as 00f1abcdefghij2k"),
    "RECSYS_EMR_EXECUTION_ROLE_ARN": (r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+", "arn:aws:iam::123456789012:role/name"),
    "RECSYS_EMR_BUNDLE": (r"s3://[^/\s]+(/[^\s#,]*)?", "s3://bucket/prefix, where `make spark-bundle` was copied to"),
}
"""What EMR Serverless needs: how each must look, as a pattern and in words."""


class SettingsError(Exception):
    """An environment variable cannot be used; the message names it and says what would be right."""


@dataclass(frozen=True)
class EmrSettings:
    """Where the Spark groups are computed instead of on this machine.

    Attributes:
        application_id: The application of EMR Serverless.
        role_arn: The role of its jobs.
        bundle: `s3://bucket/prefix` under which the bundles, the messages and the logs are.
        spark_parameters: More parameters of `spark-submit`.
        tracking_uri: The MLflow server, for jobs that train or rank; empty without one.
    """

    application_id: str
    role_arn: str
    bundle: str
    spark_parameters: str = ""
    tracking_uri: str = ""


@dataclass(frozen=True)
class Settings:
    """Where this installation keeps and finds its things.

    Attributes:
        home: Folder for everything embedded: lake, registry, online store, Dagster's history.
        lake: Root of the Delta tables, a folder or `s3://bucket/prefix`.
        landing: Where the shop drops its files, a folder or `s3://bucket/prefix`.
        artifacts: Where models are kept while MLflow is no server, a folder or `s3://bucket/prefix`; empty: in `home`.
        compute_logs: `s3://bucket/prefix` for what the steps of runs print; empty: in `home`.
        has_redis_url: Whether an online store is given; if not, an embedded server is used.
        has_tracking_uri: Whether an MLflow server is given; if not, SQLite under `home` is used.
        has_slack_token: Whether reports go to Slack; if not, they go to the log and to files under `home`.
        slack_api_url: Where Slack's Web API is.
        engine: What computes the groups that `recsys.yaml` names no engine for.
        config: The `recsys.yaml` to read; None stands for the bundled e-book store.
        emr: EMR Serverless, if Spark groups are computed there.
    """

    home: Path
    lake: str
    landing: str
    artifacts: str = ""
    compute_logs: str = ""
    has_redis_url: bool = False
    has_tracking_uri: bool = False
    has_slack_token: bool = False
    slack_api_url: str = SLACK_API_URL
    engine: EngineName = "polars"
    config: Path | None = None
    emr: EmrSettings | None = None

    @property
    def dagster_home(self) -> Path:
        """The folder of the persistent Dagster instance."""
        return self.home / "dagster"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Args:
            env: The environment.

        Raises:
            SettingsError: A variable has a value that cannot be used.
        """
        home = Path(env.get("RECSYS_HOME") or ".recsys").absolute()
        engine = env.get("RECSYS_ENGINE") or "polars"
        if engine not in ENGINES:
            raise SettingsError(f"RECSYS_ENGINE is {engine!r}; use one of {', '.join(ENGINES)}")
        slack_api_url = env.get("SLACK_API_URL") or SLACK_API_URL
        if not slack_api_url.startswith(("http://", "https://")):
            raise SettingsError(f"SLACK_API_URL is {slack_api_url!r}; write it like {SLACK_API_URL}, or unset it")
        lake = _place(env.get("RECSYS_LAKE") or str(home / "lake"))
        if quote(lake, safe="/:") != lake:
            raise SettingsError(
                f"the lake would lie in {lake!r}, whose name Delta's libraries cannot read; set RECSYS_LAKE (or "
                "RECSYS_HOME) to a place named with letters, digits and any of _ . - ~ only"
            )
        return cls(
            home=home,
            lake=lake,
            landing=_place(env.get("RECSYS_LANDING") or str(home / "landing")),
            artifacts=_place(env["RECSYS_ARTIFACTS"]) if env.get("RECSYS_ARTIFACTS") else "",
            compute_logs=_compute_logs(env.get("RECSYS_COMPUTE_LOGS") or ""),
            has_redis_url=bool(env.get("RECSYS_REDIS_URL")),
            has_tracking_uri=bool(env.get("MLFLOW_TRACKING_URI")),
            has_slack_token=bool(env.get("SLACK_TOKEN", "").strip()),
            slack_api_url=slack_api_url,
            engine=next(name for name in ENGINES if name == engine),
            config=Path(env["RECSYS_CONFIG"]).absolute() if env.get("RECSYS_CONFIG") else None,
            emr=_emr(env),
        )


def _place(text: str) -> str:
    return text.rstrip("/") if text.startswith("s3://") else str(Path(text).absolute())


def _compute_logs(text: str) -> str:
    """An `s3://` place, or none.

    Raises:
        SettingsError: It is another place.
    """
    if text and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[\w./=-]*)?", text):
        raise SettingsError(
            f"RECSYS_COMPUTE_LOGS is {text!r}; write s3://bucket/prefix, or unset it to keep them in RECSYS_HOME"
        )
    return text.rstrip("/")


def _emr(env: Mapping[str, str]) -> EmrSettings | None:
    """EMR Serverless, once any of its variables is set.

    Raises:
        SettingsError: One is missing or malformed, or the jobs could not reach what they read and write.
    """
    values = {name: (env.get(name) or "").strip().rstrip("/") for name in EMR_VARIABLES}
    if not any(values.values()):
        return None
    for name, (pattern, words) in EMR_VARIABLES.items():
        if not re.fullmatch(pattern, values[name]):
            given = f"is {values[name]!r}" if values[name] else "is missing"
            raise SettingsError(f"{name} {given}; write {words} (EMR Serverless needs {', '.join(EMR_VARIABLES)})")
    for name in ("RECSYS_LAKE", "RECSYS_LANDING"):
        if not (env.get(name) or "").startswith("s3://"):
            raise SettingsError(f"{name} must be s3://bucket/prefix with EMR Serverless: its jobs see no local folder")
    tracking = env.get("MLFLOW_TRACKING_URI") or ""
    if urlsplit(tracking).password is not None:
        raise SettingsError(
            "MLFLOW_TRACKING_URI holds a password, which everybody who may look at a job would see; leave it out, and "
            "give it to jobs as docs/emr_serverless.md says under Secrets"
        )
    application, role, bundle = values.values()
    return EmrSettings(application, role, bundle, (env.get("RECSYS_EMR_SPARK_PARAMETERS") or "").strip(), tracking)
