"""For how many days tables are kept, and who needs them for how long. Pure: nothing is dropped here.

Only what can be computed again ever ends: lists, and the snapshot views that they were made of. What happened, what
models were trained on, and what was said of them is kept for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from recsys_assets.columns import FINAL_RECOMMENDATIONS, Table, recommendations_table
from recsys_assets.configuration import ConfigurationError, near
from recsys_assets.features.views import SNAPSHOTS, VIEWS
from recsys_assets.platform import Platform
from recsys_assets.slot_window import ONE_DAY, slot_window

DEFAULT_DAYS = 90
WAY_BACK_DAYS = 3
"""Days to which somebody may go back in the online store, whose lists are then explained."""
LISTS = "recommendations"


@dataclass(frozen=True)
class Need:
    """Who reads a table, and how far back.

    Attributes:
        who: The reader.
        days: How many of the newest days it reads.
    """

    who: str
    days: int


def needs_of(platform: Platform, table: Table) -> list[Need]:
    """Who needs how many of the newest days of a table that is not kept for ever."""
    needs = [
        Need("the explanation of lists in the online store, after a way back (`recsys generations use`)", WAY_BACK_DAYS)
    ]
    if table.key[0] == LISTS:
        holdout = platform.training.holdout_days
        needs.append(Need("validation/served, which measures the lists of the holdout days", holdout + 1))
    if table.name == FINAL_RECOMMENDATIONS.name:
        needs.append(Need("the check overlap_with_yesterday", 2))
    elif table.key[0] == LISTS:
        scores = VIEWS["family_scores"]
        needs.append(Need("features/family_scores, which are these lists, within their time to live", scores.ttl_days))
    else:
        view = VIEWS[table.key[-1]]
        needs.append(Need(f"point-in-time joins with {table.name}, within its time to live", view.ttl_days))
        needs.append(
            Need("the check row_count_is_usual (view_checks.trailing_days)", platform.view_checks.trailing_days + 1)
        )
    return sorted(needs, key=lambda need: (-need.days, need.who))


def kept_days(platform: Platform) -> dict[str, int | None]:
    """Name of each table that need not be kept for ever to how many of its newest days are kept; None: all of them.

    Raises:
        ConfigurationError: `keep_days` names something else, or keeps fewer days than somebody reads.
    """
    tables = {table.name: table for table in _tables(platform)}
    known = [*tables, *dict.fromkeys(table.key[0] for table in tables.values())]
    for name in platform.keep_days:
        if name not in known:
            raise ConfigurationError(
                f"keep_days.{name}: is kept for ever, or is no table{near(name, known)}; days can be set for "
                f"{', '.join(known)}"
            )
    return {name: _days_of(platform, table) for name, table in tables.items()}


def first_kept(platform: Platform, name: str, days: int, stored: list[date], newest_slot: date | None) -> date:
    """The first day of a table that is kept.

    Days are counted back from the newest stored one, so that nothing ends only because nothing new has come. The lists
    of the newest slot's holdout days are kept in any case: the slot may be judged again.

    Args:
        platform: The configuration.
        name: Of the table.
        days: How many are kept.
        stored: The days that the table holds, oldest first; at least one.
        newest_slot: The newest slot that was trained; None before the first.
    """
    first = stored[-1] - timedelta(days=days - 1)
    if newest_slot is None or not name.startswith(f"{LISTS}/"):
        return first
    return min(first, slot_window(platform, newest_slot).holdout - ONE_DAY)


def _days_of(platform: Platform, table: Table) -> int | None:
    needs = needs_of(platform, table)
    for name in (table.name, table.key[0]):
        if name in platform.keep_days:
            days = platform.keep_days[name]
            most = needs[0]
            if days is not None and days < most.days:
                raise ConfigurationError(
                    f"keep_days.{name}: is {days}, and {most.who} needs {most.days} days of {table.name}; "
                    f"keep at least {most.days}"
                )
            return days
    return max(DEFAULT_DAYS, needs[0].days)


def _tables(platform: Platform) -> Iterator[Table]:
    yield FINAL_RECOMMENDATIONS
    yield from (recommendations_table(name) for name in platform.families)
    yield from (view.table for view in SNAPSHOTS)
