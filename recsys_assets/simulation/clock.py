"""The time of day at which people do things, as seconds since midnight on the shop's wall clock.

Dates stay out, except that some days have an hour which the wall clock skips.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from recsys_assets.simulation.rows import Ints

SECONDS_PER_DAY = 86_400
_QUARTER_SECONDS = 900
# Relative traffic of each hour: quiet at night, a bump at lunch, the peak before bed.
_TRAFFIC = np.array([5, 3, 2, 1, 1, 2, 4, 7, 9, 8, 8, 9, 12, 11, 9, 9, 9, 10, 12, 14, 17, 20, 19, 10], dtype=float)


def times_of_day(count: int, rng: np.random.Generator) -> Ints:
    """Draw moments with the rhythm of the shop's traffic.

    Returns:
        Shape (count,), seconds since midnight, in [0, 86400).
    """
    hour = rng.choice(24, size=count, p=_TRAFFIC / _TRAFFIC.sum())
    return hour * 3_600 + rng.integers(3_600, size=count)


def moved_out_of_gap(seconds: Ints, day: date, zone: ZoneInfo) -> Ints:
    """Move moments out of the hour that the clocks skip where summer time begins, keeping their order.

    The skipped hour and the one after it share the latter, so that nothing overtakes anything.

    Args:
        seconds: Shape (moments,), seconds since midnight.
        day: The day of all of them.
        zone: The zone of the wall clock.

    Returns:
        Shape (moments,), seconds since midnight that exist on that day.
    """
    quarters = [quarter * _QUARTER_SECONDS for quarter in range(SECONDS_PER_DAY // _QUARTER_SECONDS)]
    skipped = [second for second in quarters if not _exists(day, second, zone)]
    if not skipped:
        return seconds
    begin, end = skipped[0], skipped[-1] + _QUARTER_SECONDS
    is_squeezed = (seconds >= begin) & (seconds < 2 * end - begin)
    return np.where(is_squeezed, end + (seconds - begin) // 2, seconds)


def _exists(day: date, second: int, zone: ZoneInfo) -> bool:
    on_the_wall = datetime.combine(day, time(), zone) + timedelta(seconds=second)
    return on_the_wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == on_the_wall.replace(tzinfo=None)
