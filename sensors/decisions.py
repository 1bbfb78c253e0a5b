"""What to start next, as pure decisions on plain values. Sensors and `recsys run` both act on these and no others.

Reading the world stays in `state`; starting runs stays with the sensors and the driver.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.slot_window import ONE_DAY, SlotWindow, days_between

INFERENCE_TAG = "recsys/inference"
"""Tag of a run that publishes: which inputs had been there when it was started."""

Outcome = Literal["unfinished", "refused", "waiting", "approved"]


@dataclass(frozen=True)
class Start:
    """One run to start.

    Attributes:
        job: Which job.
        run_key: Says what is to be done, and on which inputs.
        first: The first partition.
        last: The last one; the same as `first` except when a range of days is computed.
        tags: For the run.
        views: Of the job `refresh`, the views to compute; of the others, none are named and all assets take part.
        family: Of the job `decide`, the family that is decided on.
        asks: Of the job `decide`, what is asked for, as in `registry.approved.DecisionConfig`.
    """

    job: Literal["ingest", "refresh", "train", "recommend", "monitor", "decide", "dashboard"]
    run_key: str
    first: date
    last: date
    tags: Mapping[str, str] = field(default_factory=dict)
    views: tuple[str, ...] = ()
    family: str = ""
    asks: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def is_range(self) -> bool:
        """Whether the run computes a range of days at once."""
        return self.job in ("ingest", "refresh", "monitor")


@dataclass(frozen=True)
class DayStates:
    """What is known about days.

    Attributes:
        first: The first day of the platform.
        last: The last day of a replay; None for a live store.
        today: The day that has not ended yet, in the platform's time zone.
        landed: Landed day to the fingerprint of its files.
        ingested: Ingested day to the fingerprint that it was ingested from; empty for a day without files.
        running: Days that a run is ingesting at the moment.
        begin: Days before it are left as they are; None for all.
    """

    first: date
    last: date | None
    today: date
    landed: Mapping[date, str]
    ingested: Mapping[date, str]
    running: Collection[date] = frozenset()
    begin: date | None = None

    def is_closed(self, day: date) -> bool:
        """Whether no file of the day is expected any more: a later day has landed, or the day after has passed."""
        later = (landed for landed in self.landed if landed <= self.today)  # a file from the future proves nothing
        return day < max(later, default=date.min) or day + ONE_DAY < self.today

    def is_settled(self, day: date) -> bool:
        """Whether the day is ingested as it has landed; files that were cleared away afterwards are not missed."""
        if day not in self.ingested or day in self.running:
            return False
        return day not in self.landed or self.ingested[day] == self.landed[day]

    def expected(self) -> list[date]:
        """Every day that has ended and is closed or has landed, oldest first; none before anything has landed."""
        if not self.landed:
            return []
        newest = min(self.today - ONE_DAY, self.last or date.max)
        first = max(self.first, self.begin or self.first)
        return [day for day in days_between(first, newest) if day in self.landed or self.is_closed(day)]

    def newest_settled(self) -> date | None:
        """The newest ingested day; None while it is ingested again, because an older day's lists help nobody."""
        newest = max(self.ingested, default=None)
        return newest if newest is not None and self.is_settled(newest) else None


def ingestion(days: DayStates, failed: Collection[str] = frozenset()) -> list[Start]:
    """Runs for new and changed days; neighbouring days share one run.

    Args:
        days: What is known about days.
        failed: Keys of runs that have failed. The days of such a range are tried one by one, so that one bad file
            holds back no other day.
    """
    stale = [day for day in days.expected() if not days.is_settled(day) and day not in days.running]
    starts = [_ingest(first, last, days) for first, last in _ranges(stale)]
    return [one for start in starts for one in (_day_by_day(start, days) if start.run_key in failed else [start])]


def refresh(stale: Mapping[str, Mapping[date, str]]) -> list[Start]:
    """Runs for stored days of views that are made of something else by now; views of the same days share one run.

    Args:
        stale: View to its stale days, each with the fingerprint of what it is to be made of.
    """
    together: dict[tuple[date, date], list[str]] = {}
    for view, days in stale.items():
        for span in _ranges(sorted(days)):
            together.setdefault(span, []).append(view)
    starts = []
    for (first, last), views in sorted(together.items()):
        origins = " ".join(f"{view} {stale[view][day]}" for view in views for day in days_between(first, last))
        key = f"refresh:{first}..{last}:{_digest(origins)}"
        starts.append(Start("refresh", key, first, last, views=tuple(views)))
    return starts


def monitoring(stale: Mapping[date, str]) -> list[Start]:
    """Runs for days whose online metrics are missing or made of something else by now; neighbours share one run.

    Args:
        stale: The days, each with the fingerprint of what its metrics are to be made of.
    """
    starts = []
    for first, last in _ranges(sorted(stale)):
        origins = " ".join(stale[day] for day in days_between(first, last))
        starts.append(Start("monitor", f"monitor:{first}..{last}:{_digest(origins)}", first, last))
    return starts


def training(
    days: DayStates, windows: Sequence[SlotWindow], outcomes: Mapping[date, Outcome], running: Collection[date]
) -> list[Start]:
    """A run for the newest slot whose days are closed and ingested, unless it is done or under way.

    Args:
        days: What is known about days.
        windows: Every slot that exists, oldest first.
        outcomes: What became of a slot; a slot without an entry was never trained.
        running: Slots that a run is training at the moment.
    """
    for window in reversed(windows):
        if not _is_complete(days, window):
            continue
        is_done = outcomes.get(window.slot, "unfinished") != "unfinished"
        if is_done or window.slot in running:
            return []
        return [Start("train", f"{window.slot}", window.slot, window.slot)]
    return []


def inference(
    day: date | None,
    features: str,
    approvals: Mapping[str, int],
    published: str | None,
    running: Collection[date],
) -> list[Start]:
    """A run for the newest day, unless its lists were published from the same features and approvals.

    Args:
        day: The newest settled day.
        features: State of the features and of the configuration that lists are made by.
        approvals: Family to the id of the event that put its version in use.
        published: The inference key of the newest publication of `day`.
        running: Days whose lists a run is computing at the moment. What changes meanwhile waits for its end: two
            runs for one day would publish in any order.
    """
    if day is None or day in running or FALLBACK_FAMILY not in approvals:
        return []
    key = ":".join(
        [
            str(day),
            features,
            *(f"{name}-{approvals[name]}" for name in sorted(approvals)),
        ]
    )
    if key == published:
        return []
    return [Start("recommend", key, day, day, {INFERENCE_TAG: key})]


def dashboard(day: date, state: str, written: str | None) -> list[Start]:
    """A run for the page of the newest day, unless it was written from the same state.

    Args:
        day: The newest settled day.
        state: Fingerprint of what its page is to be made of.
        written: Fingerprint of what it was made of; None where there is none.
    """
    return [] if state == written else [Start("dashboard", f"dashboard:{day}:{state}", day, day)]


def _is_complete(days: DayStates, window: SlotWindow) -> bool:
    """Whether every day that the slot sees is closed and ingested as it has landed."""
    return all(days.is_closed(day) and days.is_settled(day) for day in days_between(days.first, window.last))


def _day_by_day(start: Start, days: DayStates) -> list[Start]:
    return [_ingest(day, day, days) for day in days_between(start.first, start.last)]


def _ingest(first: date, last: date, days: DayStates) -> Start:
    content = " ".join(days.landed.get(day, "-") for day in days_between(first, last))
    return Start("ingest", f"{first}..{last}:{_digest(content)}", first, last)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    """Runs of neighbouring days, as first and last."""
    ranges: list[tuple[date, date]] = []
    for day in days:
        if ranges and day == ranges[-1][1] + ONE_DAY:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
