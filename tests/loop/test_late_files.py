"""A file that comes late or changes: its day and what depends on it are computed again, and nothing else."""

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from recsys_assets.cli.driver import Finished
from recsys_assets.cli.features import backfill
from recsys_assets.cli.installation import Installation
from recsys_assets.columns import EVENTS, INTERACTIONS, ITEM_PROFILE, USER_PROFILE
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views import VIEWS

LAST = date(2026, 2, 16)
CHANGED = LAST - timedelta(days=3)


def files_of(installation: Installation, table: Any, day: date) -> set[str]:
    return installation.lake.files(table.name, (day, day))


def event_file(installation: Installation, day: date) -> Path:
    (path,) = (one for one in Path(installation.settings.landing).rglob(f"*{day}*") if "event" in str(one))
    return path


def did(runs: list[Finished]) -> list[tuple[str, date, date]]:
    assert [one.errors for one in runs] == [()] * len(runs)
    return [(one.start.job, one.start.first, one.start.last) for one in runs]


def test_a_changed_file_is_taken_in_and_the_stored_days_that_depend_on_it_are_computed_again(
    copied: Installation, run_all: Callable[..., list[Finished]]
) -> None:
    backfill(copied, [VIEWS["user_profile"], VIEWS["item_profile"]], CHANGED - timedelta(days=2), LAST)
    days = [CHANGED + timedelta(days=offset) for offset in range(-2, 4)]
    before = {(table, day): files_of(copied, table, day) for table in (USER_PROFILE, INTERACTIONS) for day in days}
    path = event_file(copied, CHANGED)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([lines[0], *lines[2:]])))
    assert did(run_all(copied)) == [
        ("ingest", CHANGED, CHANGED),
        ("recommend", LAST, LAST),
        ("refresh", CHANGED, LAST - timedelta(days=1)),
    ]
    rewritten = {key for key, files in before.items() if files_of(copied, *key) != files}
    assert rewritten == {(INTERACTIONS, CHANGED), *((USER_PROFILE, day) for day in days[2:])}
    store = FeatureStore(copied.platform, copied.lake, copied.engine)
    for table in (USER_PROFILE, ITEM_PROFILE):
        stored = copied.lake.scan(table, (CHANGED, LAST)).collect().sort(table.primary_key)
        assert stored.equals(store.compute(VIEWS[table.key[-1]], CHANGED, LAST))
    assert did(run_all(copied)) == []


def test_a_file_that_was_only_touched_is_read_again_and_changes_nothing_else(
    copied: Installation, run_all: Callable[..., list[Finished]]
) -> None:
    path = event_file(copied, CHANGED)
    path.write_bytes(path.read_bytes())
    before = copied.lake.scan(EVENTS).select(pl.len()).collect().item()
    assert did(run_all(copied)) == [("ingest", CHANGED, CHANGED)]
    assert copied.lake.scan(EVENTS).select(pl.len()).collect().item() == before
    assert did(run_all(copied)) == []


def test_a_backfill_of_a_range_is_one_run_and_equals_day_by_day(copied: Installation) -> None:
    view = VIEWS["exclusions"]
    first = LAST - timedelta(days=4)
    finished = backfill(copied, [view], first, LAST)
    assert finished.errors == ()
    whole = copied.lake.scan(view.table, (first, LAST)).collect().sort(view.table.primary_key)
    for offset in range(5):
        backfill(copied, [view], first + timedelta(days=offset), first + timedelta(days=offset))
    assert copied.lake.scan(view.table, (first, LAST)).collect().sort(view.table.primary_key).equals(whole)
    assert copied.lake.days(view.table.name)[0] == first
