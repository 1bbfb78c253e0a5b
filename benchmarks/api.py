"""The API on one worker: stored lists against an empty FastAPI endpoint, and real time in process. Loopback only.

    python benchmarks/api.py [SECONDS]

The shop has 10,000 items, an ALS of 64 factors with popularity behind it, and 10,000 users with lists of 200 ids of
8 characters in the embedded server. Both servers run as `recsys serve` runs them, with its middleware around the
API and nothing around the empty endpoint. They are asked in turns, by one process with as many connections as are
said; whoever asks takes a core of the two, so that absolute figures are those of this machine.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import uvicorn
import uvloop
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from recsys_assets.api.app import build_app
from recsys_assets.api.keys import ApiKeys
from recsys_assets.api.services import Dependencies
from recsys_assets.cli.serve import SWITCH_SECONDS
from recsys_assets.columns import ELIGIBLE_ITEMS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models import als, popularity
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Model
from recsys_assets.platform import Platform
from recsys_assets.serving.generations import UserList, publish
from resources import embedded_valkey
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.landing import LocalLanding
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore

DAY = date(2026, 1, 5)
USERS, ITEMS, FACTORS, LENGTH, HISTORY = 10_000, 10_000, 64, 200, 100
LONELY, BUSY = (1,), (16, 64)
"""Connections: one shows how long a list takes alone, many how many there can be; the goals are for many."""
ROUNDS = 5
RANKINGS = 300
RATE_GOAL, TAIL_GOAL, RANKING_GOAL_MS = 0.5, 5.0, 5.0
ITEM_IDS = [f"B{number:07d}" for number in range(ITEMS)]
USER_IDS = [f"U{number:07d}" for number in range(USERS)]


@dataclass(frozen=True)
class Load:
    """What came of asking for a while.

    Attributes:
        rate: Answers per second.
        p50_ms: Half of them took less.
        p99_ms: All but one in a hundred took less.
    """

    rate: float
    p50_ms: float
    p99_ms: float


def main() -> int:
    """Print the tables; 1 where a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as name:
        folder = Path(name)
        make_shop(folder)
        try:
            is_met = stored_lists(folder, seconds)
            is_met &= real_time(folder)
        finally:
            embedded_valkey.stop(folder / "valkey")
    return int(not is_met)


# --- Stored lists, over the wire ---


def stored_lists(folder: Path, seconds: float) -> bool:
    """Ask both servers in turns; whether the goals are met."""
    print(f"Stored lists, one worker, rounds of {seconds:g} s in turns, medians of {ROUNDS}")
    print(f"{'':38}{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'rate':>7}{'p99':>7}")
    is_met = True
    with serving(serve_empty, folder) as empty, serving(serve_lists, folder) as lists:
        for connections in LONELY + BUSY:
            loads: dict[str, list[Load]] = {"": [], "?limit=20": [], "?limit=200": []}
            for _ in range(ROUNDS):
                for query, found in loads.items():
                    paths = [f"/v1/users/{user}/recommendations{query}" for user in USER_IDS] if query else ["/"]
                    found.append(asked(lists if query else empty, paths, connections, seconds))
            bare, *found = (middle(one) for one in loads.values())
            show("empty FastAPI endpoint", connections, bare, bare)
            for items, load in zip((20, 200), found, strict=True):
                show(f"lists of {items} items", connections, load, bare)
            is_fast = found[0].rate >= RATE_GOAL * bare.rate and found[0].p99_ms <= TAIL_GOAL * bare.p99_ms
            is_met &= is_fast or connections in LONELY
    print(f"goal, of lists of 20 items on many connections: rate at least {RATE_GOAL}, p99 at most {TAIL_GOAL:g}")
    return is_met


def middle(loads: Sequence[Load]) -> Load:
    """The medians."""
    return Load(*(statistics.median(getattr(one, name) for one in loads) for name in ("rate", "p50_ms", "p99_ms")))


def show(what: str, connections: int, load: Load, bare: Load) -> None:
    """One line of the table; the last two columns are ratios to the empty endpoint."""
    ratios = f"{load.rate / bare.rate:7.2f}{load.p99_ms / bare.p99_ms:7.2f}"
    print(f"{what:38}{connections:12}{load.rate:12,.0f}{load.p50_ms:9.2f}{load.p99_ms:9.2f}{ratios}", flush=True)


def asked(port: int, paths: Sequence[str], connections: int, seconds: float) -> Load:
    """Ask a server with some connections at once, each as soon as it has its answer."""
    requests = [f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() for path in paths]
    times: list[float] = []
    began = time.perf_counter()
    uvloop.run(_asked(port, requests, connections, began + seconds, times))
    took = time.perf_counter() - began
    milliseconds = np.array(times) * 1_000
    return Load(len(times) / took, *(float(np.percentile(milliseconds, share)) for share in (50, 99)))


async def _asked(port: int, requests: Sequence[bytes], connections: int, end: float, times: list[float]) -> None:
    await asyncio.gather(*(_one(port, requests, place, end, times) for place in range(connections)))


async def _one(port: int, requests: Sequence[bytes], place: int, end: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    while began < end:
        place = (place + 7_919) % len(requests)
        writer.write(requests[place])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = head.index(b"content-length: ") + len(b"content-length: ")
        await reader.readexactly(int(head[length : head.index(b"\r\n", length)]))
        now = time.perf_counter()
        times.append(now - began)
        began = now
    writer.close()


@contextmanager
def serving(serve: Callable[[Path, Any], None], folder: Path) -> Iterator[int]:
    """The port of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(folder, theirs))
    process.start()
    try:
        yield int(ours.recv())
    finally:
        process.terminate()
        process.join()


def serve_empty(folder: Path, told: Any) -> None:
    """An endpoint that does nothing."""
    del folder
    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, str]:
        return {}

    _serve(app, told)


def serve_lists(folder: Path, told: Any) -> None:
    """The API."""
    sys.setswitchinterval(SWITCH_SECONDS)
    _serve(build_app(dependencies(folder), ApiKeys()), told)


def _serve(app: FastAPI, told: Any) -> None:
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "access_log": False, "log_level": "warning"}
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws="none", **options))

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        services = getattr(app.state, "services", None)
        while services is not None and not services.popular:  # models are being loaded
            await asyncio.sleep(0.1)
        told.send(server.servers[0].sockets[0].getsockname()[1])
        await task

    uvloop.run(run())


# --- Real time, in process ---


def real_time(folder: Path) -> bool:
    """Answer requests without a socket between; whether the goal is met."""
    sys.setswitchinterval(SWITCH_SECONDS)
    history = [{"item_id": ITEM_IDS[place * 97], "event_type": "purchase"} for place in range(HISTORY)]
    bodies = {
        f"a history of {HISTORY} items": {"history": history},
        f"a user with {HISTORY} known items, and a session": {"user_id": USER_IDS[0], "history": history[:3]},
    }
    print(f"\nReal time in process: {ITEMS:,} items, {FACTORS} factors, the whole way from JSON to JSON")
    found = {}
    with threadpool_limits(1):
        app = build_app(dependencies(folder), ApiKeys())
        app.state.services.start()
        while not app.state.services.popular:
            time.sleep(0.1)
        app.state.services.lists.look()
        for what, body in bodies.items():
            times = asyncio.run(_ranked(app, json.dumps(body).encode()))
            found[what] = np.percentile(np.array(times[20:]) * 1_000, [50, 99])
            print(f"{what:52}{found[what][0]:8.2f} ms p50{found[what][1]:8.2f} ms p99", flush=True)
        app.state.services.stop()
    print(f"goal, of a history: p50 under {RANKING_GOAL_MS:g} ms")
    return bool(next(iter(found.values()))[0] < RANKING_GOAL_MS)


async def _ranked(app: FastAPI, body: bytes) -> list[float]:
    """Seconds of each request."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "headers": headers}
    scope |= {"path": "/v1/recommendations", "raw_path": b"", "query_string": b"", "root_path": "", "scheme": "http"}
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    times = []
    for _ in range(RANKINGS):
        began = time.perf_counter()
        await app(dict(scope), receive, send)
        times.append(time.perf_counter() - began)
    if set(statuses) != {200}:
        raise RuntimeError(f"answered with {set(statuses)}")
    return times


# --- The shop ---


def platform() -> Platform:
    """A store with two families."""
    columns = {name: name for name in ("user_id", "item_id", "occurred_at")}
    events = {"path": "{date}.csv", "columns": columns, "event_type": {"default": "purchase"}}
    families = {"popularity": {"weight": 0}, "als": {"parameters": {"factors": FACTORS}}}
    return Platform.model_validate({"first_day": DAY, "sources": {"events": events}, "families": families})


def dependencies(folder: Path) -> Dependencies:
    """What the API works with."""
    return Dependencies(
        store=FeatureStore(platform(), DeltaLake(root=str(folder / "lake")), PolarsEngine()),
        registry=registry_in(folder),
        landing=LocalLanding(root=str(folder / "landing")),
        connect=OnlineStore(folder=str(folder / "valkey"), timeout_seconds=0.5, retries=1).connect,
        events=folder / f"events-{os.getpid()}",
        clock=lambda: datetime.now(tz=UTC),
    )


def registry_in(folder: Path) -> ModelRegistry:
    """MLflow on SQLite."""
    return ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))


def make_shop(folder: Path) -> None:
    """A catalogue, two approved models, and everybody's list."""
    rng = np.random.default_rng(0)
    item_ids = pl.Series("item_id", ITEM_IDS)
    eligible = {"ds": DAY, "item_id": item_ids, "creator": [f"c{place % 500}" for place in range(ITEMS)]}
    eligible |= {"category": [f"k{place % 20}" for place in range(ITEMS)], "is_adult": [False] * ITEMS}
    rows = pl.DataFrame(eligible, schema=ELIGIBLE_ITEMS.schema)
    DeltaLake(root=str(folder / "lake")).replace(ELIGIBLE_ITEMS, rows, (DAY, DAY))
    factors = (rng.standard_normal((ITEMS, FACTORS)) * 0.1).astype(np.float32)
    approve(folder, als.FAMILY, als.AlsModel(item_ids, als.AlsParameters(factors=FACTORS), factors))
    counts = rng.random(ITEMS, dtype=np.float32)
    approve(folder, popularity.FAMILY, popularity.PopularityModel(item_ids, popularity.PopularityParameters(), counts))
    history = pl.DataFrame(
        {
            "user_id": USER_IDS[0],
            "item_id": [ITEM_IDS[place * 89] for place in range(HISTORY)],
            "day": [DAY - timedelta(days=place % 90) for place in range(HISTORY)],
            "weight": 1.0,
        },
        schema=HISTORY_SCHEMA,
    )
    users = (
        UserList(
            user,
            [ITEM_IDS[(number + place * 41) % ITEMS] for place in range(LENGTH)],
            excluded_ids=history["item_id"].to_list() if not number else (),
            history=history if not number else history.clear(),
        )
        for number, user in enumerate(USER_IDS)
    )
    client = OnlineStore(folder=str(folder / "valkey")).connect()
    publish(client, DAY, {"als": "1", "popularity": "1"}, users, ITEM_IDS[:LENGTH])


def approve(folder: Path, family: Family, model: Model) -> None:
    """Register a model as the version in use."""
    artifact = folder / f"artifact-{family.name}"
    artifact.mkdir()
    save(Artifact(model, Provenance(DAY, DAY, 0, 1, "abc", "1.0")), family, artifact)
    registry = registry_in(folder)
    version = registry.register(family.name, DAY, artifact, tags={"trained_through": str(DAY)}, params={})
    registry.add_artifact(version, artifact, "release")
    registry.set_status(version, "Approved", "it is the only one")
    registry.point_approved_at(version)


if __name__ == "__main__":
    sys.exit(main())
