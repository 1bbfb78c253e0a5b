"""A small shop whose ids and titles are as odd as the outside world's, with its lists, served to anybody who asks."""

import http.client
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import polars as pl
import pytest
import redis
from fastapi import FastAPI

from recsys_assets.columns import (
    EVENTS,
    FINAL_RECOMMENDATIONS,
    INTERACTIONS,
    ITEMS,
    USER_BLOCKS,
    USERS,
    Table,
    recommendations_table,
)
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.inspector.pages import build_router
from recsys_assets.inspector.readings import Readings
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.catalogue import find_family
from recsys_assets.models.family import Interactions
from recsys_assets.platform import Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStoreError

TODAY, TOMORROW = date(2026, 1, 9), date(2026, 1, 10)
HTML = '<script>alert("x")</script>'
LONG = "x" * 10_000
ODD_USERS = (HTML, "a/b", "..", "../../etc/passwd", "用户 7", "?id=ann&x=1", "100%", "a+b c", "recs:1:ann", LONG)
ODD_TITLE = "<img src=x onerror=alert(1)> \"quoted\" & 'so on' </title>"
TYPES = {"purchase": 1, "view": 0, "refund": 0}
EVENTS_TOLD = (
    ("ann", "dune", "purchase", 2),
    ("ann", "dune", "view", 2),
    ("ann", "emma", "view", 3),
    ("ann", "ilium", "purchase", 4),
    ("ann", "ilium", "refund", 5),
    ("bob", "dune", "purchase", 2),
    ("bob", "emma", "purchase", 3),
    ("cid", "dune", "purchase", 2),
    ("cid", "ilium", "purchase", 3),
    ("tester", "dune", "purchase", 2),
    *(("robot", f"item{number}", "view", 2) for number in range(6)),
    *((user, "dune", "purchase", 6) for user in ODD_USERS),
    *((user, HTML, "view", 7) for user in ODD_USERS),
)
CATALOGUE: tuple[Mapping[str, Any], ...] = (
    {"item_id": "dune", "title": "Dune", "creator": "Herbert", "category": "space"},
    {"item_id": "emma", "title": "Emma", "creator": "Austen", "category": "classics"},
    {"item_id": "ilium", "title": "Ilium", "creator": "Simmons", "category": "space"},
    {"item_id": "persuasion", "title": "Persuasion", "creator": "Austen", "category": "classics"},
    {"item_id": "sonnets", "title": "Sonnets", "creator": "Shakespeare", "category": "poems"},
    {"item_id": "fanny", "title": "Fanny Hill", "creator": "Cleland", "is_adult": True},
    {"item_id": "future", "title": "The Future", "released_on": date(2026, 2, 1)},
    {"item_id": "gone", "title": "Gone", "withdrawn_on": date(2026, 1, 5)},
    {"item_id": HTML, "title": ODD_TITLE, "creator": HTML, "category": HTML},
    {"item_id": "untitled"},
)
BLOCKS = (("ann", "item", "sonnets"), ("ann", "creator", "Austen"), ("bob", "category", "poems"))
LISTS = {"ann": (HTML, "untitled"), "bob": ("ilium", HTML, "untitled")}
Get = Callable[..., tuple[int, Mapping[str, str], str]]


def at(day: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, 9, minute, tzinfo=UTC)


def rows_of(table: Table, *rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in table.schema} for row in rows], schema=table.schema)


@pytest.fixture(scope="session")
def odd_platform(tiny_platform: Platform) -> Platform:
    """Two families: neighbours that blend, and popularity that fills up."""
    families = {"popularity": {"window_days": 30, "weight": 0}, "item_item": {"window_days": 60}}
    return Platform.model_validate({**tiny_platform.model_dump(by_alias=True, exclude_none=True), "families": families})


@pytest.fixture(scope="session")
def odd_store(odd_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The shop up to 9 January, with the snapshot views of the day."""
    lake = DeltaLake(root=str(tmp_path_factory.mktemp("odd") / "lake"))
    store = FeatureStore(odd_platform, lake, PolarsEngine())
    first = date(2026, 1, 1)
    events = [
        {
            "ds": at(day).date(),
            "user_id": user,
            "item_id": item,
            "event_type": kind,
            "occurred_at": at(day, minute % 60),
        }
        | {"quantity": 1, "unit_price": 10.0}
        for minute, (user, item, kind, day) in enumerate(EVENTS_TOLD)
    ]
    users = (
        {"ds": first, "user_id": user, "is_adult_verified": user == "bob", "is_test": user == "tester"}
        for user in ("ann", "bob", "tester")
    )
    blocks = (
        {"ds": first, "user_id": user, "target": target, "target_id": name, "is_blocked": True, "changed_at": at(1)}
        for user, target, name in BLOCKS
    )
    for table, told in ((EVENTS, events), (USERS, users), (USER_BLOCKS, blocks)):
        lake.replace(table, rows_of(table, *told), (first, TODAY))
    lake.replace(ITEMS, rows_of(ITEMS, *({"ds": first} | dict(item) for item in CATALOGUE)), (first, TODAY))
    lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], first, TODAY), (first, TODAY))
    for view in SNAPSHOTS:
        lake.replace(view.table, store.compute(view, TODAY, TODAY), (TODAY, TODAY))
    return store


@pytest.fixture(scope="session")
def version(odd_store: FeatureStore, model_registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A released version of the neighbours, which has seen all that happened."""
    family = find_family("item_item")
    folder: Path = tmp_path_factory.mktemp("release")
    model = family.fit(Interactions(odd_store.history(TODAY, 60), TODAY), family.parameters(), 0)
    save(Artifact(model, Provenance(TOMORROW, TODAY, 0, 0, "spec", "1.0")), family, folder)
    tags = {TRAINED_THROUGH: str(TODAY)}
    registered = model_registry.register("item_item", TOMORROW, folder, tags=tags, params={})
    model_registry.add_artifact(registered, folder, "release")
    model_registry.log_metrics(
        registered,
        {f"ndcg_at_10{end}": value for end, value in zip(("", "_low", "_high"), (0.2, 0.1, 0.3), strict=True)},
    )
    model_registry.point_approved_at(registered)
    return str(registered.version)


@pytest.fixture(scope="session")
def odd_lists(odd_store: FeatureStore, version: str) -> None:
    """The day's lists: neighbours for who has some, popularity for everybody, both in the final ones."""
    lake, users = odd_store.lake, ("ann", "bob", "tester", "robot", *ODD_USERS)
    popular = ("dune", HTML)
    versions = [{"family": "item_item", "version": version}, {"family": "popularity", "version": "1"}]
    shared = {"ds": TODAY, "versions": versions, "arm": "default"}
    own = [
        shared
        | {"user_id": user, "item_ids": LISTS.get(user, popular), "version": version, "is_fallback": user not in LISTS}
        for user in users
    ]
    tables = {
        recommendations_table("item_item"): own,
        recommendations_table("popularity"): [
            shared | {"user_id": user, "item_ids": popular, "version": "1", "is_fallback": False} for user in users
        ],
        FINAL_RECOMMENDATIONS: [one | _final(one["item_ids"], is_fallback=one["is_fallback"]) for one in own],
    }
    for table, rows in tables.items():
        filled = [_filled(table, row) for row in rows]
        lake.replace(table, rows_of(table, *filled), (TODAY, TODAY))


def _final(item_ids: tuple[str, ...], *, is_fallback: bool) -> dict[str, Any]:
    return {"sources": ["popularity" if is_fallback else "item_item"] * len(item_ids)}


def _filled(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with something of the right length in every list that is not given."""
    length = len(row["item_ids"])
    blank: dict[pl.DataType, list[Any]] = {
        pl.List(pl.Float32): [0.5] * length,
        pl.List(pl.String): ["blend"] * length,
        pl.List(pl.List(pl.String)): [["item_item"]] * length,
    }
    return {name: row[name] if name in row else blank.get(dtype) for name, dtype in table.schema.items()}


def no_store() -> redis.Redis:
    raise OnlineStoreError("the online store does not answer (it was never there)")


@pytest.fixture(scope="session")
def readings(odd_store: FeatureStore, model_registry: ModelRegistry, odd_lists: None) -> Readings:
    """Of the shop, whose online store is gone."""
    del odd_lists
    return Readings(odd_store, model_registry, no_store)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """A registry on a server that is not there."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return ModelRegistry(tracking_uri="http://127.0.0.1:9")


@pytest.fixture(scope="session")
def get(odd_store: FeatureStore, model_registry: ModelRegistry, odd_lists: None, serve: Callable[[Any], str]) -> Get:
    """Ask the pages as a browser would: the path, and what stands in the query; status, headers and text come back."""
    del odd_lists
    app = FastAPI()
    app.include_router(build_router(odd_store, model_registry, no_store))
    address = urlsplit(serve(app)).netloc

    def ask(path: str, **query: str) -> tuple[int, Mapping[str, str], str]:
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("GET", f"{path}?{urlencode(query)}" if query else path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    return ask
