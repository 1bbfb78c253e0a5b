"""Everything that the endpoints share, and what goes on beside the requests. One `Services` per process."""

import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path

import polars as pl

from recsys_assets.api.batching import Batches
from recsys_assets.api.components import Components
from recsys_assets.api.event_log import Answer, Entry, EventLog, EventLogError
from recsys_assets.api.landing_day import land_finished
from recsys_assets.api.live_models import LiveModels
from recsys_assets.api.metrics import Metrics
from recsys_assets.api.overlays import Overlays
from recsys_assets.api.periodic import Periodic
from recsys_assets.api.real_time import popular_list
from recsys_assets.api.segments import deeds_in
from recsys_assets.api.served_lists import ServedList, as_entry
from recsys_assets.api.store_guard import StoreGoneError, StoreGuard
from recsys_assets.api.stored_lists import StoredList, StoredLists
from recsys_assets.api.workers import Workers
from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.features.store import FeatureStore
from recsys_assets.ingestion.forgotten_in_lake import read_forgotten
from recsys_assets.serving.generation import Generation, PublicationError
from recsys_assets.serving.overlay import Overlaid
from resources.landing import Landing
from resources.model_registry import ModelRegistry
from resources.online_store import Client

LOGGER = logging.getLogger(__name__)
EVENT_LOG, LANDING, LISTS = "event_log", "landing", "published_lists"
MOST_WAITING = 4_096
MOST_RANKING = 256
SERVED_KEPT = 50_000
"""Lists whose impressions wait to be written; beyond, they are dropped: they are figures, and no promise was made."""


@dataclass(frozen=True)
class Pauses:
    """Seconds between two looks at something."""

    store: float = 0.5
    models: float = 15.0
    served: float = 1.0
    landing: float = 30.0


@dataclass(frozen=True)
class Dependencies:
    """What the API works with.

    Attributes:
        store: Features, configuration, and the lake.
        registry: Where the models are.
        landing: Where finished days go.
        connect: Gives a client of the online store, with short timeouts; it may raise OnlineStoreError.
        events: Folder of the event log.
        clock: What time it is.
        pauses: How often to look at things.
        logs_served: Whether what is served is landed as impressions; not where the shop posts its own.
        threads: How many lists are ranked at once.
    """

    store: FeatureStore
    registry: ModelRegistry
    landing: Landing
    connect: Callable[[], Client]
    events: Path
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    pauses: Pauses = Pauses()
    logs_served: bool = True
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True)
class Posted:
    """What one request tells.

    Attributes:
        entries: What is to be kept: of events first, then of impressions.
        deeds: What the events say that users did, in the same order.
    """

    entries: Sequence[Entry]
    deeds: Sequence[Overlaid]


class Services:
    """The shared parts of one process; `start` before the first request, `stop` after the last one.

    Args:
        given: What to work with.
    """

    def __init__(self, given: Dependencies) -> None:
        platform = given.store.platform
        self.platform, self.clock, self.lake = platform, given.clock, given.store.lake
        self.components, self.metrics = Components(given.clock), Metrics()
        self.guard = StoreGuard(given.connect, self.components)
        self.lists = StoredLists(self.guard, platform.rules)
        self.live = LiveModels(given.store, given.registry, self._generation, self.components)
        self.log = EventLog(given.events, platform.zone, given.clock)
        self.overlays = Overlays(self.guard, platform.recommendations.overlay_days, self._deeds_in_log)
        self._served_segments = EventLog(given.events, platform.zone, given.clock)  # of another thread
        self.served: list[Entry] = []
        self.popular: list[str] = []
        self._given = given
        self._loops = [
            Periodic(self._watch_store, given.pauses.store, "store"),
            Periodic(self._watch_models, given.pauses.models, "models"),
            Periodic(self._land, given.pauses.landing, "landing"),
        ]

    @cached_property
    def stored(self) -> Batches[str, StoredList | None]:
        """Published lists, by user id."""
        return Batches(self.lists.read, "stored-lists", MOST_WAITING)

    @cached_property
    def accepted(self) -> Batches[Posted, list[Answer]]:
        """The event log; what has an answer is durable, and every list from now on knows of it."""
        return Batches(self._append, "event-log", MOST_WAITING)

    @cached_property
    def workers(self) -> Workers:
        """Threads for ranking."""
        return Workers(self._given.threads, MOST_RANKING)

    @cached_property
    def _served_log(self) -> Periodic:
        return Periodic(self._write_served, self._given.pauses.served, "served")

    @property
    def can_serve(self) -> bool:
        """Whether anybody gets a list, if only the popular items."""
        return bool(self.popular) or self.lists.in_use is not None

    def start(self) -> None:
        """Begin to watch; the store is asked before this returns, models are loaded beside the first requests."""
        self._watch_store()
        for loop in (*self._loops, self._served_log):
            loop.start()

    def stop(self) -> None:
        """Write what is still to be written, and let go of everything."""
        for loop in (*self._loops, self._served_log):
            loop.stop()
        self.overlays.catch_up()
        self._write_served()
        self.stored.close()
        self.accepted.close()
        self.workers.close()
        self.log.close()
        self._served_segments.close()

    def note_served(self, served: ServedList, surface: str) -> None:
        """Remember a list that was served, to be written soon; lost where the process is killed before."""
        if self._given.logs_served and len(self.served) < SERVED_KEPT:
            self.served.append(as_entry(served, self.clock(), surface))

    def measure(self) -> None:
        """Set the gauges; every worker does, so that whichever is asked tells of all."""
        for name, state in self.components.states().items():
            self.metrics.is_well.labels(name).set(state.is_well)
        generation = self._generation()
        if generation is not None:
            begin = datetime.combine(generation.as_of, time(), self.platform.zone)
            self.metrics.generation_day.set(begin.timestamp())

    def _append(self, batch: Sequence[Posted]) -> list[list[Answer]]:
        flat = iter(self._kept([entry for posted in batch for entry in posted.entries]))
        answers = [[next(flat) for _ in posted.entries] for posted in batch]
        told = [
            deed
            for posted, mine in zip(batch, answers, strict=True)
            for deed, answer in zip(posted.deeds, mine, strict=False)  # impressions follow, which are no deeds
            if answer == "accepted"
        ]
        self.overlays.tell(told)
        return answers

    def _kept(self, entries: Sequence[Entry]) -> list[Answer]:
        try:
            answers = self.log.append(entries)
        except EventLogError as error:
            self.components.tell(EVENT_LOG, str(error), is_well=False)
            raise
        self.components.tell(EVENT_LOG, "takes events", is_well=True)
        return answers

    def _deeds_in_log(self) -> Iterator[Overlaid]:
        return deeds_in(self.log.folder, read_forgotten(self.lake))

    def _generation(self) -> Generation | None:
        return None if self.lists.in_use is None else self.lists.in_use.generation

    def _watch_store(self) -> None:
        self.guard.watch()
        self._look()
        self.measure()
        self.overlays.catch_up()

    def _look(self) -> None:
        """See which generation is in use, also where nobody asks for a list."""
        try:
            in_use = self.lists.look()
        except StoreGoneError:
            return  # its own component says so
        except PublicationError as error:
            self.components.tell(LISTS, str(error), is_well=False)
            return
        detail = "none are published yet; `recsys run` makes them" if in_use is None else in_use.generation.name
        self.components.tell(LISTS, detail, is_well=in_use is not None)

    def _watch_models(self) -> None:
        before = self.live.reloads
        self.live.watch()
        self.popular = popular_list(self.live.snapshot, self.platform)
        loaded = self.live.reloads - before
        self.metrics.reloads.inc(loaded)
        if loaded:
            gc.collect()
            gc.freeze()  # what is here now stays: looking through all of it again would stop every request for a moment

    def _land(self) -> None:
        try:
            self.log.check()
            landed = land_finished(self.log, self._given.landing, self._sources_of)
        except EventLogError as error:
            self.components.tell(EVENT_LOG, str(error), is_well=False)
            return
        except Exception:
            LOGGER.exception("finished days cannot be landed; they are kept and tried again")
            self.components.tell(LANDING, "finished days wait: they cannot be landed, see the log", is_well=False)
            return
        self.components.tell(EVENT_LOG, "takes events", is_well=True)
        self.components.tell(LANDING, "finished days are landed", is_well=True)
        self.metrics.landed.inc(sum(landed.values()))

    def _sources_of(self, day: date, users: pl.Series) -> pl.DataFrame:
        """What brought the items of the lists of a day."""
        mine = self.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).filter(pl.col("user_id").is_in(users.implode()))
        rows = mine.select("user_id", item_id="item_ids", source="sources")
        return rows.explode("item_id", "source", empty_as_null=False, keep_nulls=False).collect()

    def _write_served(self) -> None:
        noted, self.served = self.served, []
        if noted:
            self._served_segments.note(noted)
