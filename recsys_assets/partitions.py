"""Days and slots: the two partitionings of the graph, as Dagster has them, and how they depend on each other.

Both follow from the configuration. Which assets use them is said where the assets are.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from recsys_assets.platform import Platform
from recsys_assets.slot_window import ONE_DAY

KEY_FORMAT = "%Y-%m-%d"
LONGEST_GAP_BETWEEN_SLOTS = timedelta(days=400)
WHOLE_HISTORY_DAYS = 3_650


def day_partitions(platform: Platform) -> dg.DailyPartitionsDefinition:
    """One partition per day, from the first day on; the newest is yesterday, or the last day of a replay."""
    end = None if platform.last_day is None else (platform.last_day + ONE_DAY).strftime(KEY_FORMAT)
    return dg.DailyPartitionsDefinition(
        start_date=platform.first_day.strftime(KEY_FORMAT), end_date=end, timezone=platform.time_zone
    )


def slot_partitions(platform: Platform) -> dg.TimeWindowPartitionsDefinition:
    """One partition per training slot, by cron; a slot exists from its own tick on.

    A replay ends with the first slot that sees its whole last day. Dagster ends a definition with the last
    slot whose *next* tick is not after `end`, so `end` is the tick after that slot.
    """
    if platform.last_day is None:
        return _slots(platform, end=None)
    until = platform.last_day + LONGEST_GAP_BETWEEN_SLOTS * 2
    ticks = slot_days(_slots(platform, end=None), datetime.combine(until, time(), platform.zone))
    later = [tick for tick in ticks if tick > platform.last_day]
    return _slots(platform, end=later[1].strftime(KEY_FORMAT))


def _slots(platform: Platform, end: str | None) -> dg.TimeWindowPartitionsDefinition:
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=platform.training.slots,
        start=platform.first_slot_day.strftime(KEY_FORMAT),
        end=end,
        fmt=KEY_FORMAT,
        timezone=platform.time_zone,
        end_offset=1 if end is None else 0,
    )


def slot_days(slots: dg.TimeWindowPartitionsDefinition, now: datetime) -> list[date]:
    """All slots that exist at `now`, oldest first. Before the first tick Dagster already offers the first slot."""
    today = now.astimezone(ZoneInfo(slots.timezone)).date()
    days = (date.fromisoformat(key) for key in slots.get_partition_keys(current_time=now))
    return [day for day in days if day <= today]


def slot_to_days(platform: Platform) -> dg.TimeWindowPartitionMapping:
    """A slot depends on the days of its training window.

    Offsets count in slots, of which there is at most one a day: the mapping reaches at least as far as the window.
    """
    return dg.TimeWindowPartitionMapping(
        start_offset=-platform.training.train_days, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )


def day_to_history() -> dg.TimeWindowPartitionMapping:
    """A day depends on itself and every day before it."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-WHOLE_HISTORY_DAYS, end_offset=0, allow_nonexistent_upstream_partitions=True
    )
