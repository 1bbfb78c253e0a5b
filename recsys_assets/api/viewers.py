"""Whom to rank for: what the request says, what the generation knows of the user, and what they did since."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import cast

import polars as pl

from recsys_assets.api.live_models import Snapshot
from recsys_assets.api.real_time import Viewer
from recsys_assets.api.stored_lists import Remembered
from recsys_assets.experiments import arm_of
from recsys_assets.features.lately import day_of, faded, newest_day, owned, weighed
from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.platform import Platform
from recsys_assets.serving.known_users import KnownUser
from recsys_assets.serving.overlay import Overlaid, is_since
from recsys_assets.slot_window import ONE_DAY

NO_HISTORY = pl.DataFrame(schema=HISTORY_SCHEMA)


def viewer(
    user_id: str | None,
    session: Sequence[Overlaid],
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
    known, as_of = remembered.known, remembered.as_of or cast("date", snapshot.as_of)
    told = {(one.item_id, one.event_type) for one in session}
    done = [one for one in remembered.overlay if is_since(one, as_of, platform.zone)]
    done = [*(one for one in done if (one.item_id, one.event_type) not in told), *session]
    until = max(as_of, min(newest_day(done, platform.zone), _today(platform, now))) if done else as_of
    history = NO_HISTORY if known is None else faded(known.history, (until - as_of).days, platform.rules)
    mine = owned(done, platform.rules) | owned(remembered.overlay, platform.rules)
    if remembered.hidden is not None and known is not None:  # of what they did, it tells what they own
        mine |= remembered.hidden(history["item_id"].unique().to_list())
    return Viewer(
        user_id=user_id or "",
        history=pl.concat([history, weighed(user_id or "", done, until, platform)]) if done else history,
        as_of=until,
        arm=arm or _own_arm(user_id, known, snapshot, platform),
        owned=frozenset(mine),
        blocked_creators=() if known is None else known.blocked_creators,
        blocked_categories=() if known is None else known.blocked_categories,
        may_see_adult=known is not None and known.may_see_adult,
        hidden=remembered.hidden,
    )


def _own_arm(user_id: str | None, known: KnownUser | None, snapshot: Snapshot, platform: Platform) -> str:
    arm = known.arm if known is not None else ""
    if not arm and user_id is not None and snapshot.as_of is not None:
        arm = arm_of(platform, user_id, snapshot.as_of + ONE_DAY)
    return arm if arm in snapshot.arms else next(iter(snapshot.arms))


def _today(platform: Platform, now: datetime) -> date:
    """The day that it is; in a replay of old days, the one after its last."""
    today = day_of(now, platform.zone)
    return today if platform.last_day is None else min(today, platform.last_day + ONE_DAY)
