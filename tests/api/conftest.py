"""A small shop that serves: real models in a real registry, a real lake, lists published into a real online store."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import redis
import requests
import uvicorn
from fastapi import FastAPI

from recsys_assets.api.app import build_app
from recsys_assets.api.keys import ApiKeys
from recsys_assets.api.services import Dependencies, Pauses
from recsys_assets.columns import ELIGIBLE_ITEMS
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.catalogue import find_family
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.platform import Platform
from recsys_assets.serving.generations import Generation, UserList, publish
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.landing import LocalLanding
from resources.model_registry import ModelRegistry, ModelVersion
from resources.online_store import OnlineStore

AS_OF = date(2026, 3, 15)
ITEMS = [f"i{number:03}" for number in range(60)]
FAMILIES = {
    "popularity": {"weight": 0},
    "item_item": {"weight": 1, "parameters": {"neighbours": 40}},
    "als": {"weight": 0.5, "parameters": {"factors": 8, "iterations": 3}},
}
LENGTH = 30
VERSIONS = {"als": "1", "item_item": "1", "popularity": "1"}
POPULAR = ITEMS[1 : LENGTH + 1]


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = datetime.fromisoformat("2026-03-16T12:00:00+09:00")

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Shop:
    """Everything that serves, and what it was made of.

    Attributes:
        platform: The configuration.
        registry: Holds a version of each family, approved.
        store: Its lake holds the catalogue of AS_OF.
        sales: What users did; each user is named like u07.
        folder: For event logs and landings.
    """

    platform: Platform
    registry: ModelRegistry
    store: FeatureStore
    sales: Interactions
    folder: Path

    def history(self, user_id: str) -> pl.DataFrame:
        """What one user did, newest first."""
        return self.sales.rows.filter(pl.col("user_id") == user_id).sort("day", descending=True)

    def release(self, family: str, rows: pl.DataFrame | None = None, *, approves: bool = True) -> ModelVersion:
        """Fit, register and approve a version."""
        found = find_family(family)
        parameters = found.parameters(**self.platform.families[family].parameters)
        model = found.fit(self.sales if rows is None else Interactions(rows, AS_OF), parameters, 0)
        folder = self.folder / f"{family}-{len(self.registry.versions(family))}"
        folder.mkdir()
        save(Artifact(model, Provenance(AS_OF, AS_OF, 0, 1, "abc", "1.0")), found, folder)
        tags = {"trained_through": str(AS_OF)}
        version = self.registry.register(family, AS_OF, folder, tags=tags, params={})
        self.registry.add_artifact(version, folder, "release")
        self.registry.set_status(version, "Approved", "passed")
        if approves:
            self.registry.point_approved_at(version)
        return version

    @property
    def catalogue(self) -> pl.DataFrame:
        """The eligible items."""
        return self.store.lake.scan(ELIGIBLE_ITEMS).collect()

    def store_of(self, platform: Platform) -> FeatureStore:
        """The same store under another configuration."""
        return replace(self.store, platform=platform)

    def publish(
        self,
        client: redis.Redis,
        lists: Mapping[str, Sequence[str]],
        arms: Mapping[str, Mapping[str, str]] | None = None,
        **more: Any,
    ) -> Generation:
        """Publish lists of AS_OF, by user, with the histories that the users have."""
        users = [UserList(user, items, history=self.history(user), **more) for user, items in lists.items()]
        return publish(client, AS_OF, VERSIONS, users, POPULAR, arms)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop; tests leave its first versions and its lake as they are."""
    folder = tmp_path_factory.mktemp("shop")
    columns = {name: name for name in ("user_id", "item_id", "occurred_at", "quantity", "unit_price")}
    events = {"path": "events/{date}.csv", "columns": columns, "event_type": {"column": "event_type"}}
    content = {"time_zone": "Asia/Seoul", "first_day": AS_OF - timedelta(days=30), "sources": {"events": events}}
    content |= {"event_weights": {"view": 0.1, "purchase": 1.0}, "recommendations": {"list_length": LENGTH}}
    content |= {"training": {"min_history_days": 10}}
    platform = Platform.model_validate({**content, "families": FAMILIES})
    registry = ModelRegistry(
        tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"), lock_folder=str(folder)
    )
    lake = DeltaLake(root=str(folder / "lake"))
    rng = np.random.default_rng(7)
    sales = pl.DataFrame(
        {
            "user_id": [f"u{number:02}" for number in rng.integers(0, 40, 600)],
            "item_id": [ITEMS[number] for number in rng.zipf(1.3, 600) % 50],  # nobody took the last ten
            "day": [AS_OF - timedelta(days=int(age)) for age in rng.integers(0, 25, 600)],
            "weight": 1.0,
        },
        schema=HISTORY_SCHEMA,
    )
    eligible = pl.DataFrame(
        {
            "ds": AS_OF,
            "item_id": ITEMS[1:],  # the first one is not on sale any more
            "creator": [f"creator{number % 7}" for number in range(1, 60)],
            "category": [f"category{number % 4}" for number in range(1, 60)],
            "is_adult": [number % 11 == 0 for number in range(1, 60)],
        },
        schema=ELIGIBLE_ITEMS.schema,
    )
    lake.replace(ELIGIBLE_ITEMS, eligible, (AS_OF, AS_OF))
    made = Shop(platform, registry, FeatureStore(platform, lake, PolarsEngine()), Interactions(sales, AS_OF), folder)
    for family in FAMILIES:
        made.release(family)
    return made


@dataclass(frozen=True)
class Serving:
    """An API under test.

    Attributes:
        url: Where it is.
        app: Its application.
        given: What it works with.
        clock: What time it believes it is.
        session: Connections to it.
    """

    url: str
    app: FastAPI
    given: Dependencies
    clock: Clock
    session: requests.Session

    @property
    def services(self) -> Any:
        """Its insides."""
        return self.app.state.services

    def get(self, path: str, **query: Any) -> requests.Response:
        """Ask."""
        return self.session.get(self.url + path, params=query, timeout=30)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """Tell."""
        return self.session.post(self.url + path, json=body, timeout=30, **options)

    def items(self, user_id: str, **query: Any) -> list[str]:
        """The ids on a user's list."""
        return listed(self.get(f"/v1/users/{user_id}/recommendations", **query))

    def rank(self, **asked: Any) -> list[str]:
        """The ids of a list that is ranked now."""
        return listed(self.post("/v1/recommendations", asked))

    def bought(self, user_id: str, item_id: str, event_type: str = "purchase", **more: Any) -> dict[str, Any]:
        """Post an event of now, and give what is told."""
        self.clock.now += timedelta(seconds=1)
        event = {"user_id": user_id, "item_id": item_id, "event_type": event_type, "event_id": uuid.uuid4().hex}
        event |= {"occurred_at": self.clock.now.isoformat(), **more}
        answer = self.post("/v1/events", {"events": [event]})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def until(self, is_so: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for something that happens beside the requests."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "it has not happened"
            time.sleep(0.01)


def listed(answer: requests.Response) -> list[str]:
    """The ids of a list, which has no item twice and is ranked from 1 on."""
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["rank"] for item in items] == [*range(1, len(items) + 1)]
    ids = [item["item_id"] for item in items]
    assert len(ids) == len(set(ids))
    return ids


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """A real server of an application, on a port of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


Serve = Callable[..., Any]


@pytest.fixture
def serve(shop: Shop, valkey_folder: Path, tmp_path: Path) -> Serve:
    """Starts the API of the shop; watches look rarely, tests call them."""

    @contextmanager
    def started(keys: ApiKeys | None = None, *, loads: bool = True, **changed: Any) -> Iterator[Serving]:
        clock = Clock()
        connection = OnlineStore(folder=str(valkey_folder), timeout_seconds=0.5, retries=1)
        given = Dependencies(
            store=shop.store,
            registry=shop.registry,
            landing=LocalLanding(root=str(tmp_path / "landing")),
            connect=connection.connect,
            events=tmp_path / "events",
            clock=clock,
            pauses=Pauses(store=0.05, models=1e6, served=1e6, landing=1e6),
        )
        given = replace(given, **changed)
        app = build_app(given, keys or ApiKeys())
        with running(app) as url, requests.Session() as session:
            serving = Serving(url, app, given, clock, session)
            serving.until(lambda: app.state.services.popular or not loads)
            yield serving

    return started


@pytest.fixture
def api(serve: Serve, shop: Shop, valkey: redis.Redis) -> Iterator[Serving]:
    """The API, with lists of some users published."""
    shop.publish(valkey, {"u01": ITEMS[20:50], "u02": ITEMS[30:60]})
    with serve() as serving:
        yield serving
