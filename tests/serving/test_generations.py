"""Publications on a real server: a reader sees one whole generation, whatever happens to the next."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event

import msgpack
import pytest
import redis

from recsys_assets.serving.generations import Generation, PublicationError, UserList, current, publish, read_list
from resources import embedded_valkey

DAY = date(2026, 1, 5)
VERSIONS = {"als": "7", "popularity": "3"}
USERS = ("ann", "bob", "eve")
PUBLISH_HALF_AND_WAIT = """
import sys, time, redis
from datetime import date
from recsys_assets.serving.generations import UserList, publish

def users():
    for number in range(1500):
        yield UserList(f"user{number}", ["never"], ["never"])
    print("half", flush=True)
    time.sleep(60)

publish(redis.Redis(unix_socket_path=sys.argv[1]), date(2026, 1, 6), {}, users(), ["never"])
"""


def lists_of(number: int) -> list[UserList]:
    """Everybody's list in the publication of that number, which every item carries."""
    return [UserList(user, [f"{number}:{user}:{place}" for place in range(20)], [f"owned{number}"]) for user in USERS]


def popular_of(number: int) -> list[str]:
    return [f"{number}:popular"]


def publish_number(client: redis.Redis, number: int, day: date = DAY) -> Generation:
    return publish(client, day, VERSIONS, lists_of(number), popular_of(number))


def read(client: redis.Redis, user: str) -> list[str]:
    found = read_list(client, user)
    assert found is not None
    return found[1]


def generations(client: redis.Redis) -> set[str]:
    """The names in all keys that belong to a generation."""
    return {key.decode().split(":")[1] for key in client.keys("*:*")}


def failing_users() -> Iterator[UserList]:
    for number in range(1_500):
        yield UserList(f"user{number}", ["never"], ["never"])
    raise RuntimeError("the lake went away")


def test_what_was_published_is_read_back(valkey: redis.Redis) -> None:
    before = datetime.now(tz=UTC)
    published = publish(valkey, DAY, VERSIONS, [UserList("ann", ["dune", "\u00e9t\u00e9"], ["emma"])], ["hit"])
    found = read_list(valkey, "ann")
    assert found == (published, ["dune", "\u00e9t\u00e9"], True)
    assert (published.as_of, published.versions, published.lists) == (DAY, VERSIONS, 1)
    assert before <= published.published_at <= datetime.now(tz=UTC)
    assert current(valkey) == published


def test_the_keys_are_what_the_contract_says(valkey: redis.Redis) -> None:
    name = publish(valkey, DAY, VERSIONS, [UserList("ann", ["dune", "emma"], ["walden", "ulysses"])], ["hit"]).name
    assert valkey.get("recs-current") == name.encode()
    assert msgpack.unpackb(valkey.get(f"recs:{name}:ann")) == ["dune", "emma"]
    assert msgpack.unpackb(valkey.get(f"popular:{name}")) == ["hit"]
    assert valkey.smembers(f"owned:{name}:ann") == {b"walden", b"ulysses"}
    meta = valkey.hgetall(f"recs-meta:{name}")
    assert (meta[b"as_of"], meta[b"lists"], msgpack.unpackb(meta[b"versions"])) == (b"2026-01-05", b"1", VERSIONS)


def test_before_the_first_publication_there_is_nothing(valkey: redis.Redis) -> None:
    assert current(valkey) is None
    assert read_list(valkey, "ann") is None


def test_an_unknown_user_gets_the_popular_list_and_an_empty_list_is_a_list(valkey: redis.Redis) -> None:
    generation = publish(valkey, DAY, VERSIONS, [UserList("ann", [], [])], ["hit"])
    assert read_list(valkey, "stranger") == (generation, ["hit"], False)
    assert read_list(valkey, "ann") == (generation, [], True)


def test_more_lists_than_go_over_the_wire_at_once_all_arrive(valkey: redis.Redis) -> None:
    generation = publish(valkey, DAY, VERSIONS, (UserList(f"user{n}", [str(n)], ()) for n in range(2_345)), [])
    assert generation.lists == 2_345 == len(valkey.keys(f"recs:{generation.name}:*"))
    assert [read(valkey, f"user{n}") for n in (0, 999, 1_000, 2_344)] == [["0"], ["999"], ["1000"], ["2344"]]


@pytest.mark.parametrize("user", ["a:b", "*", "[x]", "", "gro\u00df und klein"])
def test_any_text_can_be_a_user(valkey: redis.Redis, user: str) -> None:
    publish(valkey, DAY, VERSIONS, [UserList(user, ["dune"], ["emma"]), UserList("ann", ["walden"], ())], [])
    assert (read(valkey, user), read(valkey, "ann")) == (["dune"], ["walden"])
    publish_number(valkey, 2)
    publish_number(valkey, 3)
    assert len(generations(valkey)) == 2


def test_an_older_day_is_refused_and_the_same_day_may_be_published_again(valkey: redis.Redis) -> None:
    publish_number(valkey, 1)
    newer = publish_number(valkey, 2)
    with pytest.raises(PublicationError, match=f"{newer.name} knows the days up to 2026-01-05; 2026-01-04 is older"):
        publish_number(valkey, 3, DAY - timedelta(days=1))
    assert current(valkey) == newer
    assert read(valkey, "ann") == lists_of(2)[0].item_ids


def test_the_previous_generation_is_kept_whole_and_older_ones_leave_no_key(valkey: redis.Redis) -> None:
    published = [publish_number(valkey, number, DAY + timedelta(days=number)) for number in range(4)]
    assert generations(valkey) == {published[2].name, published[3].name}
    assert valkey.get("recs-previous") == published[2].name.encode()
    assert msgpack.unpackb(valkey.get(f"recs:{published[2].name}:ann")) == lists_of(2)[0].item_ids
    assert valkey.zrange("recs-generations", 0, -1) == [published[2].name.encode(), published[3].name.encode()]


def test_a_publication_that_fails_half_way_changes_nothing_and_the_next_one_cleans_up(valkey: redis.Redis) -> None:
    first = publish_number(valkey, 1)
    with pytest.raises(RuntimeError, match="the lake went away"):
        publish(valkey, DAY, VERSIONS, failing_users(), ["never"])
    assert len(generations(valkey)) == 2
    assert current(valkey) == first
    assert [read(valkey, user) for user in (*USERS, "user1")] == [
        *(one.item_ids for one in lists_of(1)),
        popular_of(1),
    ]
    second = publish_number(valkey, 2)
    assert generations(valkey) == {first.name, second.name}


def test_a_publication_that_is_killed_half_way_changes_nothing_and_the_next_one_cleans_up(
    valkey: redis.Redis, valkey_folder: Path
) -> None:
    first = publish_number(valkey, 1)
    socket = str(embedded_valkey.socket_of(valkey_folder))
    command = [sys.executable, "-c", PUBLISH_HALF_AND_WAIT, socket]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == b"half\n"
        publisher.send_signal(signal.SIGKILL)
    assert len(valkey.keys("recs:*:user*")) == 1_000
    assert current(valkey) == first
    assert read(valkey, "ann") == lists_of(1)[0].item_ids
    second = publish_number(valkey, 2)
    assert generations(valkey) == {first.name, second.name}


@pytest.mark.parametrize(
    ("day_of_the_other", "message"),
    [(DAY, "overtaken by another publication"), (DAY + timedelta(days=1), "2026-01-05 is older")],
)
def test_of_two_publications_at_once_the_one_that_finishes_last_gives_way(
    valkey: redis.Redis, day_of_the_other: date, message: str
) -> None:
    def users() -> Iterator[UserList]:
        for number in range(1_500):
            yield UserList(f"user{number}", ["never"], ["never"])
        publish_number(valkey, 2, day_of_the_other)

    with pytest.raises(PublicationError, match=message):
        publish(valkey, DAY, VERSIONS, users(), ["never"])
    assert read(valkey, "ann") == lists_of(2)[0].item_ids
    third, fourth = (publish_number(valkey, number, day_of_the_other) for number in (3, 4))
    assert generations(valkey) == {third.name, fourth.name}


def test_a_reader_during_publications_never_sees_a_missing_or_a_mixed_list(valkey: redis.Redis) -> None:
    is_over = Event()
    publish_number(valkey, 1)

    def read_on() -> int:
        reads = 0
        while not is_over.is_set():
            for user in (*USERS, "stranger"):
                found = read_list(valkey, user)
                assert found is not None
                generation, items, is_own = found
                number = int(generation.name.rpartition("-")[2])
                expected = {one.user_id: list(one.item_ids) for one in lists_of(number)}
                assert (items, is_own) == (expected.get(user, popular_of(number)), user in USERS)
                reads += 1
        return reads

    with ThreadPoolExecutor(4) as readers:
        reading = [readers.submit(read_on) for _ in range(4)]
        try:
            for number in range(2, 22):
                publish_number(valkey, number, DAY + timedelta(days=number))
        finally:
            is_over.set()
    assert min(reader.result() for reader in reading) > 20


def test_a_reader_who_is_overtaken_by_two_publications_reads_the_newest(valkey: redis.Redis) -> None:
    class SlowClient(redis.Redis):
        """Between learning the name of the generation in use and reading it, two others are published."""

        def hgetall(self, name: str) -> dict[bytes, bytes]:  # type: ignore[override]
            if name.endswith("-1"):
                publish_number(valkey, 2)
                publish_number(valkey, 3)
            return super().hgetall(name)

    publish_number(valkey, 1)
    with SlowClient(connection_pool=valkey.connection_pool) as slow:
        assert read(slow, "ann") == lists_of(3)[0].item_ids
        assert read(slow, "stranger") == popular_of(3)
