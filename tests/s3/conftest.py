"""An S3 service in a process of its own, and the proxy before it that disturbs it as a test says."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faulty_proxy import FaultyProxy, listening


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The address of the service; in this process it would wait for the lock that whoever asks it may hold."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        while not _listens(port):
            assert server.poll() is None, "the service does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


@pytest.fixture
def proxy(moto_url: str) -> Iterator[FaultyProxy]:
    """What stands before the service; nothing goes wrong until it has a plan."""
    with listening(moto_url) as running:
        yield running


@pytest.fixture
def bucket(moto_url: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new bucket (boto3's Bucket, which goes past the proxy); the environment names the proxy."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    made = boto3.resource("s3", endpoint_url=moto_url).Bucket(f"shop-{uuid.uuid4().hex}")
    made.create()
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield made
    made.meta.client.close()
