"""The page of an installation: written after whatever happened, from what is stored, also while services are away."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.cli.driver import Limits, drive
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import run_progress
from recsys_assets.columns import (
    EXPERIMENTS,
    GUARDRAILS,
    IMPRESSIONS,
    INTERACTION_DAYS,
    ONLINE_DAYS,
    ONLINE_METRICS,
    SET_ASIDE_IMPRESSIONS,
    Table,
)
from recsys_assets.definitions import build_definitions
from recsys_assets.monitoring.dashboard_assets import DASHBOARD_KEY, written_from
from recsys_assets.monitoring.dashboard_data import Dashboard, Estimate
from recsys_assets.monitoring.dashboard_readings import made_of, read_dashboard
from recsys_assets.monitoring.dashboard_status import findings_of
from recsys_assets.platform import Platform
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore
from sensors.dashboard import next_page

LAST = date(2026, 2, 16)
SLOT = date(2026, 2, 18)


def rows_of(table: Table, *rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table; what is not given is null, or nothing where null may not be."""
    nothing: dict[Any, Any] = {pl.String: "", pl.Boolean: True, pl.Date: LAST}
    blank = {one.name: None if one.is_nullable else nothing.get(one.dtype, 0) for one in table.columns}
    return pl.DataFrame([blank | row for row in rows], schema=table.schema)


def page_of(installation: Installation, day: date = LAST) -> Dashboard:
    return read_dashboard(installation.platform, installation.lake, installation.instance, day)


def drives(installation: Installation, last: date | None = None) -> list[tuple[str, date]]:
    with run_progress() as progress:
        runs = list(drive(installation, Limits(last=last), progress, lambda: None))
    assert all(one.errors == () for one in runs)
    return [(one.start.job, one.start.first) for one in runs]


def test_the_last_thing_that_is_done_for_a_day_is_its_page(finished: Installation) -> None:
    page = finished.dashboard_folder.read(LAST)
    assert page is not None
    assert page == finished.dashboard_folder.read()
    assert finished.dashboard_folder.days() == [LAST]
    (record,) = finished.instance.fetch_materializations(DASHBOARD_KEY, limit=9).records
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    assert metadata["page"].value == str(finished.settings.home / "dashboard" / f"{LAST}.html")
    assert str(metadata["open"].value).startswith("file://")
    assert "**OK**" in str(metadata["status"].value)


def test_it_says_what_serves_what_was_judged_what_came_in_and_what_was_published(finished: Installation) -> None:
    page = page_of(finished)
    assert [(one.family, one.version, one.slot, one.days_behind) for one in page.production] == [
        (family, 1, SLOT, 0) for family in ("popularity", "als")
    ]
    assert page.production[1].seen_through == LAST
    assert [(one.family, one.is_passed) for one in page.judged] == [
        ("popularity", True),
        ("als", True),
        ("final", None),
    ]
    assert all(one.ndcg is not None and one.ndcg.low < one.ndcg.value < one.ndcg.high for one in page.judged)
    assert [one.as_of for one in page.publications] == [LAST]
    assert page.publications[0].versions == {"als": "1", "popularity": "1"}
    (events,) = (one for one in page.data.tables if one.table == "events")
    assert (events.newest, events.is_daily) == (LAST, True)
    assert events.accepted > 0
    assert sum(events.reasons.values()) == events.rejected > 0
    assert page.data.by_day[-1].day == LAST
    assert page.data.missing == ()
    assert (page.online.rows, page.online.is_fed, page.experiment, page.gate.waiting) == ((), True, None, ())
    assert {one.level for one in findings_of(page)} <= {"ok", "look"}


def test_an_older_day_knows_nothing_of_what_came_later(finished: Installation) -> None:
    page = page_of(finished, LAST - timedelta(days=1))
    assert {one.version for one in page.production} == {None}
    assert (page.judged, page.gate.decisions, page.publications) == ((), (), ())
    assert page.data.by_day[-1].day == LAST - timedelta(days=1)


def test_online_figures_experiments_and_guardrails_are_read_up_to_the_day(copied: Installation) -> None:
    lake = copied.lake
    days = [LAST - timedelta(days=1), LAST, LAST + timedelta(days=1)]
    figures = {"impressions": 900, "users": 90, "ctr": 0.1, "ctr_low": 0.08, "ctr_high": 0.12}
    rows = [
        {"ds": day, "family": family, "version": version, "surface": surface} | figures
        for day in days
        for family, version in (("als", "1"), ("final", None))
        for surface in (None, "home")
    ]
    lake.replace(ONLINE_METRICS, rows_of(ONLINE_METRICS, *rows), (days[0], days[-1]))
    lake.replace(
        ONLINE_DAYS, rows_of(ONLINE_DAYS, *({"ds": day, "impressions": 1_000} for day in days)), (days[0], days[-1])
    )
    aside = ({"ds": LAST, "reason": "unknown_version", "family": family, "impressions": 50} for family in ("x", "y"))
    lake.replace(SET_ASIDE_IMPRESSIONS, rows_of(SET_ASIDE_IMPRESSIONS, *aside), (LAST, LAST))
    told = [{"ds": day, "family": "als", "version": "1", "state": "below", "change": -0.4} for day in days]
    lake.replace(GUARDRAILS, rows_of(GUARDRAILS, *told), (days[0], days[-1]))
    arms = [
        {"ds": day, "experiment": "spring", "arm": arm, "metric": "ctr", "value": 0.1, "verdict": verdict}
        for day in days
        for arm, verdict in (("control", None), ("bold", "open"))
    ]
    lake.replace(EXPERIMENTS, rows_of(EXPERIMENTS, *arms), (days[0], days[-1]))

    page = page_of(copied)
    assert [(row.day, row.family, row.version) for row in page.online.rows] == [
        (day, family, version) for day in days[:2] for family, version in (("als", "1"), ("final", None))
    ]
    assert page.online.newest[0].figures == {"ctr": Estimate(0.1, 0.08, 0.12)}
    assert (page.online.set_aside, page.online.impressions) == ({"unknown_version": 100}, 1_000)
    assert [(one.family, one.version, one.state, one.day) for one in page.guarded] == [("als", "1", "below", LAST)]
    assert page.experiment is not None
    assert (page.experiment.day, [one.arm for one in page.experiment.figures]) == (LAST, ["control", "bold"])


def test_it_follows_whatever_changes_also_while_the_registry_and_the_online_store_are_away(
    copied: Installation,
) -> None:
    state = made_of(copied.platform, copied.lake, copied.instance)
    assert written_from(copied.instance, LAST) == state
    assert next_page(copied.platform, copied.lake, copied.instance, LAST) == []
    assert drives(copied) == []
    copied.online_store.connect().flushall()
    assert drives(copied) == [("recommend", LAST), ("dashboard", LAST)]
    lost = copied.lake.scan(INTERACTION_DAYS, (LAST, LAST)).collect().with_columns(content=pl.lit("other"))
    copied.lake.replace(INTERACTION_DAYS, lost, (LAST, LAST))
    (start,) = next_page(copied.platform, copied.lake, copied.instance, LAST)
    assert (start.job, start.first, start.last, start.is_range) == ("dashboard", LAST, LAST, False)
    assert next_page(copied.platform, copied.lake, copied.instance, None) == []

    away = copied.resources | {
        "model_registry": ModelRegistry(tracking_uri="http://127.0.0.1:9"),
        "online_store": OnlineStore(url="redis://127.0.0.1:9"),
    }
    definitions = build_definitions(copied.platform, away)

    def tick() -> list[dg.RunRequest]:
        with dg.build_sensor_context(copied.instance, definitions=definitions, resources=away) as context:
            return list(definitions.resolve_sensor_def("dashboard_sensor").evaluate_tick(context).run_requests or ())

    recommend = definitions.resolve_job_def("recommend")
    waited_for = copied.instance.create_run_for_job(recommend, status=dg.DagsterRunStatus.STARTED)
    assert tick() == []
    copied.instance.report_run_canceled(waited_for)
    (request,) = tick()
    assert (request.job_name, request.partition_key) == ("dashboard", str(LAST))
    job = definitions.resolve_job_def("dashboard")
    assert job.execute_in_process(instance=copied.instance, partition_key=request.partition_key).success
    assert tick() == []


def test_measuring_does_not_write_pages_and_a_backfill_writes_one_for_each_day(copied: Installation) -> None:
    definitions = copied.definitions()
    days = (LAST - timedelta(days=2), LAST - timedelta(days=1))
    tags = dict(zip(("start", "end"), map(str, days), strict=True))
    asked = {f"dagster/asset_partition_range_{end}": day for end, day in tags.items()}
    shown = rows_of(IMPRESSIONS, {"ds": days[1], "shown_at": datetime(2026, 2, 15, 3, tzinfo=UTC), "item_id": "x"})
    copied.lake.replace(IMPRESSIONS, shown, (days[1], days[1]))
    assert definitions.resolve_job_def("monitor").execute_in_process(instance=copied.instance, tags=asked).success
    assert copied.dashboard_folder.days() == [LAST]
    before = copied.dashboard_folder.read()
    assert definitions.resolve_job_def("dashboard").execute_in_process(instance=copied.instance, tags=asked).success
    assert copied.dashboard_folder.days() == [*days, LAST]
    assert copied.dashboard_folder.read() == before, "older pages never become the newest"
    assert f'href="{days[0]}.html"' in str(copied.dashboard_folder.read(days[1]))


def test_a_refused_family_and_why_stand_on_the_page(refused: tuple[Installation, list[Any]]) -> None:
    page = page_of(refused[0])
    assert [(one.family, one.version) for one in page.production] == [("popularity", 1), ("als", None)]
    (refusal,) = page.gate.refusals
    assert (refusal.family, refusal.version, refusal.slot) == ("als", "1", SLOT)
    assert any("0.9" in sentence for sentence in refusal.sentences)
    assert refused[0].dashboard_folder.read() is not None
    assert "below 0.9" in str(refused[0].dashboard_folder.read())


@pytest.fixture
def nothing_yet(tmp_path: Path, tiny_platform: Platform) -> tuple[Platform, DeltaLake]:
    return tiny_platform, DeltaLake(root=str(tmp_path / "lake"))


def test_before_anything_has_landed_everything_can_be_read_and_is_empty(
    nothing_yet: tuple[Platform, DeltaLake],
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        page = read_dashboard(*nothing_yet, instance, date(2026, 1, 3))
        assert made_of(*nothing_yet, instance) == made_of(*nothing_yet, instance)
    assert {one.version for one in page.production} == {None}
    assert (page.judged, page.online.rows, page.publications, page.experiment) == ((), (), (), None)
    assert page.data.missing == tuple(date(2026, 1, day) for day in (1, 2, 3))
    assert findings_of(page)[0].level == "act"
