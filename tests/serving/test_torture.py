"""Publishers killed at random moments, returns in between, and readers in processes of their own who miss nothing."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from recsys_assets.serving.generations import PublicationError, current, generations, use
from resources.online_store import Client

PUBLICATIONS, PUBLICATIONS_IN_CLUSTER, USERS = 20, 8, 1_200
AT_THE_END = -1.0
"""Instead of seconds: a publisher is killed when it has written everything, and before it counts."""
PUBLISHER = """
import os, signal, sys, time
from datetime import date
from recsys_assets.serving.generations import UserList, publish
from resources.online_store import OnlineStore

def users(token, how_many, seconds):
    for number in range(how_many):
        items = [f"{token}:{number}:{place}" for place in range(20)]
        yield UserList(f"user{number}", items, [f"owned:{token}"], blocked_creators=[token])
    if seconds < 0:
        os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:  # each publication in a process of its own, which may be killed
    token, how_many, seconds = line.split()
    if (child := os.fork()) == 0:
        client = OnlineStore(url=sys.argv[1], folder=sys.argv[2]).connect()
        publish(client, date(2026, 1, 6), {"token": token}, users(token, int(how_many), float(seconds)), [token])
        os._exit(0)
    if float(seconds) > 0:
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
READER = """
import os, random, sys
from recsys_assets.serving.filters import FILTERS
from recsys_assets.serving.generations import current, list_in, read_list
from recsys_assets.serving.keys import filter_key, popular_key
from recsys_assets.serving.known_users import known_user
from resources.online_store import OnlineStore

client = OnlineStore(url=sys.argv[1], folder=sys.argv[2]).connect()
users, parent = int(sys.argv[3]), os.getppid()
reads, switches, last = 0, 0, None
print("reading", flush=True)
while not os.path.exists(sys.argv[4]) and os.getppid() == parent:
    number = random.randrange(users)
    user = f"user{number}"
    generation, items, is_own = read_list(client, user)
    token = generation.versions["token"]
    assert is_own and items == [f"{token}:{number}:{place}" for place in range(20)], (generation, items)
    known = known_user(client, generation, user)
    hidden = FILTERS[generation.filters].hidden(client, filter_key(generation.name, user), [f"owned:{token}"])
    stranger = list_in(client, generation, "stranger")
    if stranger is not None:  # else two publications came between, and the generation was removed
        assert known is not None and known.blocked_creators == (token,), (generation, known)
        assert hidden == [True] and stranger == ([token], False), (generation, hidden, stranger)
    reads, switches, last = reads + 1, switches + (generation.name != last), generation.name
print(reads, switches)
"""


class Publishers:
    """Starts publications, and kills some."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def publish(self, token: str, users: int = USERS, killed_after: float = 0) -> int:
        """The exit status of the publication of that token, which may be killed after so many seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{token} {users} {killed_after}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def publishers(url: str, folder: str) -> Iterator[Publishers]:
    command = [sys.executable, "-c", PUBLISHER, url, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Publishers(process)
        assert process.stdin is not None
        process.stdin.close()


def keys_of(client: Client, *kinds: str) -> dict[str, int]:
    """Generation to how many keys of these kinds it has."""
    found: dict[str, int] = {}
    for key in client.scan_iter(count=10_000):
        kind, _, rest = key.decode().partition(":")
        if kind in kinds:
            name = rest.partition(":")[0]
            found[name] = found.get(name, 0) + 1
    return found


@pytest.fixture
def go_back() -> Callable[[Client], bool]:
    """Goes back to the former generation, where there is one; a publication may come between."""

    def back(client: Client) -> bool:
        in_use = current(client)
        former = [one.name for one in generations(client) if in_use is not None and one.name != in_use.name]
        try:
            return bool(former) and use(client, former[0]).name == former[0]
        except PublicationError:
            return False

    return back


def test_readers_miss_nothing_while_half_of_the_publishers_are_killed(
    store: Client, store_url: str, valkey_folder: Path, tmp_path: Path, go_back: Callable[[Client], bool]
) -> None:
    publications = PUBLICATIONS_IN_CLUSTER if isinstance(store, redis.RedisCluster) else PUBLICATIONS
    chance, over = random.Random(), tmp_path / "over"  # noqa: S311 - moments, not secrets
    place = (store_url, str(valkey_folder))
    command = [sys.executable, "-c", READER, *place, str(USERS), str(over)]
    with publishers(*place) as started:
        assert started.publish("first") == 0
        began = time.perf_counter()
        assert started.publish("second") == 0
        seconds = time.perf_counter() - began
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        try:
            assert [reader.stdout.readline() for reader in readers if reader.stdout] == ["reading\n"] * 2
            killed = set(chance.sample(range(publications), publications // 2))
            outcomes = []
            for number in range(publications):
                moment = chance.uniform(0, 1.5 * seconds) if number in killed else 0.0
                outcomes.append(started.publish(f"token{number}", killed_after=moment))
                if chance.random() < 0.3:
                    go_back(store)
            assert [status for number, status in enumerate(outcomes) if number not in killed] == [0] * (
                publications // 2
            )
            assert -signal.SIGKILL in outcomes, "no publisher was killed in the middle"
            assert started.publish("last") == 0
        finally:
            over.touch()
            told = [reader.communicate()[0].split() for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0]
    assert all(int(reads) > 100 and int(switches) > 3 for reads, switches in told)
    kept = {one.name for one in generations(store)}
    assert len(kept) == 2
    assert keys_of(store, "recs", "owned", "known") == dict.fromkeys(kept, 3 * USERS)
    assert set(keys_of(store, "popular", "recs-meta")) == kept


def test_the_memory_of_killed_publications_returns_before_the_next_one_needs_it(
    valkey: redis.Redis, valkey_folder: Path
) -> None:
    with publishers("", str(valkey_folder)) as started:
        for token in ("first", "second"):
            assert started.publish(token) == 0
        before = valkey.info("memory")["used_memory"]
        for number in range(3):
            assert started.publish(f"token{number}", 10 * USERS, killed_after=AT_THE_END) == -signal.SIGKILL
            left = keys_of(valkey, "recs")
            assert sorted(left.values()) == [USERS, USERS, 10 * USERS]
        assert started.publish("last") == 0
    assert len(keys_of(valkey, "recs", "known", "owned", "popular", "recs-meta")) == 2
    deadline = time.monotonic() + 10
    while valkey.info("memory")["used_memory"] > 1.2 * before and time.monotonic() < deadline:
        time.sleep(0.05)  # it is freed in the background
    assert valkey.info("memory")["used_memory"] <= 1.2 * before
