"""The engine: what computes the features, Polars on this machine or Spark through dagster-pyspark.

Rule functions take and return Narwhals lazy frames, so they do not know which engine runs them.
The engine turns a table of the lake into such a frame, and such a frame into rows.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import narwhals as nw
import polars as pl

from resources.lake import Days, DeltaLake, StoredTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_TYPES = {
    pl.String(): "string",
    pl.Date(): "date",
    pl.Int64(): "bigint",
    pl.Int32(): "int",
    pl.Float64(): "double",
    pl.Float32(): "float",
    pl.Boolean(): "boolean",
    pl.Datetime("us", "UTC"): "timestamp",
    pl.List(pl.String): "array<string>",
    pl.List(pl.Float32): "array<float>",
}


class Engine(dg.ConfigurableResource):
    """What every engine can do."""

    @abstractmethod
    def scan(self, lake: DeltaLake, table: StoredTable, days: Days | None = None) -> nw.LazyFrame[Any]:
        """A table of the lake (only these days of it) as a lazy frame of this engine."""

    def shared(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The same frame, to be computed once however often a plan uses it; an engine may do without."""
        return frame

    def collect(self, frame: nw.LazyFrame[Any]) -> pl.DataFrame:
        """Run the plan and bring the rows here."""
        rows: pl.DataFrame = frame.collect(backend="polars").to_native()
        return rows

    def collect_with(
        self, frame: nw.LazyFrame[Any], numbers: Sequence[nw.LazyFrame[Any]]
    ) -> tuple[pl.DataFrame, list[int]]:
        """Run a plan, and besides plans that give one number each; an engine may compute what they share once."""
        return self.collect(frame), [int(self.collect(number).item() or 0) for number in numbers]


class PolarsEngine(Engine):
    """Polars, on all cores of this machine."""

    def scan(self, lake: DeltaLake, table: StoredTable, days: Days | None = None) -> nw.LazyFrame[Any]:
        """See `Engine.scan`."""
        return nw.from_native(lake.scan(table, days))

    def shared(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """See `Engine.shared`."""
        cached: nw.LazyFrame[Any] = nw.from_native(frame.to_native().cache())
        return cached

    def collect(self, frame: nw.LazyFrame[Any]) -> pl.DataFrame:
        """See `Engine.collect`; what a plan holds in between passes in batches."""
        rows: pl.DataFrame = frame.to_native().collect(engine="streaming")
        return rows

    def collect_with(
        self, frame: nw.LazyFrame[Any], numbers: Sequence[nw.LazyFrame[Any]]
    ) -> tuple[pl.DataFrame, list[int]]:
        """See `Engine.collect_with`."""
        plans = [one.to_native() for one in (frame, *numbers)]
        rows, *counted = pl.collect_all(plans, engine="streaming")
        return rows, [int(one.item() or 0) for one in counted]


class SparkEngine(Engine):
    """Spark; the session is dagster-pyspark's."""

    # A PySparkResource; dagster-pyspark is imported only where Spark is used.
    spark: dg.ResourceDependency[Any]

    def scan(self, lake: DeltaLake, table: StoredTable, days: Days | None = None) -> nw.LazyFrame[Any]:
        """See `Engine.scan`. The Parquet files are read as they are: no Delta jar has to match a Spark version."""
        session: SparkSession = self.spark.spark_session
        schema = ", ".join(f"`{name}` {SPARK_TYPES[dtype]}" for name, dtype in table.schema.items())
        stored = lake.table(table.name)
        limits = [] if days is None else [("ds", ">=", str(days[0])), ("ds", "<=", str(days[1]))]
        files = [] if stored is None else stored.file_uris(file_pruning_predicate=limits or None)
        frame: nw.LazyFrame[Any]
        if files:
            reader = session.read.schema(schema).option("basePath", lake.uri(table.name))
            frame = nw.from_native(reader.parquet(*files).select(table.schema.names()))
        else:
            frame = nw.from_native(session.createDataFrame([], schema))
        return frame
