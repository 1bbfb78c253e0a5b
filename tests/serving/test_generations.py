"""Publications on real servers of every kind: a reader sees one whole generation, whatever happens to the next."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any

import msgpack
import polars as pl
import pytest
import redis

from recsys_assets.serving.filters import FILTERS
from recsys_assets.serving.generations import (
    Generation,
    PublicationError,
    UserList,
    current,
    generations,
    newest,
    publish,
    publish_portions,
    read_list,
    remove_user,
    use,
)
from recsys_assets.serving.user_lists import portion_of
from resources.online_store import Client, OnlineStore

DAY = date(2026, 1, 5)
VERSIONS = {"als": "7", "popularity": "3"}
USERS = ("ann", "bob", "eve")
OF_GENERATIONS = ("recs", "owned", "known", "popular", "recs-meta")


def lists_of(number: int) -> list[UserList]:
    """Everybody's list in the publication of that number, which every item carries."""
    return [UserList(user, [f"{number}:{user}:{place}" for place in range(20)], [f"owned{number}"]) for user in USERS]


def popular_of(number: int) -> list[str]:
    return [f"{number}:popular"]


def publish_number(client: Client, number: int, day: date = DAY) -> Generation:
    return publish(client, day, VERSIONS, lists_of(number), popular_of(number))


def many_users(how_many: int = 1_500) -> Iterator[UserList]:
    return (UserList(f"user{number}", ["never"], ["never"]) for number in range(how_many))


def read(client: Client, user: str) -> list[str]:
    found = read_list(client, user)
    assert found is not None
    return found[1]


def all_keys(client: Client) -> set[bytes]:
    return set(client.scan_iter(count=10_000))


def names(client: Client) -> set[str]:
    """The names in all keys that belong to a generation."""
    parts = (key.decode().split(":") for key in all_keys(client))
    return {one[1] for one in parts if one[0] in OF_GENERATIONS}


def members(client: Client, key: str) -> set[bytes]:
    found: Any = client.smembers(key)
    return set(found)


# --- What is published ---


def test_what_was_published_is_read_back(store: Client) -> None:
    before = datetime.now(tz=UTC)
    published = publish(store, DAY, VERSIONS, [UserList("ann", ["dune", "\u00e9t\u00e9"], ["emma"])], ["hit"])
    assert read_list(store, "ann") == (published, ["dune", "\u00e9t\u00e9"], True)
    assert (published.as_of, published.versions, published.lists) == (DAY, VERSIONS, 1)
    assert before <= published.published_at <= datetime.now(tz=UTC)
    assert current(store) == newest(store) == published


def test_the_keys_are_what_the_contract_says(store: Client) -> None:
    generation = publish(store, DAY, VERSIONS, [UserList("ann", ["dune", "emma"], ["walden", "ulysses"])], ["hit"])
    name, kind = generation.name, FILTERS[generation.filters]
    assert store.get("recs-current") == name.encode()
    assert msgpack.unpackb(store.get(f"recs:{name}:ann")) == ["dune", "emma"]
    assert msgpack.unpackb(store.get(f"popular:{name}")) == ["hit"]
    assert kind.hidden(store, f"owned:{name}:ann", ["walden", "dune", "ulysses"]) == [True, False, True]
    meta: Any = store.hgetall(f"recs-meta:{name}")
    assert (meta[b"as_of"], meta[b"lists"], msgpack.unpackb(meta[b"versions"])) == (b"2026-01-05", b"1", VERSIONS)
    user_keys = {f"{kind}:{name}:ann" for kind in ("recs", "owned", "known")}
    assert {key.decode() for key in all_keys(store)} == {
        *user_keys,
        f"popular:{name}",
        f"recs-meta:{name}",
        "recs-current",
        "recs-generations:{recs-current}",
        "recs-sequence",
    }


def test_the_arms_of_an_experiment_are_published_with_their_versions_the_control_first(store: Client) -> None:
    arms = {"plain": VERSIONS, "bold": {"als": "8", "popularity": "3"}}
    published = publish_portions(store, DAY, arms, [portion_of([UserList("ann", ["dune"], arm="bold")], DAY)], [])
    assert current(store) == published
    assert (list(published.arms), published.versions) == (["plain", "bold"], VERSIONS)
    assert published.versions_of("bold") == {"als": "8", "popularity": "3"}
    assert published.versions_of("no such arm") == VERSIONS


def test_before_the_first_publication_there_is_nothing(store: Client) -> None:
    assert (current(store), newest(store), generations(store), read_list(store, "ann")) == (None, None, [], None)


def test_an_unknown_user_gets_the_popular_list_and_an_empty_list_is_a_list(store: Client) -> None:
    generation = publish(store, DAY, VERSIONS, [UserList("ann", [], [])], ["hit"])
    assert read_list(store, "stranger") == (generation, ["hit"], False)
    assert read_list(store, "ann") == (generation, [], True)


def test_nobody_at_all_can_be_published(store: Client) -> None:
    assert publish(store, DAY, VERSIONS, [], ["hit"]).lists == 0
    assert read(store, "ann") == ["hit"]


def test_more_lists_than_go_over_the_wire_at_once_all_arrive(store: Client) -> None:
    generation = publish(store, DAY, VERSIONS, (UserList(f"user{n}", [str(n)], [f"x{n}"]) for n in range(2_345)), [])
    prefix = f"recs:{generation.name}:".encode()
    assert generation.lists == 2_345 == sum(key.startswith(prefix) for key in all_keys(store))
    assert [read(store, f"user{n}") for n in (0, 999, 1_000, 2_344)] == [["0"], ["999"], ["1000"], ["2344"]]


@pytest.mark.parametrize("user", ["a:b", "*", "[x]", "{a}b", "", "gro\u00df", "20260105-2:ann", "recs-current"])
def test_any_text_can_be_a_user(store: Client, user: str) -> None:
    publish(store, DAY, VERSIONS, [UserList(user, ["dune"], ["emma"]), UserList("ann", ["walden"], ())], [])
    assert (read(store, user), read(store, "ann")) == (["dune"], ["walden"])
    publish(store, DAY, VERSIONS, [UserList(user, ["emma"])], [])
    publish_number(store, 3)
    assert len(names(store)) == 2
    former = generations(store)[1]
    assert store.get(f"recs:{former.name}:{user}") == msgpack.packb(["emma"])


def test_an_older_day_is_refused_and_the_same_day_may_be_published_again(store: Client) -> None:
    publish_number(store, 1)
    newer = publish_number(store, 2)
    before = all_keys(store)
    with pytest.raises(PublicationError, match=f"{newer.name} knows the days up to 2026-01-05; 2026-01-04 is older"):
        publish_number(store, 3, DAY - timedelta(days=1))
    assert all_keys(store) == before
    assert read(store, "ann") == lists_of(2)[0].item_ids


# --- What is kept, and going back ---


def test_the_former_generation_is_kept_whole_and_older_ones_leave_no_key(store: Client) -> None:
    published = [publish_number(store, number, DAY + timedelta(days=number)) for number in range(4)]
    assert names(store) == {published[2].name, published[3].name}
    assert generations(store) == [published[3], published[2]]
    assert msgpack.unpackb(store.get(f"recs:{published[2].name}:ann")) == lists_of(2)[0].item_ids
    assert members(store, "recs-generations:{recs-current}") == {one.name.encode() for one in published[2:]}
    assert members(store, "recs-removed:{recs-current}") == set()


def test_one_can_go_back_to_the_former_generation_and_forward_again(store: Client) -> None:
    first, second = publish_number(store, 1), publish_number(store, 2, DAY + timedelta(days=1))
    assert use(store, first.name) == first == current(store)
    assert read(store, "ann") == lists_of(1)[0].item_ids
    assert (newest(store), generations(store)) == (second, [second, first])
    assert use(store, second.name) == second == use(store, second.name) == current(store)
    assert read(store, "ann") == lists_of(2)[0].item_ids


def test_after_going_back_the_next_publication_is_switched_to_and_what_was_gone_back_to_stays(store: Client) -> None:
    first = publish_number(store, 1)
    publish_number(store, 2)
    use(store, first.name)
    third = publish_number(store, 3)
    assert current(store) == newest(store) == third
    assert generations(store) == [third, first]
    assert names(store) == {first.name, third.name}


def test_after_going_back_an_older_day_is_still_not_published_over_a_newer_one(store: Client) -> None:
    first = publish_number(store, 1)
    publish_number(store, 2, DAY + timedelta(days=1))
    use(store, first.name)
    with pytest.raises(PublicationError, match="2026-01-05 is older"):
        publish_number(store, 3, DAY)


def test_a_generation_that_is_removed_unfinished_or_was_never_there_cannot_be_used(store: Client) -> None:
    published = [publish_number(store, number) for number in range(3)]
    there = f"{published[2].name}, {published[1].name} can be used"
    for name in (published[0].name, "20260105-99", "nonsense", "", "*"):
        with pytest.raises(PublicationError, match=f"is not in the online store.*{there}, see `recsys generations`"):
            use(store, name)

    def users() -> Iterator[UserList]:
        yield from many_users()
        with pytest.raises(PublicationError, match="'20260105-4' is not published, or being removed"):
            use(store, "20260105-4")

    publish(store, DAY, VERSIONS, users(), [])
    assert current(store) != published[2]


def test_a_lost_counter_brings_no_name_back(store: Client) -> None:
    first, second = (publish_number(store, number) for number in (1, 2))
    store.unlink("recs-sequence")
    third = publish_number(store, 3)
    assert third.sequence > second.sequence > first.sequence
    assert generations(store) == [third, second]


def test_what_was_published_before_arms_were_is_still_served_and_superseded(store: Client) -> None:
    store.set("recs-sequence", 7)
    store.set("recs-current", "20260104-7")
    store.set("recs:20260104-7:ann", msgpack.packb(["dune"]))
    store.set("popular:20260104-7", msgpack.packb(["hit"]))
    meta: dict[Any, Any] = {
        "as_of": "2026-01-04",
        "lists": 1,
        "published_at": "2026-01-05T00:00:00+00:00",
        "versions": msgpack.packb(VERSIONS),
    }
    store.hset("recs-meta:20260104-7", mapping=meta)
    assert read(store, "ann") == ["dune"]
    generation = current(store)
    assert generation is not None
    assert generation.arms == {"default": VERSIONS}
    published = [publish_number(store, number) for number in (1, 2)]
    assert read(store, "ann") == lists_of(2)[0].item_ids
    assert names(store) == {one.name for one in published}


# --- What goes wrong ---


def test_a_publication_that_fails_half_way_changes_nothing_and_leaves_nothing(store: Client) -> None:
    first = publish_number(store, 1)

    def failing() -> Iterator[UserList]:
        yield from many_users()
        raise RuntimeError("the lake went away")

    with pytest.raises(RuntimeError, match="the lake went away"):
        publish(store, DAY, VERSIONS, failing(), ["never"])
    assert current(store) == first
    assert names(store) == {first.name}
    expected = [*(one.item_ids for one in lists_of(1)), popular_of(1)]
    assert [read(store, user) for user in (*USERS, "user1")] == expected


@pytest.mark.parametrize("lost", ["recs", "known", "owned"])
def test_a_key_that_is_lost_before_the_switch_is_missed(store: Client, lost: str) -> None:
    first = publish_number(store, 1)

    def users() -> Iterator[UserList]:
        yield from many_users()
        store.unlink(f"{lost}:20260105-2:user7")

    with pytest.raises(PublicationError, match=r"20260105-2: 2999 of 3000 keys are there.*noeviction"):
        publish(store, DAY, VERSIONS, users(), ["never"])
    assert current(store) == first
    assert names(store) == {first.name}


@pytest.mark.parametrize("days", [0, -1])
def test_the_publication_that_began_first_gives_way_to_one_of_the_same_or_a_newer_day(store: Client, days: int) -> None:
    def users() -> Iterator[UserList]:
        yield from many_users()
        publish_number(store, 2)
        yield from many_users()

    with pytest.raises(PublicationError, match="was overtaken by another publication, which removed it"):
        publish(store, DAY + timedelta(days=days), VERSIONS, users(), ["never"])
    assert read(store, "ann") == lists_of(2)[0].item_ids
    third, fourth = (publish_number(store, number) for number in (3, 4))
    assert names(store) == {third.name, fourth.name}


def test_a_publication_of_a_newer_day_that_has_begun_is_left_alone_by_one_of_an_older_day(store: Client) -> None:
    def users() -> Iterator[UserList]:
        yield from lists_of(1)
        yield from many_users()
        publish_number(store, 2, DAY - timedelta(days=1))
        assert read(store, "ann") == lists_of(2)[0].item_ids

    publish(store, DAY, VERSIONS, users(), popular_of(1))
    assert read(store, "ann") == lists_of(1)[0].item_ids


def test_a_full_store_is_said_to_be_full_keeps_what_it_serves_and_takes_the_next_once_there_is_room(
    start_valkey: Callable[..., int],
) -> None:
    store = OnlineStore(url=f"redis://127.0.0.1:{start_valkey()}").connect()
    first = publish_number(store, 1)
    long = [f"B{number:07}" for number in range(200)]
    store.config_set("maxmemory", int(store.info("memory")["used_memory"]) + 4_000_000)
    with pytest.raises(PublicationError, match=r"online store is full .*still is\. Give it more memory.*three gener"):
        publish(store, DAY, VERSIONS, (UserList(f"user{number}", long) for number in range(10_000)), ["never"])
    assert current(store) == first
    assert read(store, "ann") == lists_of(1)[0].item_ids
    assert names(store) == {first.name}
    second = publish_number(store, 2)
    assert (current(store), names(store)) == (second, {first.name, second.name})


def test_a_store_that_goes_away_is_said_to_have_failed_and_serves_what_it_served_when_it_is_back(
    start_valkey: Callable[..., int],
) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    store = OnlineStore(url=f"redis://127.0.0.1:{start_valkey(*options)}").connect()
    first = publish_number(store, 1)

    def users() -> Iterator[UserList]:
        yield from many_users()
        store.shutdown(nosave=True)
        yield from many_users()

    folder = str(store.config_get("dir")["dir"])
    with pytest.raises(PublicationError, match=r"online store failed in the middle of a publication .*111"):
        publish(store, DAY, VERSIONS, users(), ["never"])
    back = OnlineStore(url=f"redis://127.0.0.1:{start_valkey(*options, '--dir', folder)}").connect()
    assert (current(back), read(back, "ann")) == (first, lists_of(1)[0].item_ids)
    assert names(back) == {first.name, "20260105-2"}
    second = publish_number(back, 2)
    assert names(back) == {first.name, second.name}


def test_a_node_of_a_cluster_that_is_addressed_like_a_single_server_says_what_to_write(
    cluster_ports: list[int],
) -> None:
    store = OnlineStore(url=f"redis://127.0.0.1:{cluster_ports[0]}").connect()
    with pytest.raises(PublicationError, match=r"part of a cluster .*write redis\+cluster://"):
        publish(store, DAY, VERSIONS, many_users(100), [])


def test_a_generation_in_use_that_is_lost_is_an_error_for_readers_and_the_next_publication_mends_it(
    store: Client,
) -> None:
    lost = publish_number(store, 1)
    store.unlink(f"recs-meta:{lost.name}")
    with pytest.raises(PublicationError, match="keys of the generation in use are lost; publish again"):
        read_list(store, "ann")
    assert newest(store) is None
    second = publish_number(store, 2)
    assert read_list(store, "ann") == (second, lists_of(2)[0].item_ids, True)


def test_a_switch_whose_answer_is_lost_and_that_is_asked_again_has_happened_once(
    store: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish_number(store, 1)
    ask = type(store).eval

    def asked_twice(client: Client, *arguments: Any) -> Any:
        ask(client, *arguments)
        return ask(client, *arguments)

    monkeypatch.setattr(type(store), "eval", asked_twice)
    second = publish_number(store, 2)
    assert generations(store) == [second, first]
    assert use(store, first.name) == first
    assert generations(store) == [second, first]


def test_a_publication_whose_switch_is_never_answered_does_not_remove_what_is_in_use(
    store: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_number(store, 1)
    ask = type(store).eval

    def unanswered(client: Client, script: str, *arguments: Any) -> Any:
        answer = ask(client, script, *arguments)
        if answer == b"switched":
            raise redis.TimeoutError("no answer")
        return answer

    monkeypatch.setattr(type(store), "eval", unanswered)
    with pytest.raises(PublicationError, match="no answer"):
        publish_number(store, 2)
    assert read(store, "ann") == lists_of(2)[0].item_ids


# --- Forgetting, and reading meanwhile ---


def test_a_forgotten_user_is_in_no_generation_any_more(store: Client) -> None:
    for number in (1, 2):
        publish_number(store, number)
    assert remove_user(store, "ann") == 6
    assert not [key for key in all_keys(store) if b"ann" in key]
    assert read(store, "ann") == popular_of(2)
    assert [one.lists for one in generations(store)] == [2, 2]
    assert remove_user(store, "ann") == 0
    assert [one.lists for one in generations(store)] == [2, 2]


def test_a_reader_during_publications_never_sees_a_missing_or_a_mixed_list(store: Client) -> None:
    is_over = Event()
    publish_number(store, 1)

    def read_on() -> int:
        reads = 0
        while not is_over.is_set():
            for user in (*USERS, "stranger"):
                found = read_list(store, user)
                assert found is not None
                generation, items, is_own = found
                expected = {one.user_id: list(one.item_ids) for one in lists_of(generation.sequence)}
                assert (items, is_own) == (expected.get(user, popular_of(generation.sequence)), user in USERS)
                reads += 1
        return reads

    with ThreadPoolExecutor(4) as readers:
        reading = [readers.submit(read_on) for _ in range(4)]
        try:
            for number in range(2, 22):
                publish_number(store, number, DAY + timedelta(days=number))
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


def test_a_reader_who_began_with_the_former_generation_can_finish(store: Client) -> None:
    former = publish_number(store, 1)
    publish_number(store, 2)
    assert msgpack.unpackb(store.get(f"recs:{former.name}:ann")) == lists_of(1)[0].item_ids
    assert FILTERS[former.filters].hidden(store, f"owned:{former.name}:ann", ["owned1", "owned2"]) == [True, False]


def test_portions_of_any_size_are_written_whole(store: Client) -> None:
    frames: list[pl.DataFrame] = [portion_of(many_users(how_many), DAY) for how_many in (0, 1, 1_000, 2_001)]
    assert publish_portions(store, DAY, {"default": VERSIONS}, frames, []).lists == 3_002
