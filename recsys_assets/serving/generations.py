"""Publications in Redis: each is a generation, written whole, counted, and only then switched to.

A reader sees one whole generation or the one before, never a mixture. Keys: `recs:{gen}:{user}` a list of item ids as
MessagePack, `owned:{gen}:{user}` the set of ids that the user must not see, `popular:{gen}` the list for unknown
users, `recs-meta:{gen}` what the generation is made of, `recs-current` the generation in use, `recs-previous` the one
before it, `recs-generations` every generation that may have keys.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, TypeVar, cast

import msgpack
import redis

CURRENT, PREVIOUS, GENERATIONS, SEQUENCE = (
    "recs-current",
    "recs-previous",
    "recs-generations",
    "recs-sequence",
)
KEYS_PER_ROUND_TRIP = 1_000
REMOVED = -1
"""Instead of its sequence number: a generation whose keys are being removed."""
READ_ATTEMPTS = 10
"""A reader starts again when publications have removed what it was about to read."""
LOST = f"keys of the generation in use are lost; delete {CURRENT} and publish again"
Thing = TypeVar("Thing")


class PublicationError(Exception):
    """A generation is incomplete or too old; what was served before still is."""


@dataclass(frozen=True)
class UserList:
    """What is published for one user."""

    user_id: str
    item_ids: Sequence[str]
    excluded_ids: Sequence[str]


@dataclass(frozen=True)
class Generation:
    """A published generation.

    Attributes:
        name: Its name, which is part of every key of it.
        as_of: The last day that its lists know.
        versions: Family to the registry version that ranked.
        lists: How many users have a list.
        published_at: When it was switched to.
    """

    name: str
    as_of: date
    versions: Mapping[str, str]
    lists: int
    published_at: datetime


def publish(
    client: redis.Redis,
    as_of: date,
    versions: Mapping[str, str],
    users: Iterable[UserList],
    popular: Sequence[str],
) -> Generation:
    """Write a generation, count it, and switch to it.

    Killed at any moment, it leaves the generation in use as it was; the keys of an unfinished one are removed by
    the next publication.

    Args:
        client: The online store.
        as_of: The last day that the lists know.
        versions: Family to registry version.
        users: Everybody's list.
        popular: The list of unknown users.

    Raises:
        PublicationError: Not every key arrived, or a generation of a newer day is in use.
    """
    _refuse_older(client, as_of)
    sequence = int(client.incr(SEQUENCE))
    name = f"{as_of:%Y%m%d}-{sequence}"
    client.zadd(GENERATIONS, {name: sequence})
    count = 0
    for batch in _batches(users):
        _write(client, name, batch)
        _check_count(client, name, batch)
        count += len(batch)
    now = datetime.now(tz=UTC)
    meta: Any = {
        "as_of": str(as_of),
        "lists": count,
        "published_at": now.isoformat(),
        "versions": msgpack.packb(dict(versions)),
    }
    client.set(f"popular:{name}", msgpack.packb(list(popular)))
    client.hset(f"recs-meta:{name}", mapping=meta)
    try:
        _switch(client, name, sequence, as_of)
    except PublicationError:
        client.zadd(GENERATIONS, {name: REMOVED})  # the next publication removes what has been written
        raise
    _remove_others(client, sequence)
    return Generation(name, as_of, dict(versions), count, now)


def current(client: redis.Redis) -> Generation | None:
    """The generation in use, or None before the first publication.

    Raises:
        PublicationError: What it is made of is lost.
    """
    for _ in range(READ_ATTEMPTS):
        name = cast("bytes | None", client.get(CURRENT))
        if name is None:
            return None
        meta = cast("dict[bytes, bytes]", client.hgetall(f"recs-meta:{name.decode()}"))
        if meta:  # else two publications came between and removed it
            return _generation(name.decode(), meta)
    raise PublicationError(LOST)


def read_list(client: redis.Redis, user_id: str) -> tuple[Generation, list[str], bool] | None:
    """The list of a user from the generation in use.

    Returns:
        The generation, the item ids, and whether the user has a list of their own; an unknown user gets the
        popular one. None before the first publication.

    Raises:
        PublicationError: What is in use is lost.
    """
    for _ in range(READ_ATTEMPTS):
        generation = current(client)
        if generation is None:
            return None
        keys = [f"recs:{generation.name}:{user_id}", f"popular:{generation.name}"]
        own, popular = cast("list[bytes | None]", client.mget(keys))
        if popular is not None:  # it is the first to go when a generation is removed
            return generation, msgpack.unpackb(popular if own is None else own), own is not None
    raise PublicationError(LOST)


def remove_user(client: redis.Redis, user_id: str) -> int:
    """Remove a user from every generation; they are served the popular list from then on.

    Returns:
        How many keys are gone.
    """
    removed = 0
    for raw in cast("list[bytes]", client.zrange(GENERATIONS, 0, -1)):
        name = raw.decode()
        lists = client.unlink(f"recs:{name}:{user_id}")
        removed += lists + client.unlink(f"owned:{name}:{user_id}")
        if lists:
            client.hincrby(f"recs-meta:{name}", "lists", -1)
    return removed


def _generation(name: str, meta: Mapping[bytes, bytes]) -> Generation:
    return Generation(
        name=name,
        as_of=date.fromisoformat(meta[b"as_of"].decode()),
        versions=msgpack.unpackb(meta[b"versions"]),
        lists=int(meta[b"lists"]),
        published_at=datetime.fromisoformat(meta[b"published_at"].decode()),
    )


def _batches(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    """As many at once as go over the wire together."""
    remaining = iter(things)
    while batch := list(islice(remaining, KEYS_PER_ROUND_TRIP)):
        yield batch


def _write(client: redis.Redis, name: str, users: list[UserList]) -> None:
    pipeline = client.pipeline(transaction=False)
    for user in users:
        pipeline.set(f"recs:{name}:{user.user_id}", msgpack.packb(list(user.item_ids)))
        if user.excluded_ids:
            pipeline.sadd(f"owned:{name}:{user.user_id}", *user.excluded_ids)
    pipeline.execute()


def _check_count(client: redis.Redis, name: str, users: list[UserList]) -> None:
    keys = [f"recs:{name}:{user.user_id}" for user in users]
    found = int(client.exists(*keys))
    if found != len(keys):
        raise PublicationError(
            f"generation {name}: {found} of {len(keys)} lists arrived; what was served before still is"
        )


def _refuse_older(client: redis.Redis, as_of: date) -> None:
    serving = current(client)
    if serving is not None and serving.as_of > as_of:
        raise PublicationError(
            f"{serving.name} knows the days up to {serving.as_of}; {as_of} is older and stays unpublished"
        )


def _switch(client: redis.Redis, name: str, sequence: int, as_of: date) -> None:
    """Point readers at the new generation and remember the one before, in one step.

    Another publication may have been switched to meanwhile: then an older day is refused, and so is a generation
    that the other one has removed as unfinished.
    """

    def switch(pipeline: Any) -> None:
        _refuse_older(client, as_of)
        if pipeline.zscore(GENERATIONS, name) != sequence:
            raise PublicationError(f"generation {name} was overtaken by another publication, which removed it")
        before = pipeline.get(CURRENT)
        pipeline.multi()
        if before is not None:
            pipeline.set(PREVIOUS, before)
        pipeline.set(CURRENT, name)

    client.transaction(switch, CURRENT, GENERATIONS)


def _remove_others(client: redis.Redis, newest: int) -> None:
    """Remove older generations, also unfinished ones, except the one in use and the one before it."""
    kept = {client.get(CURRENT), client.get(PREVIOUS)}
    older = cast("list[bytes]", client.zrangebyscore(GENERATIONS, "-inf", newest))
    for name in (one for one in older if one not in kept):
        client.zadd(GENERATIONS, {name: REMOVED})  # first of all, so that nobody switches to what is left of it
        client.unlink(b"popular:" + name, b"recs-meta:" + name)
        for prefix in (b"recs:", b"owned:"):
            keys = client.scan_iter(match=prefix + name + b":*", count=KEYS_PER_ROUND_TRIP)
            for batch in _batches(keys):
                client.unlink(*batch)
        client.zrem(GENERATIONS, name)
