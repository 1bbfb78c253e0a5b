"""Publications in Redis: each is a generation, written whole, counted, and only then switched to.

A reader sees one whole generation or the one before, never a mixture. The names of the keys are in `keys`, what a
generation is made of in `generation`; this module decides when what is written, switched to and removed.

A publisher may be killed at any moment, and others may run beside it: a name stands in the set of generations before
its first key, and the keys of names that are no longer needed are removed by the next publication. Whoever finds the
name of its own generation gone gives way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from itertools import islice
from typing import Any, cast

import msgpack
import polars as pl
import redis

from recsys_assets.exposure import DEFAULT_ARM
from recsys_assets.serving.generation import (
    Generation,
    PublicationError,
    StoreLostError,
    day_of,
    from_hash,
    name_of,
)
from recsys_assets.serving.keys import CURRENT, GENERATIONS, PREVIOUS, SEQUENCE, list_key, meta_key, popular_key
from recsys_assets.serving.removal import remove_generation, remove_superseded, remove_user
from recsys_assets.serving.user_lists import UserList, portion_of
from recsys_assets.serving.writing import USERS_AT_ONCE, overtaken, write
from resources.online_store import STORE_ERRORS, Client

__all__ = [
    "Generation",
    "PublicationError",
    "UserList",
    "current",
    "generations",
    "list_in",
    "newest",
    "publish",
    "publish_portions",
    "read_list",
    "remove_user",
    "use",
]
READ_ATTEMPTS = 10
"""A reader starts again when publications have removed what it was about to read."""
LOST = "keys of the generation in use are lost; publish again: `recsys run`, or materialize serving/online_store"
_SWITCH = """
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] then return 'switched' end
if current and string.sub(current, 1, 8) > string.sub(ARGV[1], 1, 8) then return current end
if redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 0 then return 'removed' end
if current then
  redis.call('SADD', KEYS[3], current)
  redis.call('SET', KEYS[2], current)
end
redis.call('SET', KEYS[1], ARGV[1])
return 'switched'
"""
"""Once the reply is lost, it is asked again: so what is switched to already counts as switched."""
_RETURN = """
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] then return 1 end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], current)
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


# --- Publishing ---


def publish(
    client: Client,
    as_of: date,
    versions: Mapping[str, str],
    users: Iterable[UserList],
    popular: Sequence[str],
    arms: Mapping[str, Mapping[str, str]] | None = None,
) -> Generation:
    """Write a generation, count it, and switch to it.

    Args:
        client: The online store.
        as_of: The last day that the lists know.
        versions: Family to registry version.
        users: Everybody's list.
        popular: The list of unknown users.
        arms: Experiment arm to its versions, where an experiment runs; the control first.

    Raises:
        PublicationError: As of `publish_portions`.
    """
    remaining = iter(users)
    batches = iter(lambda: list(islice(remaining, USERS_AT_ONCE)), [])
    portions = (portion_of(batch, as_of) for batch in batches)
    return publish_portions(client, as_of, arms or {DEFAULT_ARM: versions}, portions, popular)


def publish_portions(
    client: Client,
    as_of: date,
    arms: Mapping[str, Mapping[str, str]],
    portions: Iterable[pl.DataFrame],
    popular: Sequence[str],
) -> Generation:
    """Write a generation portion by portion, count it, and switch to it.

    Killed at any moment, it leaves the generation in use as it was; the next publication removes what it had written.

    Args:
        client: The online store.
        as_of: The last day that the lists know.
        arms: Experiment arm to its families' versions, the control first.
        portions: Everybody's list, in frames as in PORTION_SCHEMA.
        popular: The list of unknown users.

    Raises:
        PublicationError: Not every key arrived, a newer day is in use, another publication has overtaken this one, or
            the store has failed or is full.
    """
    with _explained():
        name = _begin(client, as_of)
        try:
            generation = write(client, name, arms, portions, popular)
            _switch(client, name)
        except BaseException:
            with suppress(*STORE_ERRORS):  # else the next publication does it
                remove_generation(client, name, is_ours=True)
            raise
    with suppress(*STORE_ERRORS):  # the same
        remove_superseded(client, name)
    return generation


def _begin(client: Client, as_of: date) -> str:
    """A name for a new generation; what killed publications have left is removed, and its memory is free again."""
    held = newest(client)
    if held is not None and held.as_of > as_of:
        raise _older(held.name, as_of)
    sequence = int(client.incr(SEQUENCE))
    if held is not None and sequence <= held.sequence:  # the counter was lost: no name may come back
        sequence = int(client.incrby(SEQUENCE, held.sequence))
    name = name_of(as_of, sequence)
    remove_superseded(client, name)
    client.sadd(GENERATIONS, name)
    return name


def _switch(client: Client, name: str) -> None:
    """Point readers at the new generation and remember the one before, in one step."""
    answer = _run_script(client, _SWITCH, name)
    if answer == b"removed":
        raise overtaken(name)
    if answer != b"switched":
        raise _older(answer.decode(), day_of(name))


def _older(in_use: str, as_of: date) -> PublicationError:
    return PublicationError(f"{in_use} knows the days up to {day_of(in_use)}; {as_of} is older and stays unpublished")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the store says into what it means."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise PublicationError(
            f"the online store is full ({error}); what was served before still is. Give it more memory: a publication "
            "needs room for three generations, the one in use, the one before it, and the new one"
        ) from error
    except redis.exceptions.MovedError as error:
        raise PublicationError(
            f"the online store is part of a cluster ({error}); write redis+cluster:// or rediss+cluster:// in "
            "RECSYS_REDIS_URL"
        ) from error
    except STORE_ERRORS as error:
        raise StoreLostError(
            f"the online store failed in the middle of a publication ({error}); what was served before still is, and "
            "publishing again removes what was written"
        ) from error


# --- Reading, and going back ---


def current(client: Client) -> Generation | None:
    """The generation in use, or None before the first publication.

    Raises:
        PublicationError: What it is made of is lost.
    """
    for _ in range(READ_ATTEMPTS):
        name = cast("bytes | None", client.get(CURRENT))
        if name is None:
            return None
        generation = _generation(client, name)
        if generation is not None:  # else two publications came between and removed it
            return generation
    raise PublicationError(LOST)


def generations(client: Client) -> list[Generation]:
    """The generations that can be used, the newest first: the one in use, and the one before it."""
    names = {name for name in (client.get(CURRENT), client.get(PREVIOUS)) if name is not None}
    found = [_generation(client, cast("bytes", name)) for name in names]
    return sorted((one for one in found if one is not None), key=lambda one: one.sequence, reverse=True)


def newest(client: Client) -> Generation | None:
    """The newest generation, also where somebody went back to the one before it.

    Returns:
        None before the first publication, and where the one in use is lost, so that publishing is due.
    """
    in_use = cast("bytes | None", client.get(CURRENT))
    if in_use is None or _generation(client, in_use) is None:
        return None
    return next(iter(generations(client)), None)


def use(client: Client, name: str) -> Generation:
    """Point readers at a generation that is kept, in one step; the one in use becomes the one before it.

    Whatever is published next is switched to as always.

    Raises:
        PublicationError: There is no such generation, or its keys are gone.
    """
    kept = {one.name: one for one in generations(client)}
    if name not in kept or not int(_run_script(client, _RETURN, name)):
        raise PublicationError(_why_not_usable(client, name, kept))
    return kept[name]


def read_list(client: Client, user_id: str) -> tuple[Generation, list[str], bool] | None:
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
        found = list_in(client, generation, user_id)
        if found is not None:
            return generation, *found
    raise PublicationError(LOST)


def list_in(client: Client, generation: Generation, user_id: str) -> tuple[list[str], bool] | None:
    """The list of a user in a generation.

    Returns:
        The item ids, and whether the user has a list of their own; None where the generation was removed meanwhile:
        look again which one is in use.
    """
    own = cast("bytes | None", client.get(list_key(generation.name, user_id)))
    if own is not None:
        return msgpack.unpackb(own), True
    # It is the first to go: while it is there, nothing has been removed before.
    popular = cast("bytes | None", client.get(popular_key(generation.name)))
    return None if popular is None else (msgpack.unpackb(popular), False)


def _generation(client: Client, name: bytes) -> Generation | None:
    fields = cast("dict[bytes, bytes]", client.hgetall(meta_key(name.decode())))
    return from_hash(name.decode(), fields) if fields else None


def _why_not_usable(client: Client, name: str, kept: Iterable[str]) -> str:
    known = client.sismember(GENERATIONS, name)
    why = "is not published, or being removed" if known else "is not in the online store (any more)"
    there = ", ".join(kept) or "none"
    return f"generation {name!r} {why}; {there} can be used, see `recsys generations`"


def _run_script(client: Client, script: str, name: str) -> Any:
    return client.eval(script, 3, CURRENT, PREVIOUS, GENERATIONS, name)
