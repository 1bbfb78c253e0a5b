"""What a feature view is: one declared value, from which its asset, its checks and its page of the specification come.

Also what its function works with: `Known`, the lake as of a day. What the views of this platform are is said in
`features.views`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal, Protocol

import narwhals as nw

from recsys_assets.columns import Table
from recsys_assets.features.rules import Frame
from recsys_assets.platform import Platform

Rule = Callable[..., Frame]


class Past(Protocol):
    """Reads the lake, as far as a day and no further."""

    def rows(self, table: Table, first: date, last: date) -> Frame:
        """The rows of some days."""

    def state(self, log: Table, as_of: date) -> Frame:
        """The newest row per key of a change log."""

    def total(self, table: Table, as_of: date) -> Frame:
        """Sums over all interactions: one of the tables of the group `past`."""


@dataclass(frozen=True)
class Known:
    """What is known at the end of a day: the only way in which a view sees the lake, so none can look ahead.

    Attributes:
        platform: The configuration.
        as_of: The last day that is known.
        first: The first day that the view is asked for; the same as `as_of` except for a range of days.
        past: Reads the lake.
    """

    platform: Platform
    as_of: date
    first: date
    past: Past

    def at(self, earlier: date) -> "Known":
        """What was known at the end of an earlier day.

        Raises:
            ValueError: The day is not earlier: nobody may look ahead.
        """
        if earlier > self.as_of:
            raise ValueError(f"{earlier} is not known yet at the end of {self.as_of}")
        return replace(self, as_of=earlier, first=min(self.first, earlier))

    def asked(self, table: Table) -> Frame:
        """The rows of the days that the view is asked for."""
        return self.past.rows(table, self.first, self.as_of)

    def since(self, table: Table, first: date) -> Frame:
        """The rows from a day on."""
        return self.past.rows(table, first, self.as_of)

    def newest(self, table: Table, days: int) -> Frame:
        """The rows of the last `days` days."""
        return self.since(table, self.as_of - timedelta(days=days - 1))

    def state(self, log: Table) -> Frame:
        """The state of a change log: the newest row per key."""
        return self.past.state(log, self.as_of)

    def total(self, table: Table) -> Frame:
        """Sums over all interactions, as declared by a table of the group `past`."""
        return self.past.total(table, self.as_of)


@dataclass(frozen=True)
class Count:
    """What a rule removed: the rows (or the sum of `column`) of `before` less those of `after`."""

    before: Frame
    after: Frame | None = None
    column: str = ""

    @property
    def parts(self) -> Sequence[tuple[tuple[int, str], Frame]]:
        """One or two plans of one number each, called `rows`, beside what they count: rules share such numbers."""
        number = nw.col(self.column).sum() if self.column else nw.len()
        counted = [one for one in (self.before, self.after) if one is not None]
        return [((id(one), self.column), one.select(number.alias("rows"))) for one in counted]


@dataclass(frozen=True)
class Applied:
    """A plan, and for every rule that made it what the rule removed.

    Attributes:
        frame: The rows.
        counts: Name of the rule to what it removed.
    """

    frame: Frame
    counts: Mapping[str, Count] = field(default_factory=dict)

    def then(self, rule: Rule, *arguments: Any, column: str = "", **options: Any) -> "Applied":
        """Apply a rule to the rows.

        Args:
            rule: A function of `features.rules`; its name is the name of the count.
            arguments: For the rule, after the rows.
            column: What is counted is the sum of this column, not rows.
            options: For the rule.
        """
        after = rule(self.frame, *arguments, **options)
        return Applied(after, {**self.counts, rule.__name__: Count(self.frame, after, column)})

    def into(self, frame: Frame, *others: "Applied", **removed: Frame) -> "Applied":
        """Go on with other rows that were made from these.

        Args:
            frame: The rows to go on with.
            others: Whose rows are in there too: their counts are taken over.
            removed: Name of a rule to the rows that it keeps from people's lists.
        """
        counts = dict(self.counts)
        for one in others:
            counts.update(one.counts)
        return Applied(frame, {**counts, **{name: Count(rows) for name, rows in removed.items()}})


@dataclass(frozen=True)
class FeatureView:
    """A view, declared.

    Attributes:
        table: Its name, its columns with type, unit and meaning, and its keys.
        entity: What a row is about: the columns that a labelled frame is joined on.
        keeps: `changes`: a partition holds what happened in it; `snapshot`: the whole state at its end.
        compute: From what is known to the rows, without reading or writing anything by itself.
        inputs: The tables that it reads.
        rules: The business rules that it applies.
        window_days: How many days back it looks, its own day included; None: to the beginning.
        reach_days: How many days back a late row can still change it, which is further than the window where states
            and rules look at the whole past; None: any day.
        ttl_days: For how many days a value may stand in for a newer one that is not there.
        partitions: Whether it is kept by day or by training slot.
        refers_to_catalogue: Whether its items must be in the mapped catalogue, now or earlier.
        is_stored: Whether it has a table of its own; if not, it is computed from others whenever it is read.
        version: Raised when the meaning of a column changes, so that stored days are known to be old.
    """

    table: Table
    entity: tuple[str, ...]
    keeps: Literal["changes", "snapshot"]
    compute: Callable[[Known], Applied]
    inputs: tuple[Table, ...]
    rules: tuple[Rule, ...] = ()
    window_days: int | None = None
    reach_days: int | None = None
    ttl_days: int = 7
    partitions: Literal["day", "slot"] = "day"
    refers_to_catalogue: bool = False
    is_stored: bool = True
    version: str = "1"

    @property
    def name(self) -> str:
        """The short name: `user_profile`."""
        return self.table.key[-1]
