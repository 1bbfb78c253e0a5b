"""Whom things concern, and where they are told of: what would lead nowhere is refused with what would be right."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from recsys_assets.definitions import build_definitions
from recsys_assets.platform import Platform
from recsys_assets.reporting import Owner, Reports
from resources.settings import Settings, SettingsError
from resources.wiring import build_resources


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"channel": "two words"}, "channel"),
        ({"channel": ""}, "channel"),
        ({"dagster_url": "dagster.example.com"}, "write it like https://dagster.example.com"),
        ({"dagster_url": "https://me:secret@dagster.example.com"}, "without a user or password"),
        ({"mlflow_url": "file:///mlflow"}, "write it like https://dagster.example.com"),
        ({"chanel": "#shop"}, "Extra inputs"),
    ],
)
def test_a_report_that_would_lead_nowhere_is_refused(wrong: dict[str, Any], right: str) -> None:
    with pytest.raises(ValidationError, match=right):
        Reports.model_validate(wrong)


def test_an_address_loses_the_slash_that_links_bring_themselves() -> None:
    assert Reports(dagster_url="https://shop.example.com/dagster/").dagster_url == "https://shop.example.com/dagster"


@pytest.mark.parametrize("owner", ["recommendations", "team:", "@shop", "me@shop", "team:a\nb", ""])
def test_an_owner_that_dagster_does_not_know_is_refused(owner: str) -> None:
    with pytest.raises(ValidationError, match="write it like team:recommendations"):
        TypeAdapter(Owner).validate_python(owner)


@given(st.from_regex(r"team:[\w .-]+|[\w.%+-]+@[\w.-]+\.[A-Za-z]{2,7}", fullmatch=True) | st.emails())
def test_whoever_is_accepted_as_owner_can_own_an_asset(owner: str) -> None:
    try:
        accepted = TypeAdapter(Owner).validate_python(owner)
    except ValidationError:
        return
    dg.AssetSpec("table", owners=[accepted])


def test_every_asset_has_the_configured_owner(tiny_platform: Platform) -> None:
    settings = Settings(home=Path("home"), lake="lake", landing="landing")
    platform = tiny_platform.model_copy(update={"owner": "shop@example.com"})
    graph = build_definitions(platform, build_resources(settings)).resolve_asset_graph()
    assert {tuple(node.owners) for node in graph.asset_nodes} == {("shop@example.com",)}


def test_a_token_is_read_where_it_is_used_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-1-of-nobody")
    settings = Settings.from_env({"SLACK_TOKEN": "xoxb-1-of-nobody", "RECSYS_HOME": "/data"})
    resource = build_resources(settings)["notifier"]
    assert "xoxb" not in repr(settings) + repr(resource) + str(resource.model_dump())
    assert resource.process_config_and_initialize().token == "xoxb-1-of-nobody"  # noqa: S105 - of nobody


@pytest.mark.parametrize("token", ["", "  "])
def test_no_token_means_no_slack(token: str) -> None:
    assert not Settings.from_env({"SLACK_TOKEN": token, "RECSYS_HOME": "/data"}).has_slack_token


def test_an_address_of_slack_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="SLACK_API_URL is 'slack'; write it like https://"):
        Settings.from_env({"SLACK_API_URL": "slack", "RECSYS_HOME": "/data"})
