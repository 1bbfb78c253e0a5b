"""What happens when parts are gone: what can be served is served and marked, `ready` says so, and all comes back."""

import shutil
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
import requests

from recsys_assets.api.store_guard import COMPONENT
from recsys_assets.models.family import HISTORY_SCHEMA
from resources import embedded_valkey
from resources.online_store import OnlineStore

OWN = [f"i{number:03}" for number in range(20, 50)]


@pytest.fixture
def breakable(tmp_path: Path) -> Iterator[Path]:
    """The folder of an online store of its own, which tests stop and start."""
    folder = tmp_path / "valkey"
    embedded_valkey.ensure_running(folder)
    yield folder
    embedded_valkey.stop(folder)


@pytest.fixture
def apart(serve: Any, shop: Any, breakable: Path) -> Iterator[Any]:
    """An API whose online store does not start by itself."""
    socket = embedded_valkey.socket_of(breakable)
    connection = OnlineStore(url=f"unix://{socket}", timeout_seconds=0.3, retries=0)
    with redis.Redis(unix_socket_path=str(socket)) as client:
        shop.publish(client, {"u01": OWN}, excluded_ids=OWN[:3])
    with serve(connect=connection.connect) as api:
        yield api


def state(api: Any, component: str = COMPONENT) -> bool:
    return bool(api.get("/health/ready").json()["components"][component]["is_well"])


def test_while_the_online_store_is_gone_the_popular_items_are_served_and_marked(apart: Any, breakable: Path) -> None:
    assert apart.items("u01", limit=2) == OWN[:2]
    embedded_valkey.stop(breakable)
    told = apart.get("/v1/users/u01/recommendations").json()
    assert (told["is_fallback"], told["is_degraded"], len(told["items"])) == (True, True, 20)
    ready = apart.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "does not answer" in ready.json()["components"][COMPONENT]["detail"]
    embedded_valkey.ensure_running(breakable)
    apart.until(lambda: apart.items("u01", limit=2) == OWN[:2])
    assert state(apart)


def test_real_time_goes_on_without_the_online_store(apart: Any, breakable: Path) -> None:
    apart.items("u01")
    history = [{"item_id": "i003"}, {"item_id": "i004"}]
    before = apart.rank(history=history)
    embedded_valkey.stop(breakable)
    assert apart.rank(history=history) == before
    told = apart.post("/v1/recommendations", {"user_id": "u01", "history": history}).json()
    assert (told["is_degraded"], told["is_fallback"]) == (True, False)


def test_events_are_accepted_and_told_to_the_store_when_it_is_back(apart: Any, breakable: Path) -> None:
    apart.items("u01")
    embedded_valkey.stop(breakable)
    assert apart.bought("u01", OWN[0])["accepted"] == 1
    popular = apart.items("u01", limit=1)
    assert apart.bought("u01", popular[0])["accepted"] == 1
    assert popular[0] not in apart.items("u01")
    embedded_valkey.ensure_running(breakable)
    apart.until(lambda: apart.items("u01", limit=2) == [OWN[1], OWN[2]])


def test_a_store_that_hangs_costs_nobody_more_than_a_moment(apart: Any, breakable: Path) -> None:
    apart.items("u01")
    with redis.Redis(unix_socket_path=str(embedded_valkey.socket_of(breakable))) as client:
        client.execute_command("CLIENT", "PAUSE", 2_000, "ALL")
        began = time.monotonic()
        for _ in range(50):
            assert apart.get("/v1/users/u01/recommendations").json()["is_degraded"]
        assert time.monotonic() - began < 1.5
    apart.until(lambda: apart.items("u01", limit=2) == OWN[:2])


def test_it_starts_without_a_store_and_without_a_publication(serve: Any, tmp_path: Path, shop: Any) -> None:
    connection = OnlineStore(url=f"unix://{tmp_path}/none.sock", timeout_seconds=0.2, retries=0)
    with serve(connect=connection.connect) as api:
        told = api.get("/v1/users/u01/recommendations").json()
        assert (told["is_degraded"], told["generation"], told["versions"]) == (
            True,
            None,
            {"popularity": str(api.services.live.snapshot.in_use["popularity"])},
        )
    assert shop.platform


def test_with_nothing_to_serve_it_says_so_and_is_not_ready(serve: Any, valkey: redis.Redis, shop: Any) -> None:
    class NoRegistry:
        def approved(self, family: str) -> None:
            del family

    with serve(registry=NoRegistry(), loads=False) as api:
        api.until(lambda: "none is approved" in api.get("/health/ready").json()["components"]["models"]["detail"])
        answer = api.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "unready")
        for problem in (api.get("/v1/users/u01/recommendations"), api.post("/v1/recommendations", {"history": []})):
            assert (problem.status_code, problem.json()["type"]) == (503, "urn:recsys:problem:nothing-to-serve")
        assert api.get("/health/live").json() == {"status": "live"}
    assert valkey.ping()
    assert shop.platform


def test_when_the_alias_moves_the_next_list_is_ranked_by_the_new_version(api: Any, shop: Any) -> None:
    before = api.services.live.snapshot
    rows = pl.DataFrame(
        [(f"n{one}", item, shop.sales.as_of, 1.0) for one in range(9) for item in ("i002", "i056")],
        schema=HISTORY_SCHEMA,
        orient="row",
    )
    version = shop.release("item_item", rows)
    api.services._watch_models()
    try:
        history = [{"item_id": "i002"}]
        told = api.post("/v1/recommendations", {"history": history}).json()
        assert told["versions"]["item_item"] == str(version.version)
        assert "i056" in [item["item_id"] for item in told["items"]]
        assert before.in_use["item_item"] != version.version  # whoever had begun with it went on with it
    finally:
        shop.registry.point_approved_at(shop.registry.version("item_item", before.in_use["item_item"]))
    api.services._watch_models()
    assert api.services.live.snapshot.in_use == before.in_use


def test_no_request_is_dropped_while_models_are_swapped(api: Any, shop: Any) -> None:
    first, second = (shop.release("item_item", approves=False) for _ in range(2))
    before = api.services.live.snapshot.in_use["item_item"]
    answers: list[int] = []
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            body = {"history": [{"item_id": "i003"}]}
            answers.append(requests.post(f"{api.url}/v1/recommendations", json=body, timeout=9).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for version in (first, second, first, shop.registry.version("item_item", before)):
            shop.registry.point_approved_at(version)
            api.services._watch_models()
            assert api.services.live.snapshot.in_use["item_item"] == version.version
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}


def test_an_artifact_that_vanishes_leaves_the_old_one_serving_and_ready_says_so(api: Any, shop: Any) -> None:
    before = api.services.live.snapshot.in_use
    version = shop.release("als", approves=False)
    name = f"recsys-als/{version.run_id}"
    shutil.rmtree(shop.folder / "artifacts" / name)
    shop.registry.point_approved_at(version)
    try:
        api.services._watch_models()
        assert api.services.live.snapshot.in_use == before
        ready = api.get("/health/ready").json()
        assert ready["status"] == "degraded"
        assert f"als version {version.version}" in ready["components"]["models"]["detail"]
        assert api.rank(history=[{"item_id": "i003"}])
    finally:
        shop.registry.point_approved_at(shop.registry.version("als", before["als"]))
    api.services._watch_models()
    assert state(api, "models")


def test_a_registry_that_fails_leaves_what_there_is(api: Any, monkeypatch: Any) -> None:
    def gone(*_: Any) -> None:
        raise ConnectionError("no route to MLflow")

    monkeypatch.setattr(type(api.given.registry), "approved", gone)
    api.services._watch_models()
    assert api.rank(history=[{"item_id": "i003"}])
    detail = api.get("/health/ready").json()["components"]["models"]["detail"]
    assert detail.startswith("cannot be renewed (ConnectionError)")
    assert "no route" not in detail


def test_since_when_a_component_is_not_well_is_told(apart: Any, breakable: Path) -> None:
    since = apart.get("/health/ready").json()["components"][COMPONENT]["since"]
    apart.clock.now = apart.clock.now.replace(hour=20)
    embedded_valkey.stop(breakable)
    apart.until(lambda: not state(apart))
    later = apart.get("/health/ready").json()["components"][COMPONENT]["since"]
    assert (since[11:16], later[11:16]) == ("12:00", "20:00")
    embedded_valkey.ensure_running(breakable)
    apart.until(lambda: state(apart))


def test_days_that_cannot_be_landed_wait_and_ready_says_so(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    api.bought("u01", "i021")
    api.clock.now += timedelta(days=1)
    root = Path(api.given.landing.root)
    root.write_text("no folder")
    api.services._land()
    assert not state(api, "landing")
    assert "cannot be landed" in caplog.text
    root.unlink()
    api.services._land()
    assert state(api, "landing")
    assert [file.path for file in api.given.landing.files()] == ["api/2026-03-16.events.jsonl.gz"]


def test_an_arm_that_there_is_not_is_a_problem_also_without_the_online_store(apart: Any, breakable: Path) -> None:
    embedded_valkey.stop(breakable)
    apart.until(lambda: not state(apart))
    assert apart.get("/v1/users/u01/recommendations", arm="other").status_code == 422
    assert apart.get("/v1/users/u01/recommendations", arm="default").json()["is_degraded"]
