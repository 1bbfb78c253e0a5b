"""The landing sensor and the ingest job, on files that lie in S3."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import EVENTS, INTERACTIONS
from recsys_assets.definitions import build_definitions
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.landing import LandingError
from resources.settings import Settings
from resources.wiring import build_resources

# Dagster's own code starts a resource inside a resource in its old way.
pytestmark = pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated")

HEADER = "user_id,item_id,event_type,occurred_at,quantity,unit_price"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
SOLD = {1: "ann,dune", 2: "bob,dune", 4: "ann,emma"}


def event_file(day: int, *pairs: str) -> bytes:
    rows = [f"{pair},purchase,2026-01-0{day}T10:00:00Z,1,5.00" for pair in pairs]
    return "\n".join([HEADER, *rows]).encode()


class Shop:
    """The platform on an instance of its own, with its landing in a bucket."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance, bucket: Any, folder: Path) -> None:
        settings = Settings(home=folder, lake=str(folder / "lake"), landing=f"s3://{bucket.name}/drop")
        self.lake = DeltaLake(root=settings.lake)
        self.instance = instance
        self.bucket = bucket
        self.resources = build_resources(settings)
        self.definitions = build_definitions(platform, self.resources)

    def put(self, day: int, *pairs: str) -> None:
        self.bucket.put_object(Key=f"drop/events/2026-01-0{day}.csv", Body=event_file(day, *pairs))

    def tick(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(self.instance, definitions=self.definitions, resources=self.resources) as context:
            result = self.definitions.resolve_sensor_def("landing_sensor").evaluate_tick(context)
        return list(result.run_requests or [])

    def requested(self) -> list[tuple[str, ...]]:
        return [tuple(request.tags[tag][-2:] for tag in RANGE) for request in self.tick()]

    def execute(self, request: dg.RunRequest) -> None:
        job = self.definitions.resolve_job_def(str(request.job_name))
        assert job.execute_in_process(instance=self.instance, tags=request.tags).success

    def sold(self) -> list[tuple[int, str, str]]:
        rows = self.lake.scan(EVENTS).select(pl.col("ds").dt.day(), "user_id", "item_id").collect()
        return sorted(rows.iter_rows())


@pytest.fixture
def shop(tiny_platform: Platform, s3_bucket: Any, tmp_path: Path) -> Iterator[Shop]:
    platform = tiny_platform.model_copy(update={"last_day": date(2026, 1, 5)})
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(platform, instance, s3_bucket, tmp_path)
        for day, pair in SOLD.items():
            shop.put(day, pair)
        yield shop


def test_the_files_of_a_bucket_become_rows_of_the_lake_by_one_run_over_the_range(shop: Shop) -> None:
    (request,) = shop.tick()
    assert (request.job_name, [request.tags[tag] for tag in RANGE]) == ("ingest", ["2026-01-01", "2026-01-05"])
    shop.execute(request)
    assert shop.sold() == [(1, "ann", "dune"), (2, "bob", "dune"), (4, "ann", "emma")]
    folded = shop.lake.scan(INTERACTIONS).select("user_id", "item_id", "purchases", "value").collect()
    assert sorted(folded.iter_rows()) == [("ann", "dune", 1, 5.0), ("ann", "emma", 1, 5.0), ("bob", "dune", 1, 5.0)]


def test_only_a_day_whose_object_changed_is_requested_again(shop: Shop) -> None:
    (first,) = shop.tick()
    shop.execute(first)
    assert shop.requested() == []
    shop.put(2, "bob,dune")  # the same content: the object has the same etag
    assert shop.requested() == []
    shop.put(2, "bob,dune", "eve,emma")
    (second,) = shop.tick()
    assert [second.tags[tag] for tag in RANGE] == ["2026-01-02", "2026-01-02"]
    assert second.run_key != first.run_key
    shop.execute(second)
    assert shop.sold() == [(1, "ann", "dune"), (2, "bob", "dune"), (2, "eve", "emma"), (4, "ann", "emma")]
    assert shop.requested() == []


def test_a_late_file_is_requested_and_one_that_was_cleared_away_keeps_its_rows(shop: Shop) -> None:
    (request,) = shop.tick()
    shop.execute(request)
    shop.bucket.Object("drop/events/2026-01-01.csv").delete()
    shop.put(3, "eve,emma")
    assert shop.requested() == [("03", "03")]
    for again in shop.tick():
        shop.execute(again)
    assert shop.sold() == [(1, "ann", "dune"), (2, "bob", "dune"), (3, "eve", "emma"), (4, "ann", "emma")]
    assert shop.requested() == []


def test_a_bucket_that_is_gone_fails_the_tick_and_requests_nothing(shop: Shop) -> None:
    shop.bucket.objects.delete()
    shop.bucket.delete()
    with pytest.raises(LandingError, match="NoSuchBucket"):
        shop.tick()
