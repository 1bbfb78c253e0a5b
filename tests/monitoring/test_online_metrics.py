"""The assets of the online metrics, on a real lake and a real registry."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import (
    EVENTS,
    IMPRESSIONS,
    INGESTED_FILES,
    INTERACTION_DAYS,
    ITEMS,
    ONLINE_DAYS,
    ONLINE_METRICS,
    POOLED,
    SET_ASIDE_IMPRESSIONS,
    USER_OUTCOMES,
    USERS,
)
from recsys_assets.forgetting import forget
from recsys_assets.monitoring.assets import build_assets
from recsys_assets.monitoring.shown import stale_days
from recsys_assets.platform import Platform
from recsys_assets.registry.online import online_day
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

MONDAY = date(2026, 3, 2)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)


def at(day: date, minutes: int) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=minutes)


@dataclass
class Shop:
    """A lake whose days are written table by table, and one family with a registered version."""

    lake: DeltaLake
    platform: Platform
    registry: ModelRegistry
    version: ModelVersion

    def shows(self, day: date, *rows: dict[str, Any]) -> None:
        """Impressions of a day, by default of one item to ann at noon, by the registered version."""
        usual = {"ds": day, "user_id": "ann", "item_id": "a", "position": 1, "shown_at": at(day, 0), "surface": "home"}
        usual |= {"family": self.version.family, "version": str(self.version.version)}
        full = [{**usual, "request_id": f"{day}-{number}", **row} for number, row in enumerate(rows)]
        self.lake.replace(IMPRESSIONS, pl.DataFrame(full, schema=IMPRESSIONS.schema), (day, day))

    def ingests(self, day: date, *events: tuple[str, int], content: str = "") -> None:
        """Events of ann on item a (type and minutes after noon); the day counts as ingested."""
        rows = [(day, "ann", "a", kind, at(day, minutes), 1, 10.0) for kind, minutes in events]
        self.lake.replace(EVENTS, pl.DataFrame(rows, schema=EVENTS.schema, orient="row"), (day, day))
        file = {
            "ds": day,
            "table": "events",
            "source_file": f"{day}.csv",
            "landing_fingerprint": "",
            "content": content,
        }
        counts = dict.fromkeys(("parsed", "accepted", "rejected", "folded"), 0)
        for table, row in (
            (INGESTED_FILES, {**file, **counts}),
            (INTERACTION_DAYS, {**file, "content": "of all tables"}),
        ):
            rows = pl.DataFrame([row], schema=table.schema)
            self.lake.replace(table, rows, (day, day))

    def measure(self, first: date, last: date | None = None) -> dict[str, Any]:
        """Materializes the assets; returns the metadata of the metrics."""
        tags = {
            "dagster/asset_partition_range_start": str(first),
            "dagster/asset_partition_range_end": str(last or first),
        }
        result = dg.materialize(
            build_assets(self.platform), tags=tags, resources={"lake": self.lake, "model_registry": self.registry}
        )
        shown = [one for one in result.get_asset_materialization_events() if one.asset_key.path[-1] == "online_metrics"]
        return {name: entry.value for name, entry in shown[-1].materialization.metadata.items()}

    def row(self, day: date, family: str | None = None) -> dict[str, Any]:
        """The metrics of a family over all surfaces and arms; by default of the whole lists."""
        rows = self.lake.scan(ONLINE_METRICS, (day, day)).filter(pl.col("arm").is_null(), family=family or POOLED)
        return rows.collect().row(0, named=True)

    @property
    def kept(self) -> Any:
        """What is kept with the version."""
        return online_day(self.registry.version(self.version.family, self.version.version))


@pytest.fixture
def shop(
    tiny_platform: Platform,
    model_registry: ModelRegistry,
    family: str,
    tmp_path: Path,
) -> Shop:
    (tmp_path / "artifact").mkdir()
    version = model_registry.register(
        family, MONDAY, tmp_path / "artifact", tags={"training_set_version": "1"}, params={}
    )
    lake = DeltaLake(root=str(tmp_path / "lake"))
    items = pl.DataFrame([{"ds": MONDAY - timedelta(days=1), "item_id": item} for item in "abcd"], schema=ITEMS.schema)
    lake.replace(ITEMS, items, (MONDAY - timedelta(days=1), MONDAY - timedelta(days=1)))
    return Shop(lake, tiny_platform, model_registry, version)


def test_a_day_is_measured_and_the_figures_are_kept_with_the_version(shop: Shop) -> None:
    shop.shows(MONDAY, {}, {"item_id": "b", "position": 2, "user_id": "bob"}, {"user_id": "cat", "is_clicked": True})
    shop.ingests(MONDAY, ("view", 5), ("purchase", 6))
    shown = shop.measure(MONDAY)
    row = shop.row(MONDAY, shop.version.family)
    assert (row["impressions"], row["users"], row["clicks"], row["purchases"], row["revenue"]) == (3, 3, 2, 1, 10.0)
    assert (row["ctr"], row["coverage"], row["is_final"]) == (pytest.approx(2 / 3), 0.5, False)
    assert shown["final_ctr"] == row["ctr"]
    assert (shown["impressions"], shown["counted"], shown["set_aside"], shown["is_final"]) == (3, 3, {}, False)
    assert shown["dagster/partition_row_count"] == shop.lake.scan(ONLINE_METRICS).collect().height == 6
    kept = shop.kept
    assert (kept.day, kept.is_final, kept.figures["impressions"]) == (MONDAY, False, 3)
    assert kept.figures["ctr"] == pytest.approx(2 / 3, abs=1e-5)
    assert kept.figures["ctr_low"] < kept.figures["ctr"] < kept.figures["ctr_high"]
    assert shop.lake.scan(USER_OUTCOMES).filter(family=POOLED).collect()["user_id"].sort().to_list() == [
        "ann",
        "bob",
        "cat",
    ]


def test_what_cannot_count_is_set_aside_with_a_reason_and_nothing_is_lost(shop: Shop) -> None:
    users = pl.DataFrame([{"ds": MONDAY, "user_id": "staff", "is_test": True}], schema=USERS.schema)
    shop.lake.replace(USERS, users, (MONDAY, MONDAY))
    shop.shows(
        MONDAY,
        {},
        {"version": "99"},
        {"family": "no family'; --", "version": "1"},
        {"version": None},
        {"user_id": "staff", "is_clicked": True},
        {"family": None, "version": None, "user_id": "bob"},
    )
    shop.ingests(MONDAY, ("view", -5))
    shown = shop.measure(MONDAY)
    assert shown["set_aside"] == {"incomplete_version": 1, "no_customer": 1, "unknown_version": 2}
    assert (shown["impressions"], shown["counted"], shown["events_before"]) == (6, 2, 1)
    assert shop.row(MONDAY)["clicks"] == 0
    assert shop.lake.scan(SET_ASIDE_IMPRESSIONS).select(pl.col("impressions").sum()).collect().item() == 4
    assert shop.row(MONDAY, shop.version.family)["impressions"] == 1


def test_a_day_is_final_once_the_days_that_its_window_reaches_are_ingested(shop: Shop) -> None:
    shop.shows(MONDAY, {"shown_at": at(MONDAY, 600)})
    assert stale_days(shop.lake, shop.platform) == {}  # not ingested
    shop.ingests(MONDAY)
    assert list(stale_days(shop.lake, shop.platform)) == [MONDAY]
    shop.measure(MONDAY)
    assert (shop.row(MONDAY)["ctr"], shop.row(MONDAY)["is_final"]) == (0, False)
    assert stale_days(shop.lake, shop.platform) == {}

    shop.ingests(TUESDAY, ("view", -60))
    assert list(stale_days(shop.lake, shop.platform)) == [MONDAY]
    shop.measure(MONDAY)
    assert (shop.row(MONDAY)["ctr"], shop.row(MONDAY)["is_final"], shop.kept.is_final) == (1, True, True)
    shop.ingests(WEDNESDAY, ("view", 0))
    assert stale_days(shop.lake, shop.platform) == {}

    shop.ingests(TUESDAY, content="a late file")
    assert list(stale_days(shop.lake, shop.platform)) == [MONDAY]
    shop.measure(MONDAY)
    assert shop.row(MONDAY)["ctr"] == 0


def test_other_settings_make_every_day_stale(shop: Shop) -> None:
    shop.shows(MONDAY, {})
    shop.ingests(MONDAY)
    shop.measure(MONDAY)
    longer = shop.platform.monitoring.model_copy(update={"attribution_hours": 48})
    changed = shop.platform.model_copy(update={"monitoring": longer})
    assert list(stale_days(shop.lake, changed)) == [MONDAY]


def test_a_day_without_impressions_is_measured_as_such(shop: Shop) -> None:
    shop.ingests(MONDAY, ("view", 0))
    assert stale_days(shop.lake, shop.platform) == {}
    shown = shop.measure(MONDAY)
    assert shown["note"] == "nothing was shown on this day"
    assert (shown["impressions"], shown["dagster/partition_row_count"]) == (0, 0)
    assert shop.kept is None
    assert shop.lake.scan(ONLINE_DAYS).collect()["counted"].to_list() == [0]


def test_an_older_day_never_replaces_the_figures_of_a_newer_one(shop: Shop) -> None:
    for day in (MONDAY, TUESDAY):
        shop.shows(day, {}, {"user_id": "bob", "is_clicked": day == TUESDAY})
        shop.ingests(day)
    shop.measure(MONDAY, TUESDAY)
    assert (shop.kept.day, shop.kept.figures["clicks"]) == (TUESDAY, 1)
    shop.measure(MONDAY)
    assert shop.kept.day == TUESDAY


def test_measuring_again_changes_nothing_and_no_other_day(shop: Shop) -> None:
    for day in (MONDAY, TUESDAY):
        shop.shows(day, {}, {"user_id": "bob"}, {"item_id": "b", "position": 2, "request_id": f"{day}-0"})
        shop.ingests(day, ("purchase", 5))
    shop.measure(MONDAY, TUESDAY)
    tables = (ONLINE_METRICS, USER_OUTCOMES, SET_ASIDE_IMPRESSIONS, ONLINE_DAYS)
    keys = {table: [*table.primary_key] for table in tables}
    first = {table: shop.lake.scan(table).collect().sort(keys[table]) for table in tables}
    shop.measure(MONDAY)
    for table in tables:
        assert shop.lake.scan(table).collect().sort(keys[table]).equals(first[table])


def test_who_is_forgotten_leaves_the_sums_of_users(shop: Shop, valkey: Any, model_registry: ModelRegistry) -> None:
    shop.shows(MONDAY, {}, {"user_id": "bob"})
    shop.ingests(MONDAY)
    shop.measure(MONDAY)
    forget("ann", TUESDAY, shop.lake, model_registry, [], valkey)
    assert set(shop.lake.scan(USER_OUTCOMES).collect()["user_id"]) == {"bob"}


def test_what_fails_before_the_end_is_measured_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.shows(MONDAY, {})
    shop.ingests(MONDAY)
    replace: Callable[..., int] = DeltaLake.replace

    def dies(self: DeltaLake, table: Any, *rest: Any, **more: Any) -> int:
        if table is ONLINE_DAYS:
            raise KeyboardInterrupt
        return replace(self, table, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(DeltaLake, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            shop.measure(MONDAY)
    assert list(stale_days(shop.lake, shop.platform)) == [MONDAY]
    shop.measure(MONDAY)
    assert stale_days(shop.lake, shop.platform) == {}
