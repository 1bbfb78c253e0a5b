"""Events are durable before they are answered, and land exactly once, whatever is sent twice or killed in between."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.api.event_log import LANDING_DELAY, Entry, EventLog, EventLogError
from recsys_assets.api.landing_day import land_finished
from resources.landing import LandingError, LocalLanding
from resources.settings import Settings
from resources.wiring import build_landing

SEOUL = ZoneInfo("Asia/Seoul")
DAY = date(2026, 3, 16)
NOON = datetime(2026, 3, 16, 12, tzinfo=SEOUL)
TOMORROW = NOON + timedelta(days=1)
NEVER_SERVED: Callable[..., Any] = lambda *_: pytest.fail("nothing was served from a published list")  # noqa: E731


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[EventLog]:
    opened = EventLog(tmp_path / "events", SEOUL, clock)
    yield opened
    opened.close()


@pytest.fixture
def landing(tmp_path: Path) -> LocalLanding:
    return LocalLanding(root=str(tmp_path / "landing"))


def event(name: str, moment: datetime = NOON, **more: Any) -> Entry:
    fields = {"event_id": name, "user_id": "ann", "item_id": "a", "event_type": "view", "quantity": 1} | more
    line = json.dumps({**fields, "occurred_at": moment.astimezone(UTC).isoformat(), "unit_price": None})
    return Entry("events", name, moment, line.encode())


def landed(landing: LocalLanding, day: date = DAY, table: str = "events") -> list[dict[str, Any]]:
    path = Path(landing.root) / f"api/{day}.{table}.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()] if path.exists() else []


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["event_id"] for row in rows]


def test_an_event_lands_with_its_day_when_the_day_is_over(log: EventLog, landing: LocalLanding, clock: Clock) -> None:
    assert log.append([event("one"), event("two", unit=1)]) == ["accepted", "accepted"]
    assert land_finished(log, landing, NEVER_SERVED) == {}
    clock.now = datetime(2026, 3, 17, tzinfo=SEOUL) + LANDING_DELAY
    assert land_finished(log, landing, NEVER_SERVED) == {DAY: 2}
    assert names(landed(landing)) == ["one", "two"]
    assert landed(landing)[0]["occurred_at"] == "2026-03-16T03:00:00+00:00"


def test_what_is_sent_again_lands_once_across_processes_and_restarts(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("one"), event("one")])
    log.close()
    other = EventLog(log.folder, SEOUL, clock)
    assert other.append([event("one"), event("two")]) == ["accepted", "accepted"]
    other.close()
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    assert sorted(names(landed(landing))) == ["one", "two"]


def test_a_late_event_goes_to_its_day_until_that_has_landed(log: EventLog, landing: LocalLanding, clock: Clock) -> None:
    clock.now = datetime(2026, 3, 17, 0, 5, tzinfo=SEOUL)
    assert log.append([event("late")]) == ["accepted"]
    clock.now += LANDING_DELAY
    assert log.append([event("too late")]) == ["wrong_day"]
    land_finished(log, landing, NEVER_SERVED)
    assert names(landed(landing)) == ["late"]


def test_a_retry_after_its_day_has_landed_is_told_that_it_was_accepted(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("one")])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    assert log.append([event("one"), event("new")]) == ["accepted", "wrong_day"]
    land_finished(log, landing, NEVER_SERVED)
    assert names(landed(landing)) == ["one"]


def test_what_has_not_happened_yet_is_refused(log: EventLog) -> None:
    moments = [NOON + timedelta(minutes=4), NOON + timedelta(minutes=6), datetime.max.replace(tzinfo=UTC)]
    assert log.append([event(str(one), one) for one in moments]) == ["accepted", "in_the_future", "in_the_future"]


def test_the_first_day_of_all_is_refused_and_no_error(log: EventLog) -> None:
    assert log.append([event("first", datetime.min.replace(tzinfo=UTC))]) == ["wrong_day"]


def test_a_torn_last_line_is_dropped_and_everything_before_it_lands(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("whole")])
    (segment,) = (log.folder / str(DAY)).glob("events-*.jsonl")
    with segment.open("ab") as file:
        file.write(event("torn").line[:-7])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    assert names(landed(landing)) == ["whole"]


def test_a_line_that_the_disk_has_spoilt_costs_no_other(log: EventLog, landing: LocalLanding, clock: Clock) -> None:
    log.append([event("one"), event("two"), event("three")])
    (segment,) = (log.folder / str(DAY)).glob("events-*.jsonl")
    lines = segment.read_bytes().split(b"\n")
    lines[1] = b"\0" * len(lines[1])
    segment.write_bytes(b"\n".join(lines))
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    assert names(landed(landing)) == ["one", "three"]


def test_a_landing_that_takes_nothing_keeps_the_day_waiting(
    log: EventLog, landing: LocalLanding, clock: Clock, tmp_path: Path
) -> None:
    log.append([event("one")])
    clock.now = TOMORROW
    (tmp_path / "landing").write_text("no folder")
    with pytest.raises(LandingError, match=r"api/2026-03-16\.events\.jsonl\.gz: cannot be written"):
        land_finished(log, landing, NEVER_SERVED)
    (tmp_path / "landing").unlink()
    assert land_finished(log, landing, NEVER_SERVED) == {DAY: 1}


def test_killed_between_landing_and_marking_the_same_file_is_landed_again(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("one"), event("two")])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    before = (Path(landing.root) / f"api/{DAY}.events.jsonl.gz").read_bytes()
    (log.folder / str(DAY) / "landed.parquet").unlink()
    land_finished(log, landing, NEVER_SERVED)
    assert (Path(landing.root) / f"api/{DAY}.events.jsonl.gz").read_bytes() == before


def test_the_segments_go_once_the_day_is_marked_and_the_ids_a_week_later(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("one")])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    land_finished(log, landing, NEVER_SERVED)
    assert sorted(path.name for path in (log.folder / str(DAY)).iterdir()) == ["landed.parquet", "lock"]
    clock.now = NOON + timedelta(days=8)
    land_finished(log, landing, NEVER_SERVED)
    assert list(log.folder.iterdir()) == []


def test_a_disk_that_refuses_promises_nothing_and_the_log_goes_on_afterwards(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    log.append([event("before")])
    for segment in log._segments.values():
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, segment)
        os.close(full)
    with pytest.raises(EventLogError, match="events cannot be stored"):
        log.append([event("refused")])
    log.append([event("after")])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    assert sorted(names(landed(landing))) == ["after", "before"]


def test_a_day_lands_on_s3(log: EventLog, clock: Clock, s3_bucket: Any) -> None:
    landing = build_landing(Settings(home=Path(), lake="", landing=f"s3://{s3_bucket.name}/shop"))
    log.append([event("one")])
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    (file,) = landing.files()
    assert file.path == f"api/{DAY}.events.jsonl.gz"
    assert json.loads(gzip.decompress(landing.read(file.path)))["event_id"] == "one"


WRITER = """
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from recsys_assets.api.event_log import Entry, EventLog

zone, moment = ZoneInfo("Asia/Seoul"), datetime.fromisoformat("2026-03-16T12:00:00+09:00")
log = EventLog(Path(sys.argv[1]), zone, lambda: moment)
for number in range(10**9):
    name = f"{sys.argv[2]}-{number}"
    line = f'{{"event_id":"{name}","user_id":"u","item_id":"i","event_type":"view","occurred_at":"x","quantity":1}}'
    log.append([Entry("events", name, moment, line.encode())])
    print(name, flush=True)
"""


def test_whatever_was_answered_survives_kill_9(log: EventLog, landing: LocalLanding, clock: Clock) -> None:
    answered: list[str] = []
    for round_ in range(3):
        command = [sys.executable, "-c", WRITER, str(log.folder), str(round_)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            answered += [writer.stdout.readline().strip() for _ in range(50)]
            writer.send_signal(signal.SIGKILL)
    clock.now = TOMORROW
    land_finished(log, landing, NEVER_SERVED)
    found = names(landed(landing))
    assert set(answered) <= set(found)
    assert len(found) == len(set(found))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.booleans()), max_size=25))
def test_every_accepted_event_lands_exactly_once(
    steps: list[tuple[int, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever sends what, however often and late, and whenever days are landed."""
    folder = tmp_path_factory.mktemp("log")
    clock, landing = Clock(), LocalLanding(root=str(folder / "landing"))
    clock.now = datetime(2026, 3, 16, 23, 30, tzinfo=SEOUL)
    logs = [EventLog(folder / "events", SEOUL, clock) for _ in range(2)]
    accepted = set()
    for name, minutes, is_first in steps:
        moment = datetime(2026, 3, 16, 23, 0, tzinfo=SEOUL) + timedelta(minutes=name * 20)
        (answer,) = logs[is_first].append([event(str(name), moment)])
        accepted |= {str(name)} if answer == "accepted" else set()
        clock.now += timedelta(minutes=minutes)
        land_finished(logs[is_first], landing, NEVER_SERVED)
    clock.now += timedelta(days=2)
    land_finished(logs[0], landing, NEVER_SERVED)
    assert sorted(names(landed(landing)) + names(landed(landing, DAY + timedelta(days=1)))) == sorted(accepted)
    for log in logs:
        log.close()


def test_lists_that_were_served_land_as_impressions_with_the_family_that_brought_each_item(
    log: EventLog, landing: LocalLanding, clock: Clock
) -> None:
    def line(**fields: Any) -> Entry:
        served = {"request_id": "r1", "user_id": "ann", "shown_at": NOON.isoformat(), "surface": "home"}
        served |= {"arm": "default", "as_of": "2026-03-15", "item_ids": ["a", "b"], "sources": None}
        versions = [{"family": "als", "version": "3"}, {"family": "popularity", "version": "1"}]
        return Entry("served", "r", NOON, json.dumps(served | {"versions": versions} | fields).encode())

    ranked = line(request_id="r2", user_id=None, item_ids=["c"], sources=["series"])
    log.note([line(), ranked])
    clock.now = TOMORROW
    asked = []

    def sources_of(day: date, users: pl.Series) -> pl.DataFrame:
        asked.append((day, users.to_list()))
        return pl.DataFrame({"user_id": ["ann"] * 2, "item_id": ["a", "b"], "source": ["als", "popularity"]})

    assert land_finished(log, landing, sources_of) == {DAY: 3}
    assert asked == [(date(2026, 3, 15), ["ann"])]
    shown = landed(landing, table="impressions")
    told = [(one["request_id"], one["position"], one["item_id"], one["family"], one["version"]) for one in shown]
    assert told == [("r1", 1, "a", "als", "3"), ("r1", 2, "b", "popularity", "1"), ("r2", 1, "c", None, None)]
    assert {one["surface"] for one in shown} == {"home"}
