"""What users did since the published lists were computed: bought items disappear at once, real time sees the session.

An overlay belongs to a user, not to a generation: it outlives publications and expires by itself. It is a sorted set
under `bought:{user_id}`: members are MessagePack arrays of event type and item id, scores the newest moment of each.
What follows from it for a list is said by `features.lately`; events for good, and their way into the landing, are the
API's.

Whoever wants to hide all that was bought looks at everything that is `remembered`: an event that was told late may lie
before the last day that the lists know, and be unknown to them all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgpack

from recsys_assets.serving.keys import overlay_key
from resources.online_store import Client

KEEP_DAYS = 30
"""Longer than lists may be out of date, or what was bought meanwhile would come back."""
MOST_PER_USER = 1_000
"""A machine's events must not fill the store; the newest are kept."""


@dataclass(frozen=True)
class Overlaid:
    """One thing that a user did.

    Attributes:
        user_id: Who.
        item_id: With what.
        event_type: One of `EVENT_TYPES`.
        occurred_at: When, with a time zone.
    """

    user_id: str
    item_id: str
    event_type: str
    occurred_at: datetime


def remember(client: Client, events: Sequence[Overlaid], keep_days: int = KEEP_DAYS) -> None:
    """Add events; the same event again changes nothing, and neither does the order.

    Args:
        client: The online store.
        events: What was done, by whomever.
        keep_days: Days after which a user's overlay expires if nothing is added to it.
    """
    pipeline = client.pipeline(transaction=False)
    for user_id, mine in groupby(sorted(events, key=_who), key=_who):
        newest: dict[bytes, float] = {}
        for event in mine:
            member = msgpack.packb([event.event_type, event.item_id])
            newest[member] = max(event.occurred_at.timestamp(), newest.get(member, float("-inf")))
        key = overlay_key(user_id)
        pipeline.zadd(key, cast("Any", newest), gt=True)
        pipeline.zremrangebyrank(key, 0, -MOST_PER_USER - 1)
        pipeline.expire(key, timedelta(days=keep_days))
    pipeline.execute()


def remembered(client: Client, user_id: str) -> list[Overlaid]:
    """Everything that is remembered of a user, oldest first; of the same thing done twice, the newest time."""
    raw = client.zrange(overlay_key(user_id), 0, -1, withscores=True)
    return decoded(user_id, cast("list[tuple[bytes, float]]", raw))


def decoded(user_id: str, raw: Iterable[tuple[bytes, float]]) -> list[Overlaid]:
    """What `remembered` returns, from the members and scores of the user's key, for those who read several keys."""
    told = []
    for member, score in raw:
        event_type, item_id = msgpack.unpackb(member)
        told.append(Overlaid(user_id, item_id, event_type, datetime.fromtimestamp(score, tz=UTC)))
    return told


def since(client: Client, user_id: str, as_of: date, zone: ZoneInfo) -> list[Overlaid]:
    """What a user did after a day had ended, oldest first.

    Args:
        client: The online store.
        user_id: Who.
        as_of: The last day that the published lists know.
        zone: The time zone in which days end.
    """
    return [event for event in remembered(client, user_id) if is_since(event, as_of, zone)]


def is_since(event: Overlaid, as_of: date, zone: ZoneInfo) -> bool:
    """Whether something was done after a day had ended."""
    return event.occurred_at.astimezone(zone).date() > as_of


def _who(event: Overlaid) -> str:
    return event.user_id
