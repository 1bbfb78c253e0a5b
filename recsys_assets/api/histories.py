"""What a request says that a user did, weighted as the feature store weighs it, without its frames: they take too long.

The rules are those of `features.rules`, and a test holds the two against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.platform import Platform


@dataclass(frozen=True)
class Done:
    """One thing that somebody did: a piece of an item, viewed, bought, ...

    Attributes:
        item_id: With what.
        event_type: One of `EVENT_TYPES`.
        day: When, in the platform's time zone.
    """

    item_id: str
    event_type: str
    day: date


def weighed(user_id: str, done: Sequence[Done], as_of: date, platform: Platform) -> pl.DataFrame:
    """Rows of history.

    Args:
        user_id: Who did it.
        done: What, the oldest first.
        as_of: The day from which age is counted.
        platform: For event weights, refunds and fading.

    Returns:
        As in HISTORY_SCHEMA; several rows of an item and a day add up.
    """
    by_type = platform.event_weights.model_dump()
    kept = without_refunded(done) if platform.rules.refunds_take_back else done
    half_life = platform.rules.half_life_days
    rows = [
        (
            user_id,
            one.item_id,
            one.day,
            weight if half_life is None else weight * 0.5 ** ((as_of - one.day).days / half_life),
        )
        for one in kept
        if (weight := by_type.get(one.event_type, 0.0)) > 0
    ]
    return pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row")


def without_refunded(done: Sequence[Done]) -> list[Done]:
    """What is left when each refund has taken back the newest purchase of its item that is still there."""
    taken: set[int] = set()
    bought: dict[str, list[int]] = {}
    for place, one in enumerate(done):
        if one.event_type == "purchase":
            bought.setdefault(one.item_id, []).append(place)
        elif one.event_type == "refund" and bought.get(one.item_id):
            taken.add(bought[one.item_id].pop())
    return [one for place, one in enumerate(done) if place not in taken and one.event_type != "refund"]


def owned(done: Iterable[Done], platform: Platform) -> set[str]:
    """The items that owning excludes: bought, and not given back."""
    if not platform.rules.owned_is_excluded:
        return set()
    listed = list(done)
    kept = without_refunded(listed) if platform.rules.refunds_take_back else listed
    return {one.item_id for one in kept if one.event_type == "purchase"}
