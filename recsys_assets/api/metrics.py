"""What `/metrics` shows, in the format of Prometheus.

With several workers each is a process of its own: `recsys serve` then sets `PROMETHEUS_MULTIPROC_DIR`, the workers
write their figures into that folder, and whoever is asked adds them up.
"""

import os
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
UNKNOWN_ROUTE = "unknown"


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        here = self.registry
        self.requests = Counter(
            "recsys_requests", "Requests by route, method and status.", ("route", "method", "status"), registry=here
        )
        self.seconds = Histogram(
            "recsys_request_seconds", "Time to the end of the answer.", ("route",), buckets=BUCKETS, registry=here
        )
        self.lists = Counter("recsys_lists", "Lists by where they came from.", ("origin",), registry=here)
        self.events = Counter("recsys_events", "Events by what became of them.", ("answer",), registry=here)
        self.landed = Counter("recsys_landed_rows", "Rows that were put into the landing.", registry=here)
        self.reloads = Counter("recsys_model_loads", "Models that were loaded.", registry=here)
        self.generation_day = Gauge(
            "recsys_generation_as_of_seconds",
            "The last day that the generation in use knows, as seconds since 1970.",
            multiprocess_mode="livemax",
            registry=here,
        )
        self.is_well = Gauge(
            "recsys_component_is_well",
            "Whether a component is well.",
            ("component",),
            multiprocess_mode="livemin",
            registry=here,
        )

    def text(self) -> bytes:
        """All of it, of all workers."""
        folder = os.environ.get(MULTIPROCESS_FOLDER)
        if not folder:
            return generate_latest(self.registry)
        _let_the_dead_be(Path(folder))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _let_the_dead_be(folder: Path) -> None:
    """Drop the gauges of workers that are gone: they would say for ever how these were. Their counts stay."""
    workers = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    for worker in workers:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class Measured:
    """ASGI middleware that counts requests and measures how long they take."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path_format", UNKNOWN_ROUTE)
        method = scope["method"] if route != UNKNOWN_ROUTE else UNKNOWN_ROUTE  # it is any word, and so many labels
        key = (route, method, status)
        if key not in self._counters:
            self._counters[key] = self.metrics.requests.labels(*map(str, key))
            self._timers[route] = self.metrics.seconds.labels(route)
        self._counters[key].inc()
        self._timers[route].observe(seconds)
