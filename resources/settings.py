"""Addresses and places, read from the environment once. What a platform owner edits is `recsys.yaml`, not this."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

EngineName = Literal["polars", "spark"]
SLACK_API_URL = "https://slack.com/api/"
ENGINES: tuple[EngineName, ...] = ("polars", "spark")


class SettingsError(Exception):
    """An environment variable cannot be used; the message names it and says what would be right."""


@dataclass(frozen=True)
class Settings:
    """Where this installation keeps and finds its things.

    Attributes:
        home: Folder for everything embedded: lake, registry, online store, Dagster's history.
        lake: Root of the Delta tables, a folder or `s3://bucket/prefix`.
        landing: Where the shop drops its files, a folder or `s3://bucket/prefix`.
        has_redis_url: Whether an online store is given; if not, an embedded server is used.
        has_tracking_uri: Whether an MLflow server is given; if not, SQLite under `home` is used.
        has_slack_token: Whether reports go to Slack; if not, they go to the log and to files under `home`.
        slack_api_url: Where Slack's Web API is.
        engine: What computes features.
        config: The `recsys.yaml` to read; None stands for the bundled e-book store.
    """

    home: Path
    lake: str
    landing: str
    has_redis_url: bool = False
    has_tracking_uri: bool = False
    has_slack_token: bool = False
    slack_api_url: str = SLACK_API_URL
    engine: EngineName = "polars"
    config: Path | None = None

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
        if engine == "spark" and lake.startswith("s3://"):
            raise SettingsError("RECSYS_ENGINE=spark reads a lake on a file system only; use polars with an s3:// lake")
        return cls(
            home=home,
            lake=lake,
            landing=_place(env.get("RECSYS_LANDING") or str(home / "landing")),
            has_redis_url=bool(env.get("RECSYS_REDIS_URL")),
            has_tracking_uri=bool(env.get("MLFLOW_TRACKING_URI")),
            has_slack_token=bool(env.get("SLACK_TOKEN", "").strip()),
            slack_api_url=slack_api_url,
            engine=next(name for name in ENGINES if name == engine),
            config=Path(env["RECSYS_CONFIG"]).absolute() if env.get("RECSYS_CONFIG") else None,
        )


def _place(text: str) -> str:
    return text.rstrip("/") if text.startswith("s3://") else str(Path(text).absolute())
