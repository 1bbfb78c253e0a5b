"""What real time needs to know of a user, published with the lists of the same generation.

Under `known:{gen}:{user_id}` lies a MessagePack array: arm, may_see_adult, blocked creators, blocked categories, and
of the history, newest first, the item ids, the days (bytes: little-endian unsigned 16-bit integers, days before the
as-of day) and the weights (bytes: little-endian 64-bit floats, so that real time ranks as the batch did).
What a history is stays with the feature store; what is ranked with it, with the models.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Any, cast

import msgpack
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.exposure import DEFAULT_ARM
from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.serving.generation import Generation
from recsys_assets.serving.keys import known_key
from recsys_assets.serving.packing import array_head, as_message_pack, bytes_head, text_head
from resources.online_store import Client

FIELDS = 7
FALSE, TRUE = b"\xc2", b"\xc3"
DAYS_AGO, WEIGHTS = np.dtype("<u2"), np.dtype("<f8")
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class KnownUser:
    """A user as of the last day that a generation knows.

    Attributes:
        user_id: Who.
        history: Rows as in HISTORY_SCHEMA, newest first, at most the configured number.
        blocked_creators: Creators that the user blocked.
        blocked_categories: Categories that the user blocked.
        may_see_adult: Whether adult titles may be shown to the user.
        arm: The experiment arm whose list is published for the user.
    """

    user_id: str
    history: pl.DataFrame
    blocked_creators: tuple[str, ...] = ()
    blocked_categories: tuple[str, ...] = ()
    may_see_adult: bool = False
    arm: str = DEFAULT_ARM


def known_user(client: Client, generation: Generation, user_id: str) -> KnownUser | None:
    """What a generation knows of a user; None where it knows nobody of that id."""
    raw = cast("bytes | None", client.get(known_key(generation.name, user_id)))
    return None if raw is None else unpacked(user_id, generation.as_of, raw)


def unpacked(user_id: str, as_of: date, raw: bytes) -> KnownUser:
    """A user from the value of the key, for those who read several keys at once."""
    arm, may_see_adult, creators, categories, item_ids, days, weights = msgpack.unpackb(raw)
    days_ago = np.frombuffer(days, DAYS_AGO).astype(np.int32)
    history = pl.DataFrame(
        {
            "user_id": pl.repeat(user_id, len(item_ids), dtype=pl.String, eager=True),
            "item_id": pl.Series(item_ids, dtype=pl.String),
            "day": pl.Series(as_of.toordinal() - EPOCH - days_ago, dtype=pl.Int32).cast(pl.Date),
            "weight": np.frombuffer(weights, WEIGHTS),
        },
        schema=HISTORY_SCHEMA,
    )
    return KnownUser(user_id, history, tuple(creators), tuple(categories), may_see_adult, arm)


def packed(portion: pl.DataFrame) -> list[bytes]:
    """The values of the keys of many users.

    Args:
        portion: As in PORTION_SCHEMA.
    """
    arms = {arm: text_head(len(arm.encode())) + arm.encode() for arm in portion["arm"].unique()}
    days = portion["history_days_ago"].explode(empty_as_null=False, keep_nulls=False).to_numpy()
    weights = portion["history_weights"].explode(empty_as_null=False, keep_nulls=False).to_numpy()
    parts = zip(
        (arms[arm] for arm in portion["arm"]),
        (TRUE if may else FALSE for may in portion["may_see_adult"]),
        *(as_message_pack(portion[name]) for name in ("blocked_creators", "blocked_categories", "history_items")),
        _as_binary(portion["history_days_ago"], days.astype(DAYS_AGO, copy=False)),
        _as_binary(portion["history_weights"], weights.astype(WEIGHTS, copy=False)),
        strict=True,
    )
    head = array_head(FIELDS)
    return [b"".join((head, *fields)) for fields in parts]


def _as_binary(lists: pl.Series, values: NDArray[Any]) -> list[bytes]:
    """Each list of numbers as MessagePack binary data, given all their values in a row."""
    size, everything = values.dtype.itemsize, values.tobytes()
    ends = np.cumsum(lists.list.len().to_numpy(), dtype=np.int64) * size
    heads = cache(bytes_head)
    return [heads(end - begin) + everything[begin:end] for begin, end in pairwise([0, *ends.tolist()])]
