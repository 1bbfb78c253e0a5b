"""What one user did a moment ago, by the rules: as in `rules`, on a few deeds instead of frames, which take too long.

Real time and the exclusion overlay ask here; a test holds this against `rules`. Who tells of the deeds, and where they
are kept, stays out.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

import polars as pl

from recsys_assets.platform import Platform, Rules


class Deed(Protocol):
    """A piece of an item, viewed, bought, given back, ..."""

    @property
    def item_id(self) -> str:
        """With what."""

    @property
    def event_type(self) -> str:
        """One of `EVENT_TYPES`."""

    @property
    def occurred_at(self) -> datetime:
        """When, with a time zone."""


DeedT = TypeVar("DeedT", bound=Deed)


def owned(deeds: Iterable[Deed], rules: Rules) -> set[str]:
    """The items that owning excludes: bought, and not given back since.

    Args:
        deeds: What one user did, in any order.
        rules: Whether owning excludes, and whether refunds count.
    """
    if not rules.owned_is_excluded:
        return set()
    return {one.item_id for one in kept(deeds, rules) if one.event_type == "purchase"}


def kept(deeds: Iterable[DeedT], rules: Rules) -> list[DeedT]:
    """What is left when each refund has taken back the newest purchase of its item that is still there.

    Args:
        deeds: What one user did, in any order. Of two at the same moment, the purchase is taken for the later one.
        rules: Whether refunds take back.

    Returns:
        The deeds but refunds, oldest first.
    """
    in_order = sorted(deeds, key=lambda one: (one.occurred_at, one.event_type == "purchase"))
    left: list[DeedT | None] = []
    bought: dict[str, list[int]] = {}
    for one in in_order:
        if one.event_type == "refund":
            if rules.refunds_take_back and bought.get(one.item_id):
                left[bought[one.item_id].pop()] = None
            continue
        if one.event_type == "purchase":
            bought.setdefault(one.item_id, []).append(len(left))
        left.append(one)
    return [one for one in left if one is not None]


def weighed(user_id: str, deeds: Iterable[Deed], as_of: date, platform: Platform) -> pl.DataFrame:
    """What one user did, as rows of a history.

    Args:
        user_id: Who.
        deeds: What, in any order.
        as_of: The day from which age is counted; whatever happened later is taken for its own.
        platform: For the time zone, event weights, refunds and fading.

    Returns:
        user_id, item_id, day, weight, like `FeatureStore.history`; several rows of an item and a day add up.
    """
    by_type = platform.event_weights.model_dump()
    rows = [
        (user_id, one.item_id, min(day_of(one.occurred_at, platform.zone), as_of), weight)
        for one in kept(deeds, platform.rules)
        if (weight := by_type.get(one.event_type, 0.0)) > 0
    ]
    schema = {"user_id": pl.String, "item_id": pl.String, "day": pl.Date, "weight": pl.Float64}
    half_life = platform.rules.half_life_days
    history = pl.DataFrame(rows, schema=schema, orient="row")
    if half_life is None:
        return history
    age_days = (pl.lit(as_of) - pl.col("day")).dt.total_days()
    return history.with_columns(pl.col("weight") * 0.5 ** (age_days / half_life))


def faded(history: pl.DataFrame, days: int, rules: Rules) -> pl.DataFrame:
    """A history some days after the day as of which it was weighted.

    Args:
        history: Rows with a weight.
        days: How many days later.
        rules: The half-life in days; None: a weight never fades.
    """
    if rules.half_life_days is None or not days:
        return history
    return history.with_columns(pl.col("weight") * 0.5 ** (days / rules.half_life_days))


def newest_day(deeds: Sequence[Deed], zone: ZoneInfo) -> date:
    """The day of the newest of some deeds.

    Args:
        deeds: At least one.
        zone: The time zone in which days end.
    """
    return day_of(max(one.occurred_at for one in deeds), zone)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The day on which a moment lies; on the first and the last day that there are, as it is written."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()
