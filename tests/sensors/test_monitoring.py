"""What is measured by itself: days that are stale, neighbours together, and each state of them once."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from recsys_assets.columns import IMPRESSIONS, INTERACTION_DAYS
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from sensors.decisions import monitoring
from sensors.monitoring import build_monitoring_sensor

FIRST = date(2026, 3, 2)


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


def test_neighbouring_stale_days_share_a_run() -> None:
    starts = monitoring({day(4): "d", day(0): "a", day(1): "b"})
    assert [(one.job, one.first, one.last) for one in starts] == [
        ("monitor", day(0), day(1)),
        ("monitor", day(4), day(4)),
    ]
    assert all(one.is_range for one in starts)
    assert monitoring({}) == []


def test_the_key_of_a_run_changes_with_what_the_days_are_made_of() -> None:
    keys = [monitoring({day(0): origin})[0].run_key for origin in ("a", "b", "a")]
    assert keys[0] == keys[2] != keys[1]


def test_the_sensor_asks_for_days_with_impressions_once_they_are_ingested(
    tmp_path: Path, tiny_platform: Platform
) -> None:
    lake = DeltaLake(root=str(tmp_path))
    sensor = build_monitoring_sensor(tiny_platform)

    def tick() -> dg.SensorResult | dg.SkipReason | list[dg.RunRequest]:
        with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
            found: dg.SkipReason | list[dg.RunRequest] = sensor(context, lake=lake)
            return found

    assert isinstance(tick(), dg.SkipReason)
    row = {"ds": FIRST, "request_id": "r", "item_id": "a", "position": 1}
    shown = pl.DataFrame([row], schema=IMPRESSIONS.schema).with_columns(
        pl.col("ds").cast(pl.Datetime("us", "UTC")).alias("shown_at")
    )
    lake.replace(IMPRESSIONS, shown, (FIRST, FIRST))
    assert isinstance(tick(), dg.SkipReason)
    record = pl.DataFrame([(FIRST, "", "content")], schema=INTERACTION_DAYS.schema, orient="row")
    lake.replace(INTERACTION_DAYS, record, (FIRST, FIRST))
    requests = tick()
    assert isinstance(requests, list)
    assert requests[0].tags["dagster/asset_partition_range_start"] == str(FIRST)
