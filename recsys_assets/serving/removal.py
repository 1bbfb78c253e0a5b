"""Removing generations that are no longer needed, and people from all of them."""

from typing import Any, cast

from recsys_assets.serving import bulk
from recsys_assets.serving.generation import day_of, sequence_of
from recsys_assets.serving.keys import (
    CURRENT,
    GENERATIONS,
    PREVIOUS,
    REMOVED,
    filter_key,
    known_key,
    list_key,
    meta_key,
    overlay_key,
    popular_key,
    user_pattern,
    user_prefixes,
)
from resources.online_store import Client

_WITHDRAW = """
if redis.call('GET', KEYS[1]) == ARGV[1] or redis.call('GET', KEYS[2]) == ARGV[1] then return 0 end
redis.call('SMOVE', KEYS[3], KEYS[4], ARGV[1])
return 1
"""
"""First of all, so that nobody switches to what is left; in a full store, this and UNLINK are possible still."""


def remove_superseded(client: Client, name: str) -> None:
    """Remove what began before a generation and is neither in use nor the one before it, unless its day is newer."""
    begun, left = (cast("set[bytes]", client.smembers(key)) for key in (GENERATIONS, REMOVED))
    older = [one for one in map(bytes.decode, begun) if sequence_of(one) < sequence_of(name)]
    for other in (*(one for one in older if day_of(one) <= day_of(name)), *map(bytes.decode, left)):
        remove_generation(client, other)


def remove_generation(client: Client, name: str, *, is_ours: bool = False) -> None:
    """Remove the keys of a generation, unless it is in use or the one before it.

    The name of one that was not finished is forgotten only when no key of it is found any more: its publisher may be
    writing still.

    Args:
        client: The online store.
        name: The generation.
        is_ours: Whether the caller is its publisher, so that nobody is writing.
    """
    if not client.eval(_WITHDRAW, 4, CURRENT, PREVIOUS, GENERATIONS, REMOVED, name):
        return
    was_finished = bulk.remove(client, [popular_key(name).encode(), meta_key(name).encode()])
    found = bulk.remove_all(client, user_pattern(name), user_prefixes(name))
    if is_ours or was_finished or not found:
        client.srem(REMOVED, name)


def remove_user(client: Client, user_id: str) -> int:
    """Remove a user from every generation, and what is remembered since; they get the popular list from then on.

    Returns:
        How many keys are gone.
    """
    names = cast("set[bytes]", cast("Any", client).sunion(GENERATIONS, REMOVED))
    removed = bulk.remove(client, [overlay_key(user_id).encode()])
    for name in sorted(raw.decode() for raw in names):
        lists = bulk.remove(client, [list_key(name, user_id).encode()])
        removed += lists + bulk.remove(client, [key(name, user_id).encode() for key in (filter_key, known_key)])
        if lists and client.exists(meta_key(name)):
            client.hincrby(meta_key(name), "lists", -1)
    return removed
