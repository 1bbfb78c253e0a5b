"""On Spark, rows never come to the driver: it gets by with little memory, however large the tables are."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from recsys_assets.columns import (
    EVENTS,
    EXCLUSIONS,
    INTERACTIONS,
    PAIR_TOTALS,
    PURCHASE_SEQUENCE,
    TRAINING_SET,
    recommendations_table,
)
from recsys_assets.platform import Platform
from resources.lake import DeltaLake

SCRIPT = Path(__file__).with_name("small_driver.py")
FIRST, SLOT = date(2026, 1, 5), date(2026, 1, 16)
LAST = SLOT - timedelta(days=1)
DAILY_EVENTS = 1_000
ID_LENGTH = 2_000
RESULTS_MIB = 4
DRIVER_MIB = 64


@pytest.fixture(scope="module")
def folder(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with few rows, each of which takes much room."""
    folder = tmp_path_factory.mktemp("shop")
    random = np.random.default_rng(7)
    (folder / "landing" / "events").mkdir(parents=True)
    for number in range((SLOT - FIRST).days):
        day = FIRST + timedelta(days=number)
        users, items = (random.integers(0, many, DAILY_EVENTS) for many in (800, 400))
        events = pl.DataFrame({"user_id": users, "item_id": items}).select(
            pl.col("user_id", "item_id").cast(pl.String).str.pad_start(ID_LENGTH, "i"),
            event_type=pl.lit("purchase"),
            occurred_at=pl.lit(f"{day} 12:00"),
            quantity=pl.lit(1),
            unit_price=pl.lit(2.5),
        )
        events.write_csv(folder / "landing" / "events" / f"{day}.csv")
    content = tiny_platform.model_dump(mode="json", exclude_unset=True, by_alias=True, exclude={"sources"})
    sources = {"events": tiny_platform.sources["events"].model_dump(mode="json", exclude_unset=True, by_alias=True)}
    training = {"train_days": 10, "holdout_days": 2, "min_history_days": 5}
    als = {"parameters": {"factors": 4, "iterations": 2, "regularization": 0.1}}
    shop = content | {"first_day": str(FIRST), "sources": sources, "training": training}
    shop |= {"families": content["families"] | {"als": als}, "recommendations": {"list_length": 20}}
    (folder / "recsys.yaml").write_text(yaml.safe_dump(shop))
    return folder


@pytest.fixture(scope="module")
def outcome(folder: Path) -> dict[str, Any]:
    """What the process says that has computed everything; Spark is set up as its own users do it."""
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(
        f"spark.master local[2]\nspark.driver.maxResultSize {RESULTS_MIB}m\nspark.app.name ours\n"
        "spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1\nspark.sql.codegen.wholeStage false\n"
        "spark.sql.codegen.factoryMode NO_CODEGEN\nspark.sql.adaptive.enabled false\nspark.sql.shuffle.partitions 2\n"
    )
    unset = ("PYSPARK_PYTHON", "PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment["SPARK_CONF_DIR"] = str(folder / "conf")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(LAST), str(SLOT)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5_000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_tables_many_times_larger_than_what_the_driver_may_hold_are_computed(
    folder: Path, outcome: dict[str, Any]
) -> None:
    lake = DeltaLake(root=str(folder / "lake"))
    lists = (recommendations_table("popularity"), recommendations_table("als"))
    tables = (EVENTS, INTERACTIONS, PAIR_TOTALS, EXCLUSIONS, PURCHASE_SEQUENCE, TRAINING_SET, *lists)
    sizes = {table.name: lake.scan(table).collect().estimated_size("mb") for table in tables}
    assert sum(sizes.values()) > 4 * DRIVER_MIB
    assert max(sizes.values()) > DRIVER_MIB
    assert min(sizes.values()) > 2 * RESULTS_MIB
    assert outcome["grown_mib"] < DRIVER_MIB


def test_somebody_who_collected_a_table_would_be_noticed(outcome: dict[str, Any]) -> None:
    assert "spark.driver.maxResultSize" in outcome["collected"]


def test_settings_of_spark_come_from_its_own_file_and_the_rest_from_us(outcome: dict[str, Any]) -> None:
    expected = {
        "spark.app.name": "ours",
        "spark.master": "local[2]",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
    }
    assert expected.items() <= outcome["configuration"].items()
