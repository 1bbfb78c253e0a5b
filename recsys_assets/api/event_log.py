"""Accepted events, durable before anybody is answered: append-only files per day, until the day is landed.

Under the folder lies one folder per day, in the platform's time zone. Each process appends to segments of its own in it
(`{kind}-{random}.jsonl`, one JSON object a line), so no two ever write to one file, and what a killed process left torn
stays the last line of a segment that nobody continues. Retries are not looked for here: the same id may be appended
twice, and is landed once. A day takes events until it is landed, which happens some minutes after it has ended;
`landed.parquet` then says with which ids, and the segments are gone. How a day lands is in `landing_day`.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from recsys_assets.features.lately import day_of
from resources.landing import sync_folder

Kind = Literal["events", "impressions", "served"]
Answer = Literal["accepted", "wrong_day", "in_the_future"]
LANDING_DELAY = timedelta(minutes=10)
"""After the end of a day: what happened in its last moments may still be on its way."""
CLOCKS_DIFFER = timedelta(minutes=5)
LANDED = "landed.parquet"
LOCK = "lock"


class EventLogError(Exception):
    """Events could not be made durable; nothing was promised, and whoever sent them must send them again."""


@dataclass(frozen=True)
class Entry:
    """One line to keep.

    Attributes:
        kind: What it is.
        event_id: What makes it the same one when it is sent again.
        occurred_at: When it happened, with a time zone.
        line: JSON without line breaks.
    """

    kind: Kind
    event_id: str
    occurred_at: datetime
    line: bytes


class EventLog:
    """The log of one process; all processes of a machine share the folder.

    Not safe for several threads: one thread appends, in batches.

    Args:
        folder: Where it lies.
        zone: The time zone in which days end.
        clock: What time it is.
    """

    def __init__(
        self, folder: Path, zone: ZoneInfo, clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    ) -> None:
        self.folder, self.zone, self.clock = folder, zone, clock
        self._segments: dict[tuple[date, Kind], int] = {}

    def append(self, entries: Sequence[Entry]) -> list[Answer]:
        """Keep entries for good, each in the segment of the day on which it happened.

        Returns:
            What became of each.

        Raises:
            EventLogError: The disk refused; none of them may be taken for accepted.
        """
        answers = [self._at_first_sight(entry) for entry in entries]
        taken = [place for place, answer in enumerate(answers) if answer == "accepted"]
        open_days = self._append_by_day([entries[place] for place in taken], is_durable=True)
        for place in taken:
            if self.day_of(entries[place].occurred_at) not in open_days:
                answers[place] = "wrong_day"
        self._recognize(entries, answers)
        return answers

    def note(self, entries: Sequence[Entry]) -> None:
        """Keep entries of now, in order, without waiting until they are on disk; too late for their day, they are lost.

        Raises:
            EventLogError: The disk refused.
        """
        self._append_by_day(entries, is_durable=False)

    def day_of(self, moment: datetime) -> date:
        """The day on which a moment lies."""
        return day_of(moment, self.zone)

    def is_over(self, day: date) -> bool:
        """Whether a day takes no more events, so that it can be landed."""
        end = datetime.combine(day + timedelta(days=1), time(), self.zone)
        return self.clock() >= end + LANDING_DELAY

    def check(self) -> None:
        """Find out whether events could be stored.

        Raises:
            EventLogError: They could not.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise EventLogError(f"events cannot be stored ({error.strerror})") from error

    def close(self) -> None:
        """Let go of the files."""
        for opened in self._segments.values():
            os.close(opened)
        self._segments.clear()

    def _at_first_sight(self, entry: Entry) -> Answer:
        """What the clock alone says of an entry."""
        if entry.occurred_at > self.clock() + CLOCKS_DIFFER:
            return "in_the_future"
        return "wrong_day" if self.is_over(self.day_of(entry.occurred_at)) else "accepted"

    def _append_by_day(self, entries: Sequence[Entry], *, is_durable: bool) -> set[date]:
        """Append entries to their days; the days that have taken them."""
        by_day: dict[date, list[Entry]] = {}
        for entry in entries:
            by_day.setdefault(self.day_of(entry.occurred_at), []).append(entry)
        with self._promising_nothing():
            taken = {day for day, some in by_day.items() if self._append_to(day, some, is_durable=is_durable)}
            self._close_landed(taken)
        return taken

    @contextmanager
    def _promising_nothing(self) -> Iterator[None]:
        """Let go of the segments where the disk refuses: a torn line must stay the last one of its segment."""
        try:
            yield
        except OSError as error:
            self.close()
            raise EventLogError(f"events cannot be stored ({error.strerror})") from error

    def _recognize(self, entries: Sequence[Entry], answers: list[Answer]) -> None:
        """Accept what is too late, but was accepted in time: its answer got lost."""
        late = [(place, one) for place, one in enumerate(entries) if answers[place] == "wrong_day"]
        landed: dict[Path, frozenset[str]] = {}
        for place, entry in late:
            folder = self.folder / str(self.day_of(entry.occurred_at))
            if folder not in landed:
                landed[folder] = ids_landed(folder)
            if entry.event_id in landed[folder]:
                answers[place] = "accepted"

    def _append_to(self, day: date, entries: Sequence[Entry], *, is_durable: bool) -> bool:
        """Append to the segments of a day; False where it has been landed meanwhile."""
        folder = self.folder / str(day)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, fcntl.LOCK_SH):
            if (folder / LANDED).exists():
                return False
            for kind in dict.fromkeys(entry.kind for entry in entries):
                segment = self._segment(day, kind)
                _write(segment, b"".join(entry.line + b"\n" for entry in entries if entry.kind == kind))
                if is_durable:
                    os.fdatasync(segment)
        return True

    def _segment(self, day: date, kind: Kind) -> int:
        if (day, kind) not in self._segments:
            path = self.folder / str(day) / f"{kind}-{uuid.uuid4().hex}.jsonl"
            self._segments[day, kind] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            for folder in (path.parent, self.folder, self.folder.parent):  # whoever made them may not be so far yet
                sync_folder(folder)
        return self._segments[day, kind]

    def _close_landed(self, in_use: Collection[date]) -> None:
        """Let go of the segments of days that are over."""
        for day, kind in [key for key in self._segments if key[0] not in in_use and self.is_over(key[0])]:
            os.close(self._segments.pop((day, kind)))


@contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the lock of a day: shared by whoever appends, alone by whoever lands it. The system ends it with us."""
    opened = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)


def ids_landed(folder: Path) -> frozenset[str]:
    """The ids that a day was landed with; none where it was not, or where that has been forgotten."""
    marker = folder / LANDED
    return frozenset(pl.read_parquet(marker)["event_id"]) if marker.exists() else frozenset()


def _write(segment: int, data: bytes) -> None:
    """All of it, or OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(segment, view) :]
