"""Reading features as of a day: the one door between the lake and everything that trains, judges or ranks.

Each method reads only days up to the day asked for, applies the rules, and returns rows. Nothing is written here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import narwhals as nw
import polars as pl

from recsys_assets.columns import ITEMS, VIEW_DAYS, recommendations_table
from recsys_assets.configuration import near
from recsys_assets.features.past import LakePast
from recsys_assets.features.point_in_time import (
    KNOWN_DAY,
    JoinError,
    join_changes,
    join_snapshot,
    last_known_day,
    require_joinable,
    value_days,
)
from recsys_assets.features.rules import PAIR, Frame
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views import VIEWS
from recsys_assets.features.views.genuine import history, hits
from recsys_assets.features.views.user_profile import segments
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform
from recsys_assets.slot_window import days_between, slot_window
from resources.engine import Engine, PolarsEngine, Portion
from resources.lake import Days, DeltaLake
from resources.settings import Settings
from resources.wiring import build_resources


class UnknownViewError(Exception):
    """There is no such view or column; the message names those that are there."""


@dataclass(frozen=True)
class FeatureStore:
    """Point-in-time correct features.

    Attributes:
        platform: The configuration.
        lake: Where the tables are.
        engine: What computes.
    """

    platform: Platform
    lake: DeltaLake
    engine: Engine

    @classmethod
    def from_env(cls) -> "FeatureStore":
        """The feature store of the installation that the environment describes, for a notebook or a script."""
        settings = Settings.from_env()
        platform = load_platform(settings.config or BUNDLED_CONFIG)
        resources = build_resources(settings, platform.engine)
        lake, engines = (resources[name].process_config_and_initialize() for name in ("lake", "engine"))
        return cls(platform, lake, engines.of("features"))

    # --- Views ---

    def read(self, view: str, as_of: date, days: int | None = None, users: pl.Series | None = None) -> pl.DataFrame:
        """A view as known at the end of a day.

        A snapshot is computed as of the day, whether or not somebody stored it. Of a view that keeps changes, the
        rows of all days up to `as_of` come back; of the training set, the newest stored slot that had seen no later
        day; of `family_scores`, the newest lists of each family.

        Args:
            view: Its name, such as `user_profile`.
            as_of: The last day that is known.
            days: Of a view that keeps changes, only the newest `days` days.
            users: Of a snapshot of users, only the rows of these; no others are brought here.

        Raises:
            UnknownViewError: There is no such view.
        """
        declared = find_view(view)
        if declared.partitions == "slot":
            return self._newest_slot(declared, as_of)
        if not declared.is_stored:
            rows = self._virtual(declared, (as_of - timedelta(days=declared.ttl_days - 1), as_of))
            newest = rows.filter(pl.col("ds") == pl.col("ds").max().over("family"))
            return newest.collect().sort(declared.table.primary_key)
        if declared.keeps == "changes":
            first = date.min if days is None else as_of - timedelta(days=days - 1)
            return self.lake.scan(declared.table, (first, as_of)).collect().sort(declared.table.primary_key)
        return self.compute(declared, as_of, as_of, users)

    def join(self, rows: pl.DataFrame, columns: Sequence[str], timestamp_column: str) -> pl.DataFrame:
        """Add features to labelled rows, each as it was known at the row's moment.

        A value of day D is known from the end of D on. A row gets the newest stored value before its moment, as long
        as the view's time to live allows, else null; of a snapshot, the state of that day and of no older one.

        Args:
            rows: With the keys of the views (such as user_id), a moment, and whatever else.
            columns: Such as `user_profile.purchases`, which is also the name of the new column.
            timestamp_column: A datetime (without a time zone: in the platform's), or a date (its first moment).

        Returns:
            The rows in their order, with the new columns.

        Raises:
            UnknownViewError: There is no such view or column.
            JoinError: A key or the moment is missing or of another type, a column is there already, or no day was
                stored that could be joined.
        """
        wanted = _by_view(columns)
        keys = {key: view.table.schema[key] for view in map(find_view, wanted) for key in view.entity}
        require_joinable(rows, keys, columns, timestamp_column)
        known = last_known_day(rows[timestamp_column], self.platform.zone)
        joined = rows.lazy().with_columns(known)
        for name, values in wanted.items():
            joined = self._joined(joined, rows.with_columns(known), find_view(name), values)
        return joined.drop(KNOWN_DAY).collect()

    def compute(self, view: FeatureView, first: date, last: date, users: pl.Series | None = None) -> pl.DataFrame:
        """Rows of a view for a range of days (of these users only), in one lazy plan, sorted by its keys."""
        rows = self.engine.collect(self._of(users, self.plan(view, first, last).frame))
        return rows.sort(view.table.primary_key)

    def compute_counted(self, view: FeatureView, plan: Applied, days: Days) -> tuple[Portion, dict[str, int]]:
        """Rows of a view, as far as they wait to be written; and how much each rule removed as of the last day.

        Args:
            view: The view.
            plan: What `plan` made of it; `ds` may be another.
            days: The days that its rows are of.

        Returns:
            The rows, and rule to rows, or to what else it counts.
        """
        parts = {rule: count.parts for rule, count in plan.counts.items()}
        counted = dict(part for some in parts.values() for part in some)
        keys = view.table.primary_key
        rows, found = self.engine.compute(plan.frame, self.lake, view.table, days, keys, list(counted.values()))
        numbers = dict(zip(counted, found, strict=True))
        found_of = {rule: [numbers[key] for key, _ in some] for rule, some in parts.items()}
        return rows, {rule: before - sum(after) for rule, (before, *after) in found_of.items()}

    def plan(self, view: FeatureView, first: date, last: date) -> Applied:
        """The plan of a view for a range of days; a snapshot is computed as of each of them."""
        if first == last or view.keeps == "changes" or not view.is_stored:
            asked = [self.known(last, first)]
        else:
            shared = LakePast(self.lake, self.engine, shared_until=last)
            asked = [Known(self.platform, day, day, shared) for day in days_between(first, last)]
        parts = [(known.as_of, view.compute(known)) for known in asked]
        columns = view.table.schema.names()
        frames = [
            (part.frame if _has_days(view) else part.frame.with_columns(nw.lit(day).alias("ds"))).select(columns)
            for day, part in parts
        ]
        return Applied(nw.concat(frames), parts[-1][1].counts)

    def known(self, as_of: date, first: date | None = None) -> Known:
        """What is known at the end of a day."""
        return Known(self.platform, as_of, as_of if first is None else first, self._past)

    # --- What models are trained, judged and ranked with ---

    def history(self, as_of: date, window_days: int, users: tuple[str, str] | pl.Series | None = None) -> pl.DataFrame:
        """What users did, weighted, as known at the end of `as_of`.

        Args:
            as_of: The last day that is known.
            window_days: How many days back the rows reach, `as_of` included.
            users: Only these, or those from one id to another, both included, when others are not even read; default:
                all.

        Returns:
            user_id, item_id, day, weight; one row per user, item and day, sorted.
        """
        some, between = (users, None) if isinstance(users, pl.Series) else (None, users)
        return self.engine.collect(self._of(some, self.history_plan(as_of, window_days, between))).sort(*PAIR, "day")

    def history_plan(self, as_of: date, window_days: int, users: tuple[str, str] | None = None) -> Frame:
        """The rows of `history` as a lazy frame of the engine, in no order."""
        past = self._past if users is None else LakePast(self.lake, self.engine, users=users)
        return history(Known(self.platform, as_of, as_of, past), window_days).frame

    def hits(self, first: date, last: date) -> pl.DataFrame:
        """The truth that a candidate is judged on: what users took from `first` to `last` without having had it.

        Returns:
            user_id, item_id, day (of the first such event); one row per user and item, sorted.
        """
        return self.engine.collect(hits(self.known(last), first).frame).sort(*PAIR)

    def segments(self, as_of: date) -> pl.DataFrame:
        """user_id, segment of every user, as `user_profile` has them as of a day."""
        return self.engine.collect(segments(self.known(as_of)))

    def catalogue(self, as_of: date) -> pl.DataFrame:
        """The newest row of `sources/items` for every item of the catalogue as of a day, on sale or not."""
        return self.engine.collect(self.known(as_of).state(ITEMS))

    # --- Parts ---

    @cached_property
    def _past(self) -> LakePast:
        return LakePast(self.lake, self.engine)

    def _of(self, users: pl.Series | None, frame: Frame) -> Frame:
        """The rows of some users."""
        if users is None:
            return frame
        return frame.join(self.engine.given(pl.DataFrame({"user_id": users})), on="user_id", how="semi")

    def _newest_slot(self, view: FeatureView, as_of: date) -> pl.DataFrame:
        stored = self.lake.days(view.table.name)
        slots = [slot for slot in stored if slot_window(self.platform, slot).last <= as_of]
        if not slots:
            return pl.DataFrame(schema=view.table.schema)
        return self.lake.scan(view.table, (slots[-1], slots[-1])).collect().sort(view.table.primary_key)

    def _joined(
        self, joined: pl.LazyFrame, rows: pl.DataFrame, view: FeatureView, values: Sequence[str]
    ) -> pl.LazyFrame:
        """The rows with the values of one view."""
        names = {value: f"{view.name}.{value}" for value in values}
        if rows[KNOWN_DAY].null_count() == rows.height:  # no row has a moment at which anything could be known
            return joined.with_columns(pl.lit(None, view.table.schema[one]).alias(names[one]) for one in values)
        keys = list(view.entity)
        days, stored = self._span(rows[KNOWN_DAY], view)
        source = self.lake.scan(view.table, days) if view.is_stored else self._virtual(view, days)
        renamed = source.select(*keys, "ds", *(pl.col(one).alias(name) for one, name in names.items()))
        asked = renamed.join(rows.lazy().select(keys).unique(), on=keys, how="semi")
        if view.keeps == "changes":
            return join_changes(joined, asked, keys, view.ttl_days)
        apart = [name for name in stored.columns if name != "ds"]
        chosen = value_days(rows.select(KNOWN_DAY, *apart), stored, view.ttl_days)
        return join_snapshot(joined, asked, chosen.lazy(), keys)

    def _span(self, known: pl.Series, view: FeatureView) -> tuple[Days, pl.DataFrame]:
        """The days that can be joined, and the stored ones among them.

        Raises:
            JoinError: There is none.
        """
        oldest, newest = (known.drop_nulls().sort().item(place) for place in (0, -1))
        first = oldest - timedelta(days=view.ttl_days - 1)
        stored = self._stored_days(view).filter(pl.col("ds").is_between(first, newest))
        if stored.is_empty() or view.partitions == "slot":
            remedy = (
                f"store them with `recsys backfill {view.name} --from {oldest} --to {newest}`"
                if view.partitions == "day" and view.is_stored
                else "there is nothing to join before recommendations were made"
                if view.partitions == "day"
                else "it is kept by training slot; join the views that it is made of"
            )
            raise JoinError(f"{view.name} has no stored day from {first} to {newest}: {remedy}")
        return (first, newest), stored

    def _stored_days(self, view: FeatureView) -> pl.DataFrame:
        """ds, and for `family_scores` the family, of every stored day."""
        if view.is_stored:
            with_rows = pl.DataFrame({"ds": self.lake.days(view.table.name)}, schema={"ds": pl.Date})
            recorded = self.lake.scan(VIEW_DAYS).filter(pl.col("view") == view.name).select("ds").collect()
            return pl.concat([with_rows, recorded]).unique()  # a state without any row is recorded, and a state too
        days = [
            (day, family)
            for family in self.platform.families
            for day in self.lake.days(recommendations_table(family).name)
        ]
        return pl.DataFrame(days, schema={"ds": pl.Date, "family": pl.String}, orient="row")

    def _virtual(self, view: FeatureView, days: Days) -> pl.LazyFrame:
        """The rows of a view without a table of its own; Polars reads the lists, whatever the engine."""
        here = FeatureStore(self.platform, self.lake, PolarsEngine())
        frame: pl.LazyFrame = here.plan(view, *days).frame.to_native()
        return frame


def find_view(name: str) -> FeatureView:
    """The view of that name.

    Raises:
        UnknownViewError: There is none.
    """
    if name not in VIEWS:
        raise UnknownViewError(f"there is no view {name!r}{near(name, VIEWS)}; the views are {', '.join(VIEWS)}")
    return VIEWS[name]


def _by_view(columns: Iterable[str]) -> dict[str, list[str]]:
    """View to the columns that are wanted of it."""
    wanted: dict[str, list[str]] = {}
    for column in dict.fromkeys(columns):
        name, dot, value = column.partition(".")
        if not dot:
            raise UnknownViewError(f"{column!r} is no column of a view; write it like user_profile.purchases")
        known = [one for one in find_view(name).table.schema.names() if one not in (*find_view(name).entity, "ds")]
        if value not in known:
            raise UnknownViewError(f"{name} has no column {value!r}{near(value, known)}; it has {', '.join(known)}")
        wanted.setdefault(name, []).append(value)
    return wanted


def _has_days(view: FeatureView) -> bool:
    """Whether the view's function says the day of each row itself."""
    return view.partitions == "day" and (view.keeps == "changes" or not view.is_stored)
