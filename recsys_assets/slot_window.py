"""The days that a training slot sees, trains on, and is judged on. Dagster's view is in `partitions`."""

from dataclasses import dataclass
from datetime import date, timedelta

from recsys_assets.platform import Platform

ONE_DAY = timedelta(days=1)


def days_between(first: date, last: date) -> list[date]:
    """Every day of a range, first and last included; none when it ends before it begins."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


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
