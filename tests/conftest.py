"""Real services for the tests, each started once, and a tiny shop to test with."""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import redis

from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Interactions
from recsys_assets.platform import Platform
from resources import embedded_valkey
from resources.engine import SparkEngine
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore
from resources.settings import Settings
from resources.wiring import build_engine


@pytest.fixture(scope="session")
def tiny_platform() -> Platform:
    """An e-book store whose files have our own column names; every rule is switched on."""
    files = {"events": "csv", "items": "csv", "users": "jsonl", "user_blocks": "jsonl"}
    columns = {
        "events": ("user_id", "item_id", "occurred_at", "quantity", "unit_price"),
        "items": ("item_id", "title", "creator", "category", "released_on", "withdrawn_on", "is_adult"),
        "users": ("user_id", "is_adult_verified", "is_test"),
        "user_blocks": ("user_id", "target", "target_id", "is_blocked", "changed_at"),
    }
    sources: dict[str, dict[str, Any]] = {
        table: {
            "path": f"{table}/{{date}}.{suffix}",
            "format": suffix,
            "columns": dict(zip(columns[table], columns[table], strict=True)),
        }
        for table, suffix in files.items()
    }
    sources["events"]["event_type"] = {"column": "event_type"}
    return Platform.model_validate(
        {
            "first_day": date(2026, 1, 1),
            "sources": sources,
            "rules": {"bots": {"max_events_per_day": 5}},
            "event_weights": {"view": 0.1, "purchase": 1.0},
            "families": {"popularity": {"window_days": 30, "weight": 0}},
        }
    )


Release = Callable[[Family, date, Path], None]


@pytest.fixture(scope="session")
def tiny_release() -> Release:
    """Writes a release of a family for a slot, fitted on what two users did, into a new folder."""

    def write(family: Family, slot: date, folder: Path) -> None:
        yesterday = slot - timedelta(days=1)
        rows = [("ann", "a", yesterday, 1.0), ("ann", "b", yesterday, 1.0), ("bob", "b", yesterday, 1.0)]
        known = Interactions(pl.DataFrame(rows, HISTORY_SCHEMA, orient="row"), yesterday)
        model = family.fit(known, family.parameters(), 0)
        folder.mkdir()
        save(Artifact(model, Provenance(slot, yesterday, 0, 3, "abc", "1.0")), family, folder)

    return write


@pytest.fixture(scope="session")
def valkey_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running embedded server."""
    folder = tmp_path_factory.mktemp("valkey")
    embedded_valkey.ensure_running(folder)
    yield folder
    embedded_valkey.stop(folder)


@pytest.fixture
def valkey(valkey_folder: Path) -> Iterator[redis.Redis]:
    """A client of an empty embedded server."""
    with OnlineStore(folder=str(valkey_folder)).connect() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new bucket (boto3's Bucket) on that server, which the environment names as it would name Amazon's."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket(f"shop-{uuid.uuid4().hex}")
    bucket.create()
    yield bucket
    bucket.meta.client.close()


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[SparkEngine]:
    """The engine on Spark, as the wiring builds it; every other one of this test session shares its Spark session."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join(
        [
            "--master local[2]",
            "--driver-java-options -XX:TieredStopAtLevel=1",  # the queries are too short to be optimized
            "--conf spark.sql.codegen.wholeStage=false",
            "--conf spark.sql.codegen.factoryMode=NO_CODEGEN",  # compiling takes longer than interpreting so few rows
            "--conf spark.sql.adaptive.enabled=false",
            "pyspark-shell",
        ]
    )
    engine = build_engine(Settings(home=Path(), lake="", landing="", engine="spark"))
    with dg.build_resources({"engine": engine}) as resources:
        yield resources.engine
        resources.engine.spark.spark_session.stop()


# --- The model registry: its first use costs seconds, so there is one, and every test has families of its own. ---


@pytest.fixture(scope="session")
def model_registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    """MLflow on SQLite and local files."""
    folder = tmp_path_factory.mktemp("mlflow")
    return ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))


@pytest.fixture
def family() -> str:
    """The name of a family that no other test has registered."""
    return f"family_{uuid.uuid4().hex}"
