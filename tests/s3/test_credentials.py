"""Whose keys reach S3: those of the variables, else those that boto finds in its files; they are shown nowhere."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import Column, Table
from resources import s3
from resources.lake import DeltaLake

DAY = date(2026, 1, 1)
SALES = Table(
    ("shop", "sales"), "What was sold.", (Column("ds", pl.Date, "the day"), Column("pieces", pl.Int64, "how many"))
)
FILE = """\
[default]
aws_access_key_id = of-the-file
aws_secret_access_key = very-secret
[shop]
aws_access_key_id = of-the-profile
aws_secret_access_key = very-secret
aws_session_token = for-an-hour
"""


@pytest.fixture
def without_variables(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The root of a lake in a bucket, and keys that stand in boto's file alone."""
    (tmp_path / "credentials").write_text(FILE, encoding="utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return f"s3://{bucket.name}/lake"


def test_the_keys_of_the_variables_are_left_to_the_client(bucket: Any) -> None:
    assert bucket.name
    assert s3.credentials() == {}


def test_the_lake_opens_with_keys_that_only_boto_finds_and_says_them_nowhere(
    without_variables: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lake = DeltaLake(root=without_variables)
    lake.replace(SALES, pl.DataFrame({"ds": [DAY], "pieces": [3]}), (DAY, DAY))
    assert lake.scan(SALES).collect()["pieces"].to_list() == [3]
    assert [table.name for table in lake.found()] == [SALES.name]
    assert s3.credentials()["access_key_id"] == "of-the-file"
    assert not {"access_key_id", "secret_access_key"} & lake.addresses.keys()
    assert "very-secret" not in f"{caplog.text} {lake!r} {lake.addresses}"


@pytest.mark.usefixtures("without_variables")
def test_a_profile_decides_which_keys_and_what_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile shop]\nregion = eu-central-1\n", encoding="utf-8")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "shop")
    assert s3.credentials() == {
        "access_key_id": "of-the-profile",
        "secret_access_key": "very-secret",
        "session_token": "for-an-hour",
    }
    assert s3.addresses()["region"] == "eu-central-1"
