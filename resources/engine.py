"""The engines: what computes the tables of a group, Polars on this machine or Spark through dagster-pyspark.

Rule functions take and return Narwhals lazy frames, so they do not know which engine runs them. An engine turns a
table of the lake into such a frame, and such a frame into rows that wait to be written. Which group uses which engine
is configured; it is looked up here, and nowhere else.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import dagster as dg
import narwhals as nw
import polars as pl
from pydantic import PrivateAttr

from resources.at_rest import StoredTable
from resources.lake import Days, DeltaLake, Spool
from resources.staged import StagedRows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Group = Literal["sources", "features", "models", "recommendations"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""The groups of assets whose engine can be chosen."""
Portion: TypeAlias = pl.DataFrame | StagedRows
"""Rows of one table that were computed together."""
Waiting: TypeAlias = Spool | StagedRows
"""Rows of one table that are written at once, however many portions there are."""


class Engines(dg.ConfigurableResource):
    """Which engine computes the tables of which group."""

    @abstractmethod
    def of(self, group: Group) -> "Engine":
        """The engine of a group."""


class Engine(Engines):
    """What every engine can do; as long as nobody says otherwise, it is the engine of every group."""

    spills: ClassVar[bool] = False
    """Whether what memory cannot hold goes to disk, so that one plan may cover any number of rows."""

    def of(self, group: Group) -> "Engine":
        """See `Engines.of`."""
        del group
        return self

    @abstractmethod
    def scan(
        self, lake: DeltaLake, table: StoredTable, days: Days | None = None, version: int | None = None
    ) -> nw.LazyFrame[Any]:
        """A table of the lake (only these days of it, now or as of a Delta version) as a lazy frame of this engine."""

    def given(self, rows: pl.DataFrame) -> nw.LazyFrame[Any]:
        """A few rows of this machine as a lazy frame of this engine."""
        return nw.from_native(rows.lazy())

    def shared(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The same frame, to be computed once however often a plan uses it; an engine may do without."""
        return frame

    def collect(self, frame: nw.LazyFrame[Any]) -> pl.DataFrame:
        """Run the plan and bring the rows here."""
        rows: pl.DataFrame = frame.collect(backend="polars").to_native()
        return rows

    @abstractmethod
    def compute(
        self,
        frame: nw.LazyFrame[Any],
        lake: DeltaLake,
        table: StoredTable,
        days: Days,
        sort_by: Sequence[str],
        numbers: Sequence[nw.LazyFrame[Any]] = (),
    ) -> tuple[Portion, list[int]]:
        """Run a plan, and besides plans that give one number each; an engine may compute what they share once.

        Args:
            frame: The rows, with the columns of the table.
            lake: Where they will be written.
            table: What they are rows of.
            days: The days that they are rows of.
            sort_by: The order in which they are written.
            numbers: The other plans; one without a number counts as 0.
        """

    @abstractmethod
    def waiting(self, lake: DeltaLake, table: StoredTable, folder: Path) -> Waiting:
        """No rows of a table yet, to which portions are added until all are written at once.

        Args:
            lake: Where they will be written.
            table: What they are rows of.
            folder: A new folder of the caller's, who removes it when the rows are written.
        """

    def add(self, portion: Portion, rows: Waiting) -> None:
        """Put a portion to the rows that wait."""
        if isinstance(rows, Spool) and isinstance(portion, pl.DataFrame):
            return rows.add(portion)
        if isinstance(rows, StagedRows) and isinstance(portion, StagedRows):
            return rows.add(portion)
        raise TypeError("a portion waits where the rows of its own engine wait")

    @abstractmethod
    def lazy(self, rows: Portion | Waiting) -> nw.LazyFrame[Any]:
        """Rows that wait to be written, as a lazy frame that costs no more than reading them."""


class PolarsEngine(Engine):
    """Polars, on all cores of this machine."""

    def scan(
        self, lake: DeltaLake, table: StoredTable, days: Days | None = None, version: int | None = None
    ) -> nw.LazyFrame[Any]:
        """See `Engine.scan`."""
        return nw.from_native(lake.scan(table, days, version))

    def shared(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """See `Engine.shared`."""
        cached: nw.LazyFrame[Any] = nw.from_native(frame.to_native().cache())
        return cached

    def collect(self, frame: nw.LazyFrame[Any]) -> pl.DataFrame:
        """See `Engine.collect`; what a plan holds in between passes in batches."""
        rows: pl.DataFrame = frame.to_native().collect(engine="streaming")
        return rows

    def compute(
        self,
        frame: nw.LazyFrame[Any],
        lake: DeltaLake,
        table: StoredTable,
        days: Days,
        sort_by: Sequence[str],
        numbers: Sequence[nw.LazyFrame[Any]] = (),
    ) -> tuple[Portion, list[int]]:
        """See `Engine.compute`."""
        del lake, table, days
        rows, *counted = pl.collect_all([one.to_native() for one in (frame, *numbers)], engine="streaming")
        return rows.sort(sort_by), [int(one.item() or 0) for one in counted]

    def waiting(self, lake: DeltaLake, table: StoredTable, folder: Path) -> Waiting:
        """See `Engine.waiting`: they wait in the folder."""
        del lake
        return Spool(table, folder)

    def lazy(self, rows: Portion | Waiting) -> nw.LazyFrame[Any]:
        """See `Engine.lazy`."""
        if isinstance(rows, StagedRows):
            raise TypeError("what another engine has staged is read by that engine")
        return nw.from_native(rows.lazy() if isinstance(rows, pl.DataFrame) else rows.scan())


class SparkEngine(Engine):
    """Spark; the session is dagster-pyspark's, and starts when it is first used."""

    spills: ClassVar[bool] = True
    _resource: Any = PrivateAttr(default=None)

    @property
    def session(self) -> "SparkSession":
        """The session."""
        if self._resource is None:
            from resources.spark_session import SparkSessionResource  # dagster-pyspark is imported where it is used

            self._resource = SparkSessionResource()
        session: SparkSession = self._resource.spark_session
        return session

    def scan(
        self, lake: DeltaLake, table: StoredTable, days: Days | None = None, version: int | None = None
    ) -> nw.LazyFrame[Any]:
        """See `Engine.scan`."""
        from resources import spark_tables

        frame: nw.LazyFrame[Any] = nw.from_native(spark_tables.scan(self.session, lake, table, days, version))
        return frame

    def given(self, rows: pl.DataFrame) -> nw.LazyFrame[Any]:
        """See `Engine.given`."""
        frame: nw.LazyFrame[Any] = nw.from_native(self.session.createDataFrame(rows.to_arrow()))
        return frame

    def compute(
        self,
        frame: nw.LazyFrame[Any],
        lake: DeltaLake,
        table: StoredTable,
        days: Days,
        sort_by: Sequence[str],
        numbers: Sequence[nw.LazyFrame[Any]] = (),
    ) -> tuple[Portion, list[int]]:
        """See `Engine.compute`: the tasks write the rows where they will be committed, and only numbers come here."""
        from resources import spark_tables

        has_many_days = days[0] != days[1]
        rows = spark_tables.stage(frame.to_native(), lake, table, sort_by=sort_by, gather_days=has_many_days)
        named = [one.with_columns(nw.lit(place).alias("place")) for place, one in enumerate(numbers)]
        found = dict(self.collect(nw.concat(named)).select("place", pl.exclude("place")).iter_rows()) if named else {}
        return rows, [int(found.get(place) or 0) for place in range(len(numbers))]

    def waiting(self, lake: DeltaLake, table: StoredTable, folder: Path) -> Waiting:
        """See `Engine.waiting`: they wait among the table's files."""
        from resources import spark_tables

        del folder
        return spark_tables.nothing_staged(self.session, lake, table)

    def lazy(self, rows: Portion | Waiting) -> nw.LazyFrame[Any]:
        """See `Engine.lazy`."""
        if not isinstance(rows, StagedRows):
            raise TypeError("rows that wait in this machine's memory are no rows of Spark")
        frame: nw.LazyFrame[Any] = nw.from_native(rows.frame())
        return frame


class EnginePerGroup(Engines):
    """An engine for each group."""

    names: dict[str, str]

    def of(self, group: Group) -> Engine:
        """See `Engines.of`."""
        return SparkEngine() if self.names[group] == "spark" else PolarsEngine()
