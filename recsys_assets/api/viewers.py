"""Whom to rank for: what the request says, what the generation knows of the user, and what they did since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import polars as pl

from recsys_assets.api.histories import Done, owned, weighed
from recsys_assets.api.live_models import Snapshot
from recsys_assets.api.real_time import AskHidden, Viewer
from recsys_assets.experiments import arm_of
from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.platform import Platform
from recsys_assets.serving.filters import FILTERS
from recsys_assets.serving.generation import Generation
from recsys_assets.serving.keys import filter_key, known_key, overlay_key
from recsys_assets.serving.known_users import KnownUser, unpacked
from recsys_assets.serving.overlay import Overlaid, bought, decoded, is_since
from recsys_assets.slot_window import ONE_DAY
from resources.online_store import Client

NO_HISTORY = pl.DataFrame(schema=HISTORY_SCHEMA)


@dataclass(frozen=True)
class Session:
    """What a request says that the user did.

    Attributes:
        item_id: With what.
        event_type: What.
        occurred_at: When; None: now.
    """

    item_id: str
    event_type: str
    occurred_at: datetime | None


@dataclass(frozen=True)
class Remembered:
    """What the online store says of a user.

    Attributes:
        known: As of the generation; None where it knows nobody of that id.
        overlay: What they did lately.
        hidden: The published filter.
    """

    known: KnownUser | None = None
    overlay: Sequence[Overlaid] = ()
    hidden: AskHidden | None = None


NOTHING = Remembered()


def recall(client: Client, generation: Generation, user_id: str) -> Remembered:
    """Ask the online store about a user, in one round trip; the filter is asked later, about a list."""
    pipeline = cast("Any", client.pipeline(transaction=False))
    pipeline.get(known_key(generation.name, user_id))
    pipeline.zrange(overlay_key(user_id), 0, -1, withscores=True)
    raw, overlay = pipeline.execute()

    def hidden(item_ids: list[str]) -> set[str]:
        answers = FILTERS[generation.filters].hidden(client, filter_key(generation.name, user_id), item_ids)
        return {item for item, is_hidden in zip(item_ids, answers, strict=True) if is_hidden}

    known = None if raw is None else unpacked(user_id, generation.as_of, raw)
    return Remembered(known, decoded(user_id, overlay), hidden)


def viewer(
    user_id: str | None,
    session: Sequence[Session],
    remembered: Remembered,
    snapshot: Snapshot,
    platform: Platform,
    now: datetime,
    arm: str | None = None,
) -> Viewer:
    """Put together whom to rank for.

    Args:
        user_id: Who, if that is known.
        session: What the request says that they did.
        remembered: What the online store says of them.
        snapshot: What ranks; it has a catalogue.
        platform: The configuration.
        now: The moment.
        arm: The arm that was asked for; None: the user's own.
    """
    as_of = cast("date", snapshot.as_of)
    today = _today(platform, now)
    told = {(one.item_id, one.event_type) for one in session}
    newer = [
        (one.occurred_at, one.item_id, one.event_type)
        for one in remembered.overlay
        if is_since(one, as_of, platform.zone) and (one.item_id, one.event_type) not in told
    ]
    newer += [(one.occurred_at or now, one.item_id, one.event_type) for one in session]
    done = [Done(item, what, min(_day(moment, platform), today)) for moment, item, what in sorted(newer)]
    until = max([as_of, *(one.day for one in done)])
    name = user_id or ""
    known = remembered.known
    lately = bought(remembered.overlay, refunds_take_back=platform.rules.refunds_take_back)
    history = NO_HISTORY if known is None else known.history
    mine = owned(done, platform) | (lately if platform.rules.owned_is_excluded else set())
    if remembered.hidden is not None:  # of what they did, it tells what they own
        mine |= set(remembered.hidden(history["item_id"].unique().to_list()))
    return Viewer(
        user_id=name,
        history=pl.concat([history, weighed(name, done, until, platform)]) if done else history,
        as_of=until,
        arm=arm or _own_arm(user_id, known, snapshot, platform),
        owned=frozenset(mine),
        blocked_creators=() if known is None else known.blocked_creators,
        blocked_categories=() if known is None else known.blocked_categories,
        may_see_adult=not platform.rules.adult_needs_verification if known is None else known.may_see_adult,
        hidden=remembered.hidden,
    )


def _own_arm(user_id: str | None, known: KnownUser | None, snapshot: Snapshot, platform: Platform) -> str:
    arm = known.arm if known is not None else ""
    if not arm and user_id is not None and snapshot.as_of is not None:
        arm = arm_of(platform, user_id, snapshot.as_of + ONE_DAY)
    return arm if arm in snapshot.arms else next(iter(snapshot.arms))


def _today(platform: Platform, now: datetime) -> date:
    """The day that it is; in a replay of old days, the one after its last."""
    today = _day(now, platform)
    return today if platform.last_day is None else min(today, platform.last_day + ONE_DAY)


def _day(moment: datetime, platform: Platform) -> date:
    try:
        return moment.astimezone(platform.zone).date()
    except OverflowError:  # the first or the last day that there is
        return moment.date()
