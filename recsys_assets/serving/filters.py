"""What a user must not see, kept in the online store: a Bloom filter where the server has `BF.*`, else an exact set.

A Bloom filter takes a third of the memory and hides one good item in a hundred; it never shows a hidden one. It cannot
forget, so each generation brings its own. A user who is excluded from nothing has no filter.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, cast

import redis

from recsys_assets.serving.keys import filter_key
from resources.online_store import STORE_ERRORS, Client

ERROR_RATE = 0.01


class ExclusionFilter(Protocol):
    """What both kinds can do.

    Attributes:
        kind: Its name, kept with each generation, so that its readers ask as it was written.
        asking: The command that asks about items.
    """

    kind: ClassVar[str]
    asking: ClassVar[str]

    def command(self, how_many: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The one command that makes a filter of so many items: what stands before its key, and what before the ids.

        Because it is one command, a filter that is there is complete.
        """

    def add(self, pipeline: Any, key: str, item_ids: Sequence[str]) -> None:
        """Queue the making of a filter.

        Args:
            pipeline: Of a client.
            key: Where; nothing lies there yet.
            item_ids: What is to be hidden; at least one.
        """
        before_key, before_ids = self.command(len(item_ids))
        pipeline.execute_command(*before_key, key, *before_ids, *item_ids)

    def hidden(self, client: Client, key: str, item_ids: Sequence[str]) -> list[bool]:
        """Whether each item is hidden; none is where there is no filter.

        Args:
            client: The online store.
            key: Of the filter.
            item_ids: What is asked about.
        """
        if not item_ids:
            return []
        commands = cast("Any", client)
        return [bool(answer) for answer in commands.execute_command(self.asking, key, *item_ids)]


class BloomFilter(ExclusionFilter):
    """`BF.*` of Redis 8, RedisBloom and valkey-bloom."""

    kind = "bloom"
    asking = "BF.MEXISTS"

    def command(self, how_many: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `ExclusionFilter.command`: reserves room for so many, and adds them."""
        return ("BF.INSERT",), ("CAPACITY", str(how_many), "ERROR", str(ERROR_RATE), "ITEMS")


class ExactFilter(ExclusionFilter):
    """A set."""

    kind = "exact"
    asking = "SMISMEMBER"

    def command(self, how_many: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `ExclusionFilter.command`."""
        del how_many
        return ("SADD",), ()


FILTERS: dict[str, ExclusionFilter] = {one.kind: one for one in (BloomFilter(), ExactFilter())}


def filter_for(client: Client) -> ExclusionFilter:
    """The kind that the server has.

    Raises:
        redis.RedisError: The server does not answer.
    """
    try:
        cast("Any", client).execute_command("BF.EXISTS", filter_key("any", "body"), "anything")
    except (redis.ConnectionError, redis.TimeoutError):
        raise
    except STORE_ERRORS:  # unknown to the server or to the cluster, or not permitted
        return FILTERS[ExactFilter.kind]
    return FILTERS[BloomFilter.kind]
