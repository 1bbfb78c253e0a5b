"""Many keys at once: on one server in single commands and without redis-py's cost per argument, in a cluster by slot.

What the keys mean stays out.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, cast

import polars as pl
import redis

from recsys_assets.serving.filters import ExclusionFilter
from recsys_assets.serving.packing import argument, as_arguments, command
from resources.online_store import Client

KEYS_AT_ONCE = 2_000
SCANNED_AT_ONCE = 10_000


def set_all(client: Client, values: dict[bytes, bytes]) -> None:
    """Set many keys."""
    if isinstance(client, redis.RedisCluster):
        pipeline = _pipeline(client)
        for key, value in values.items():
            pipeline.set(key, value)
        pipeline.execute()
    elif values:
        pairs = [argument(key) + argument(value) for key, value in values.items()]
        _send(client, [command(1 + 2 * len(pairs)), argument(b"MSET"), *pairs], 1)


def make_filters(client: Client, kind: ExclusionFilter, keys: Sequence[bytes], lists: pl.Series) -> None:
    """Make many filters.

    Args:
        client: The online store.
        kind: Of what kind.
        keys: Where.
        lists: The ids that each hides, List(String), none of them empty.
    """
    if isinstance(client, redis.RedisCluster):
        pipeline = _pipeline(client)
        for key, ids in zip(keys, lists.to_list(), strict=True):
            kind.add(pipeline, cast("str", key), ids)
        pipeline.execute()
        return
    heads = cache(lambda length: _around(kind, length))
    written = []
    for key, length, ids in zip(keys, lists.list.len(), as_arguments(lists), strict=True):
        before_key, before_ids = heads(length)
        written += [before_key, argument(key), before_ids, ids]
    _send(client, written, len(keys))


def ask(client: Client, commands: Sequence[tuple[bytes, ...]]) -> list[Any]:
    """The replies to many commands, as the server gives them, in one round trip."""
    if isinstance(client, redis.RedisCluster):
        pipeline = _pipeline(client)
        for words in commands:
            pipeline.execute_command(*words)
        replies: list[Any] = pipeline.execute()
        return replies
    packed = [part for words in commands for part in (command(len(words)), *map(argument, words))]
    return _send(client, packed, len(commands))


def count(client: Client, keys: Sequence[bytes]) -> int:
    """How many of some keys exist."""
    if isinstance(client, redis.RedisCluster):
        return client.exists(*keys) if keys else 0
    return sum(_send(client, *_many("EXISTS", batch))[0] for batch in _batches(keys))


def remove(client: Client, keys: Sequence[bytes]) -> int:
    """Remove keys; the server frees their memory in the background.

    Returns:
        How many there were.
    """
    if isinstance(client, redis.RedisCluster):
        return client.unlink(*keys) if keys else 0
    return sum(_send(client, *_many("UNLINK", batch))[0] for batch in _batches(keys))


def remove_all(client: Client, pattern: str, prefixes: tuple[bytes, ...]) -> int:
    """Remove every key that fits a pattern and begins with one of the prefixes.

    Returns:
        How many there were.
    """
    found = client.scan_iter(match=pattern, count=SCANNED_AT_ONCE)
    keys = (key for key in found if key.startswith(prefixes))
    return sum(remove(client, batch) for batch in _batches(keys))


def _pipeline(client: Any) -> Any:
    return client.pipeline(transaction=False)


def _many(name: str, keys: Sequence[bytes]) -> tuple[list[bytes], int]:
    return [command(1 + len(keys)), argument(name.encode()), *map(argument, keys)], 1


def _around(kind: ExclusionFilter, length: int) -> tuple[bytes, bytes]:
    """What stands before the key of a filter of so many ids, and between it and the ids."""
    before_key, before_ids = ([argument(word.encode()) for word in words] for words in kind.command(length))
    begin = command(len(before_key) + 1 + len(before_ids) + length)
    return begin + b"".join(before_key), b"".join(before_ids)


def _batches(keys: Any) -> Iterator[list[bytes]]:
    remaining = iter(keys)
    while batch := list(islice(remaining, KEYS_AT_ONCE)):
        yield batch


def _send(client: redis.Redis, commands: Sequence[bytes], replies: int) -> list[Any]:
    """Send commands that are packed already, and read their replies.

    Raises:
        redis.RedisError: A command was refused, or the server went away.
    """
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([b"".join(commands)])
        return [connection.read_response() for _ in range(replies)]
    except BaseException:
        connection.disconnect()  # replies that nobody has read must meet nobody else
        raise
    finally:
        client.connection_pool.release(connection)
