"""Tables on Spark: tasks write and read the files, in a folder and on S3, and the driver learns paths and counts."""

import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_assets.columns import Column, Table
from resources.engine import SparkEngine
from resources.lake import Days, DeltaLake, SchemaError
from resources.spark_tables import scan, stage, table_folder

SALES = Table(
    ("shop", "sales"),
    "What was sold.",
    (
        Column("ds", pl.Date, "the day"),
        Column("user_id", pl.String, "who bought"),
        Column("shelf", pl.String, "where it stood"),
        Column("pieces", pl.Int64, "how many", is_nullable=True),
        Column("blend", pl.List(pl.Struct({"family": pl.String, "weight": pl.Float64})), "any list"),
    ),
    ("ds", "user_id"),
)
DAYS: Days = (date(2026, 1, 1), date(2026, 1, 3))
BLEND = [{"family": "als", "weight": 0.5}]


def sales(*rows: tuple[int, str, str, int | None]) -> pl.DataFrame:
    return pl.DataFrame([(date(2026, 1, ds), *rest, BLEND) for ds, *rest in rows], schema=SALES.schema, orient="row")


def stored(lake: DeltaLake) -> pl.DataFrame:
    return lake.scan(SALES).collect().sort("ds", "user_id")


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> DeltaLake:
    if request.param == "folder":
        return DeltaLake(root=str(tmp_path))
    return DeltaLake(root=f"s3://{request.getfixturevalue('s3_bucket').name}/lake")


def test_tasks_read_a_table_and_write_another_as_it_was(lake: DeltaLake, spark_engine: SparkEngine) -> None:
    session = spark_engine.session
    before = sales((1, "ann", "a", 1), (1, "ann2", "b", None), (2, "bob", "a", 2), (3, "eve", "b", 3))
    lake.replace(SALES, before, DAYS)
    some = scan(session, lake, SALES, (date(2026, 1, 1), date(2026, 1, 2)))
    waiting = stage(some, lake, SALES, sort_by=["user_id"], apart=["shelf"])
    assert waiting.height == 3
    assert sorted((one.day.day, one.apart["shelf"], one.rows) for one in waiting.files) == [
        *((1, "a", 1), (1, "b", 1), (2, "a", 1))
    ]
    assert sorted(row.user_id for row in waiting.frame().collect()) == ["ann", "ann2", "bob"]
    assert lake.version(SALES.name) == 0
    lake.replace(SALES, waiting, (date(2026, 1, 1), date(2026, 1, 2)))
    assert stored(lake).equals(before)
    mine = stage(scan(session, lake, SALES, None).filter("pieces = 1"), lake, SALES, apart=["shelf"])
    lake.replace(SALES, sales((1, "ann", "a", 7), (1, "eve", "b", 8), (1, "kim", "c", 9)), (DAYS[0], DAYS[0]))
    lake.replace(SALES, mine, (DAYS[0], DAYS[0]), where={"shelf": ["a", "c"]})  # the file holds rows of b as well
    assert stored(lake).select("user_id", "pieces").rows() == [("ann", 1), ("eve", 8), ("bob", 2), ("eve", 3)]


def test_rows_are_sorted_in_their_files_and_few_files_hold_many_days(tmp_path: Path, spark_engine: SparkEngine) -> None:
    lake, session = DeltaLake(root=str(tmp_path)), spark_engine.session
    mixed = session.range(300).selectExpr(
        "date_add(date'2026-01-01', cast(id % 3 as int)) ds",
        "concat('u', lpad(cast((id * 7) % 300 as string), 3, '0')) user_id",
        "'a' shelf",
        "id pieces",
        "array(named_struct('family', 'als', 'weight', cast(0.5 as double))) blend",
    )
    adaptive = "spark.sql.adaptive.enabled"
    session.conf.set(adaptive, "true")
    try:
        waiting = stage(mixed, lake, SALES, sort_by=SALES.primary_key, gather_days=True)
    finally:
        session.conf.set(adaptive, "false")
    assert sorted(one.day.day for one in waiting.files) == [1, 2, 3]
    for one in waiting.files:
        users = pl.read_parquet(Path(lake.uri(SALES.name), one.path))["user_id"]
        assert users.is_sorted()
        assert len(users) == 100


def test_a_frame_that_does_not_fit_is_refused_before_anything_is_computed(
    tmp_path: Path, spark_engine: SparkEngine
) -> None:
    lake = DeltaLake(root=str(tmp_path))
    frame = spark_engine.session.createDataFrame(
        [], "ds date, user_id string, shelf string, pieces int, blend array<struct<family:string,weight:double>>"
    )
    with pytest.raises(SchemaError, match=r"shop/sales\.pieces: is int, must be bigint"):
        stage(frame, lake, SALES)
    with pytest.raises(SchemaError, match=r"shop/sales: columns missing \['shelf'\], unknown \['place'\]"):
        stage(frame.withColumnRenamed("shelf", "place"), lake, SALES)
    assert not list(tmp_path.iterdir())


def test_what_travels_to_the_tasks_holds_no_credentials(s3_bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    folder = table_folder(DeltaLake(root=f"s3://{s3_bucket.name}/lake"), SALES)
    assert json.dumps(folder.addresses).startswith('{"conditional_put": "etag", "endpoint_url": "http://127.0.0.1')
    assert b"very-secret" not in pickle.dumps(folder)
