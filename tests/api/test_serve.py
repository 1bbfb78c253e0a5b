"""`recsys serve`: who may ask, what a stop leaves undone (nothing), and what its log does not tell."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from resources import embedded_valkey

KEY = "a-key-of-the-shop-0123"
RECSYS = [sys.executable, "-W", "ignore", "-c", "from recsys_assets.cli import main; main()"]


@pytest.fixture
def environment(shop: Any, valkey: Any, valkey_folder: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of an installation that has what the shop has."""
    shop.publish(valkey, {"u01": ["i020", "i021"]})
    content = shop.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    (tmp_path / "recsys.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "landing").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")},
        "RECSYS_HOME": str(tmp_path / "home"),
        "RECSYS_LAKE": shop.store.lake.root,
        "RECSYS_LANDING": str(tmp_path / "landing"),
        "RECSYS_CONFIG": str(tmp_path / "recsys.yaml"),
        "RECSYS_REDIS_URL": f"unix://{embedded_valkey.socket_of(valkey_folder)}",
        "MLFLOW_TRACKING_URI": shop.registry.tracking_uri,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)


@contextmanager
def served(environment: dict[str, str], log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [*RECSYS, "serve", "--port", str(port), *options]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            until(lambda: is_live(port) or server.poll() is not None)
            yield server, port
        finally:
            server.kill()


def is_live(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def event(name: str) -> dict[str, Any]:
    done = {"event_id": name, "user_id": "somebody-secret", "item_id": "i020", "event_type": "view"}
    return {"events": [{**done, "occurred_at": datetime.now(tz=UTC).isoformat()}]}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_it_does_not_listen_to_other_machines_without_a_key(environment: dict[str, str], host: str) -> None:
    done = subprocess.run(
        [*RECSYS, "serve", "--host", host], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"--host {host} can be reached from other machines, and no key is configured" in " ".join(
        done.stderr.split()
    )


def test_several_workers_serve_count_together_and_drain_when_they_are_stopped(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"RECSYS_API_KEYS": KEY}
    log = tmp_path / "log"
    with served(environment, log, "--workers", "2") as (server, port):
        url, headers = f"http://127.0.0.1:{port}", {"x-api-key": KEY}
        until(lambda: requests.get(f"{url}/health/ready", timeout=9).json()["status"] == "ready")
        assert requests.get(f"{url}/v1/users/u01/recommendations", timeout=9).status_code == 401
        list_ = requests.get(f"{url}/v1/users/u01/recommendations", headers=headers, timeout=9).json()
        assert [item["item_id"] for item in list_["items"]] == ["i020", "i021"]
        assert requests.get(f"{url}/", headers=headers, timeout=30).status_code == 200  # the inspector
        for number in range(30):  # a connection each, so that both workers get some
            assert requests.post(f"{url}/v1/events", json=event(f"e{number % 20}"), headers=headers, timeout=9).ok
        metrics = requests.get(f"{url}/metrics", headers=headers, timeout=9).text
        assert 'recsys_events_total{answer="accepted"} 30.0' in metrics
        with socket.create_connection(("127.0.0.1", port)) as begun:
            body = json.dumps(event("begun before the stop")).encode()
            head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n"
            begun.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:10])
            time.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            begun.sendall(body[10:])
            assert b"200 OK" in begun.recv(4096)
        assert server.wait(timeout=40) == 0
    lines = [
        json.loads(line)
        for path in (tmp_path / "home" / "events").glob("*/events-*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    assert {line["event_id"] for line in lines} == {"begun before the stop", *(f"e{number}" for number in range(20))}
    told = log.read_text(encoding="utf-8")
    assert KEY not in told
    assert "somebody-secret" not in told
    assert "Traceback" not in told
