"""Reading the lake as of a day, at a cost that does not grow with the age of the tables.

States of change logs and sums over all interactions are kept as of the ends of months. Reading as of a later day
continues the newest kept one with the days since; without any, it reads from the beginning, with the same result.
A kept state counts only while the data files that it was made of are the very same, so nothing can make it wrong.
What the rows mean stays with the rules and the views.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import narwhals as nw
import polars as pl

from recsys_assets.columns import (
    INTERACTIONS,
    ITEM_STATE,
    ITEMS,
    ITEMS_SEEN,
    PAIR_TOTALS,
    PAST_STATES,
    USER_BLOCK_STATE,
    USER_BLOCKS,
    USER_STATE,
    USERS,
    USERS_SEEN,
    Table,
)
from recsys_assets.features.rules import COUNTS, PAIR, Frame
from recsys_assets.slot_window import ONE_DAY
from resources.engine import Engine
from resources.lake import DeltaLake

KEPT_STATES = 3
"""How many ends of months are kept; slots look back less than that."""


@dataclass(frozen=True)
class Kept:
    """A table of the group `past`, and how it is continued.

    Attributes:
        table: Where it is kept.
        source: What it is made of.
        start: From rows of the source to rows of the state, one or more per key.
        combine: From rows of the state to one row per key, for any mixture of older and newer rows.
    """

    table: Table
    source: Table
    start: Callable[[Frame], Frame]
    combine: Callable[[Frame], Frame]


def _log(table: Table, source: Table) -> Kept:
    keys = [key for key in source.primary_key if key != "ds"]

    def newest(rows: Frame) -> Frame:
        return rows.filter(nw.col("ds") == nw.col("ds").max().over(*keys))

    return Kept(table, source, lambda rows: rows, newest)


def _pairs(interactions: Frame) -> Frame:
    bought = (nw.col("purchases") > 0) | (nw.col("refunds") > 0)
    return interactions.filter(bought).select(*PAIR, "quantity", "purchases")


def _users(interactions: Frame) -> Frame:
    events = interactions.with_columns(nw.sum_horizontal(*(nw.col(count) for count in COUNTS.values())).alias("events"))
    by_day = events.group_by("ds", "user_id").agg(nw.col("events").sum().alias("most_events"))
    return by_day.select("user_id", "most_events", nw.col("ds").alias("first_seen_on"))


KEPT = (
    _log(ITEM_STATE, ITEMS),
    _log(USER_STATE, USERS),
    _log(USER_BLOCK_STATE, USER_BLOCKS),
    Kept(
        PAIR_TOTALS,
        INTERACTIONS,
        _pairs,
        lambda rows: rows.group_by(*PAIR).agg(nw.col("quantity", "purchases").sum()),
    ),
    Kept(
        USERS_SEEN,
        INTERACTIONS,
        _users,
        lambda rows: rows.group_by("user_id").agg(nw.col("most_events").max(), nw.col("first_seen_on").min()),
    ),
    Kept(
        ITEMS_SEEN,
        INTERACTIONS,
        lambda rows: rows.select("item_id", nw.col("ds").alias("first_seen_on")),
        lambda rows: rows.group_by("item_id").agg(nw.col("first_seen_on").min()),
    ),
)
_BY_TABLE = {kept.table.name: kept for kept in KEPT}
_BY_SOURCE = {kept.source.name: kept for kept in KEPT[:3]}


@dataclass(frozen=True)
class LakePast:
    """Implements `features.view.Past` on the lake.

    Attributes:
        lake: Where the tables are.
        engine: What reads them.
        shared_until: Of a plan over a range of days, the last one: what its days have in common is read once.
        users: Only rows of users from this id to that one are read, where rows are of users; None: of everybody.
    """

    lake: DeltaLake
    engine: Engine
    shared_until: date | None = None
    users: tuple[str, str] | None = None
    _shared: dict[str, tuple[date, Frame]] = field(default_factory=dict, compare=False)

    def rows(self, table: Table, first: date, last: date) -> Frame:
        """See `Past.rows`."""
        if self.shared_until is None:
            return self._of_users(table, self.engine.scan(self.lake, table, (first, last)))
        since, frame = self._shared.get(table.name, (date.max, None))
        if frame is None or first < since:
            scanned = self._of_users(table, self.engine.scan(self.lake, table, (first, self.shared_until)))
            frame = self.engine.shared(scanned)
            self._shared[table.name] = (first, frame)
        # No literal for the beginning of time: engines differ in the oldest date that they know.
        known = frame.filter(nw.col("ds") <= nw.lit(last))
        return known if first == date.min else known.filter(nw.col("ds") >= nw.lit(first))

    def state(self, log: Table, as_of: date) -> Frame:
        """See `Past.state`."""
        return self._as_of(_BY_SOURCE[log.name], as_of)

    def total(self, table: Table, as_of: date) -> Frame:
        """See `Past.total`."""
        return self._as_of(_BY_TABLE[table.name], as_of)

    def keep(self, day: date) -> dict[str, int]:
        """Keep every state as of a day, unless it is kept already; forget the oldest ones.

        Returns:
            Table to the rows that were written.
        """
        written = {}
        for kept in KEPT:
            made_of = self.lake.files_until(kept.source.name, day)
            if self._states.get((kept.table.name, day)) == made_of:
                continue
            state = self._as_of(kept, day).with_columns(nw.lit(day).alias("ds")).select(kept.table.schema.names())
            rows, _ = self.engine.compute(state, self.lake, kept.table, (day, day), kept.table.primary_key)
            self.lake.replace(kept.table, rows, (day, day))
            record = pl.DataFrame([(day, kept.table.name, made_of)], schema=PAST_STATES.schema, orient="row")
            self.lake.replace(PAST_STATES, record, (day, day), where={"table": kept.table.name})
            written[kept.table.name] = rows.height
        self._forget_older(day)
        return written

    def _forget_older(self, day: date) -> None:
        older = sorted({ds for _, ds in self._states if ds != day}, reverse=True)[KEPT_STATES - 1 :]
        if older:
            for table in (PAST_STATES, *(kept.table for kept in KEPT)):
                self.lake.replace(table, pl.DataFrame(schema=table.schema), (older[-1], older[0]))

    def _as_of(self, kept: Kept, as_of: date) -> Frame:
        """The newest kept state that still counts, continued with the days since."""
        begin = next((day for day in self._days_of(kept, as_of) if self._counts(kept, day)), None)
        if begin is None:
            return kept.combine(kept.start(self.rows(kept.source, date.min, as_of)))
        older = self.rows(kept.table, begin, begin)
        newer = kept.start(self.rows(kept.source, begin + ONE_DAY, as_of))
        return kept.combine(nw.concat([older.select(newer.collect_schema().names()), newer]))

    def _of_users(self, table: Table, rows: Frame) -> Frame:
        if self.users is None or "user_id" not in table.schema:
            return rows
        first, last = self.users
        return rows.filter((nw.col("user_id") >= nw.lit(first)) & (nw.col("user_id") <= nw.lit(last)))

    def _days_of(self, kept: Kept, as_of: date) -> list[date]:
        return sorted((day for name, day in self._states if name == kept.table.name and day <= as_of), reverse=True)

    def _counts(self, kept: Kept, day: date) -> bool:
        return self._states[kept.table.name, day] == self.lake.files_until(kept.source.name, day)

    @cached_property
    def _states(self) -> dict[tuple[str, date], str]:
        rows = self.lake.scan(PAST_STATES).select("table", "ds", "made_of").collect()
        return {(table, day): made_of for table, day, made_of in rows.iter_rows()}


def end_of_month_before(day: date) -> date:
    """The newest last day of a month that is not after `day`."""
    tomorrow = day + ONE_DAY
    return tomorrow.replace(day=1) - timedelta(days=1)
