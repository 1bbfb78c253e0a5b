"""Writing the keys of a generation, and counting them. When it is switched to is decided in `generations`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgpack
import polars as pl

from recsys_assets.serving import bulk
from recsys_assets.serving.filters import ExclusionFilter, filter_for
from recsys_assets.serving.generation import Generation, PublicationError, as_hash, day_of
from recsys_assets.serving.keys import GENERATIONS, filter_key, known_key, list_key, meta_key, popular_key
from recsys_assets.serving.known_users import packed
from recsys_assets.serving.packing import as_message_pack
from resources.online_store import Client

USERS_AT_ONCE = 1_000


def write(
    client: Client,
    name: str,
    arms: Mapping[str, Mapping[str, str]],
    portions: Iterable[pl.DataFrame],
    popular: Sequence[str],
) -> Generation:
    """Write everything that belongs to a generation, and count it.

    Args:
        client: The online store.
        name: Of the generation.
        arms: Experiment arm to its families' versions, the control first.
        portions: Everybody's list, in frames as in PORTION_SCHEMA.
        popular: The list of unknown users.

    Raises:
        PublicationError: Not every key arrived, or another publication has removed this one.
    """
    kind = filter_for(client)
    written: list[pl.DataFrame] = []
    size = 0
    for portion in portions:
        for users in portion.iter_slices(USERS_AT_ONCE):
            _refuse_overtaken(client, name)
            size += _write_users(client, name, kind, users)
            written.append(users.select("user_id", is_filtered=pl.col("excluded_ids").list.len() > 0))
    lists, versions = sum(users.height for users in written), next(iter(arms.values()))
    generation = Generation(name, day_of(name), versions, lists, datetime.now(tz=UTC), arms, kind.kind, size)
    client.set(popular_key(name), msgpack.packb(list(popular)))
    client.hset(meta_key(name), mapping=as_hash(generation))
    for users in written:
        _check_count(client, name, users)
    return generation


def _write_users(client: Client, name: str, kind: ExclusionFilter, users: pl.DataFrame) -> int:
    """Write what belongs to some users; returns the bytes of lists and known users."""
    ids = users["user_id"].to_list()
    values = dict(zip(_keys(list_key, name, ids), as_message_pack(users["item_ids"]), strict=True))
    values |= zip(_keys(known_key, name, ids), packed(users), strict=True)
    bulk.set_all(client, values)
    filtered = users.filter(pl.col("excluded_ids").list.len() > 0)
    if not filtered.is_empty():
        keys = _keys(filter_key, name, filtered["user_id"].to_list())
        bulk.make_filters(client, kind, keys, filtered["excluded_ids"])
    return sum(map(len, values.values()))


def _check_count(client: Client, name: str, users: pl.DataFrame) -> None:
    """Raise PublicationError unless every key of some users is there; users are user_id, is_filtered."""
    ids = users["user_id"].to_list()
    filtered = users.filter("is_filtered")["user_id"].to_list()
    keys = [*_keys(list_key, name, ids), *_keys(known_key, name, ids), *_keys(filter_key, name, filtered)]
    found = bulk.count(client, keys)
    if found != len(keys):
        raise PublicationError(
            f"generation {name}: {found} of {len(keys)} keys are there; what was served before still is. A store that "
            "evicts keys, or expires them, cannot hold lists: set maxmemory-policy to noeviction"
        )


def _refuse_overtaken(client: Client, name: str) -> None:
    if not client.sismember(GENERATIONS, name):
        raise overtaken(name)


def overtaken(name: str) -> PublicationError:
    """What to tell a publication whose generation is gone."""
    return PublicationError(f"generation {name} was overtaken by another publication, which removed it")


def _keys(key: Callable[[str, str], str], name: str, user_ids: Iterable[str]) -> list[bytes]:
    begin = key(name, "").encode()
    return [begin + user_id.encode() for user_id in user_ids]
