"""Days and slots: the two partitionings of the graph, and the windows of days that a slot sees.

Both follow from the configuration. Which assets use them is said where the assets are.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import dagster as dg

from recsys_assets.platform import Platform

KEY_FORMAT = "%Y-%m-%d"
ONE_DAY = timedelta(days=1)
LONGEST_GAP_BETWEEN_SLOTS = timedelta(days=400)
WHOLE_HISTORY_DAYS = 3_650


@dataclass(frozen=True)
class SlotWindow:
    """The days that a slot sees; all of them lie before the slot.

    Attributes:
        slot: The as-of cutoff: nothing of this day or later is seen.
        first: First day of the training rows.
        holdout: First day of the holdout; the candidate sees only days before it.
        last: The last day there can be: the day before the slot, or the end of a replay.
    """

    slot: date
    first: date
    holdout: date
    last: date

    @property
    def candidate_through(self) -> date:
        """The last day that the candidate sees."""
        return self.holdout - ONE_DAY


def slot_window(platform: Platform, slot: date) -> SlotWindow:
    """The days that `slot` trains on, validates on, and releases on."""
    training = platform.training
    last = slot - ONE_DAY
    return SlotWindow(
        slot=slot,
        first=max(platform.first_day, slot - timedelta(days=training.train_days)),
        holdout=slot - timedelta(days=training.holdout_days),
        last=last if platform.last_day is None else min(last, platform.last_day),
    )


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
    """All slots that exist at `now`, oldest first."""
    return [date.fromisoformat(key) for key in slots.get_partition_keys(current_time=now)]


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
