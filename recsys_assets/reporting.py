"""The part of `recsys.yaml` that says whom things concern, and where they are told of.

Only declarations and their checks belong here: `monitoring` makes the messages, `sensors.telling` tells them.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from recsys_assets.mapping import Declared

DEFAULT_OWNER = "team:recommendations"
OWNER = re.compile(r"team:[\w .-]+|[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")
ADDRESS = re.compile(r"https?://[^\s/@]+(/[^\s@]*)?")


def _named(owner: str) -> str:
    if not OWNER.fullmatch(owner):
        raise ValueError(f"write it like {DEFAULT_OWNER}, or as an e-mail address")
    return owner


Owner = Annotated[str, AfterValidator(_named)]
"""Whom something concerns, as Dagster knows owners."""


class Reports(Declared):
    """Where reports on versions, guardrails and failed runs go, and what they link to."""

    channel: str = Field(
        "#recommendations",
        pattern=r"^\S+$",
        description="Slack channel, by name or id; SLACK_TOKEN in the environment switches it on",
    )
    dagster_url: str = Field("http://localhost:3000", description="where people open the Dagster UI")
    mlflow_url: str | None = Field(
        None, description="where people open MLflow; default: the address of the MLflow server, if there is one"
    )

    @field_validator("dagster_url", "mlflow_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not ADDRESS.fullmatch(url):
            raise ValueError("write it like https://dagster.example.com, without a user or password")
        return None if url is None else url.rstrip("/")
