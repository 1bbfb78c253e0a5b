"""The simulated store as a whole: its days written into a landing folder, and what was written in numbers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.columns import EVENT_TYPES
from recsys_assets.simulation.days import Chance, Day, State, simulated_days
from recsys_assets.simulation.dirt import SPOILERS, soiled
from recsys_assets.simulation.landing_files import LandingDay
from recsys_assets.simulation.names import numbers_of, user_ids
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.responses import Shown
from recsys_assets.simulation.rows import Flags, Ints


@dataclass(frozen=True)
class SimulatedStore:
    """What a simulation wrote, for comparison with what is read from it.

    Attributes:
        events: Good rows in the event files, by action.
        dirty_rows: Rows added to the event files that must be refused, by kind.
        item_rows: Rows in the item files: the first catalogue, and each later change.
        user_rows: Rows in the user files: the first accounts, and each later change.
        block_rows: Rows in the block files.
        items: Books ever announced.
        users: Accounts ever opened.
        bot_ids: The accounts that machines use.
        test_account_ids: The accounts that the shop's staff use.
    """

    events: dict[str, int]
    dirty_rows: dict[str, int]
    item_rows: int
    user_rows: int
    block_rows: int
    items: int
    users: int
    bot_ids: tuple[str, ...]
    test_account_ids: tuple[str, ...]

    @property
    def event_rows(self) -> int:
        """All rows in the event files, good and dirty."""
        return sum(self.events.values()) + sum(self.dirty_rows.values())

    @property
    def refunds(self) -> int:
        """Purchases that were given back."""
        return self.events["refund"]


def simulate(
    parameters: StoreParameters,
    landing: Path,
    on_day: Callable[[date], None] | None = None,
    lists_of: Callable[[date], pl.DataFrame] | None = None,
) -> SimulatedStore:
    """Write the landing files of a simulated store, day by day.

    A day's file of events is written after its other files. Files of an earlier simulation are replaced.

    Args:
        parameters: The store's size, length and habits.
        landing: The folder of all landing files; it is created where it does not exist.
        on_day: Called after each day whose files are all written.
        lists_of: Day to the lists that the shop shows on it: user_id, item_id, position (from 1), family, version,
            arm. It is asked when the day begins, unless the landing says already what was shown.

    Returns:
        What was written, in numbers.
    """

    def shown(today: int) -> Shown:
        files = LandingDay(landing, parameters.first_day, today)
        before = files.shown_before()
        if before is not None:
            return before
        return Shown.nothing() if lists_of is None else _as_numbers(lists_of(files.date))

    dirty_rows: Counter[str] = Counter(dict.fromkeys(SPOILERS, 0))
    actions = np.zeros(len(EVENT_TYPES), dtype=np.int64)
    change_rows = np.zeros(3, dtype=np.int64)
    for today, day in enumerate(simulated_days(parameters, shown)):
        files = LandingDay(landing, parameters.first_day, today)
        dirty_rows.update(_write(files, day, parameters))
        actions += np.bincount(day.events.action, minlength=len(EVENT_TYPES))
        change_rows += [len(day.changed_books), len(day.changed_users), len(day.block_changes)]
        if on_day is not None:
            on_day(files.date)
    return _summary(day.state, actions, dict(dirty_rows), change_rows)


def _write(files: LandingDay, day: Day, parameters: StoreParameters) -> Counter[str]:
    """Write one day's files, and count the dirty rows in them."""
    files.write_items(day.state.catalogue, day.changed_books)
    files.write_users(day.state.people, day.changed_users)
    files.write_blocks(day.block_changes)
    files.write_impressions(day.shown, day.impressions)
    dirt = Chance.of_day(parameters.seed, files.today).dirt
    lines, dirty_rows = soiled(files.event_lines(day.events), parameters.dirty_row_share, dirt)
    files.write_events(lines)
    return dirty_rows


def _as_numbers(lists: pl.DataFrame) -> Shown:
    rows = lists.sort("user_id", "position")
    return Shown(
        user=numbers_of(rows["user_id"]),
        book=numbers_of(rows["item_id"]),
        position=rows["position"].cast(pl.Int64).to_numpy(),
        family=rows["family"].to_numpy(),
        version=rows["version"].to_numpy(),
        arm=rows["arm"].to_numpy(),
    )


def _summary(state: State, actions: Ints, dirty_rows: dict[str, int], change_rows: Ints) -> SimulatedStore:
    item_rows, user_rows, block_rows = change_rows.tolist()
    return SimulatedStore(
        events=dict(zip(EVENT_TYPES, actions.tolist(), strict=True)),
        dirty_rows=dirty_rows,
        item_rows=item_rows,
        user_rows=user_rows,
        block_rows=block_rows,
        items=len(state.catalogue.books),
        users=len(state.people),
        bot_ids=_ids_where(state.people.is_bot),
        test_account_ids=_ids_where(state.people.is_test),
    )


def _ids_where(is_meant: Flags) -> tuple[str, ...]:
    return tuple(user_ids(np.flatnonzero(is_meant)))
