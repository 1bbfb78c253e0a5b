"""Quality of ALS fitted on Spark beside ALS fitted by `implicit`: the same slots, parameters, ranking, and users.

    python benchmarks/spark_als.py [DAILY_CSVS]

The slots, the settings and the intervals are those of slots.py. The models are fitted on the same rows by the two
libraries, and rank by the same `rank` with the same histories.
"""

import os
import sys
import tempfile
import time

import polars as pl
from features import materialize
from online_retail import data_folder, environment
from slots import LENGTH, Ranker, Slot, last_slots, line, pooled, ranker, with_settings

from recsys_assets.cli.installation import Installation
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.family import SparkInteractions
from recsys_assets.models.ranking import rank
from resources.engine import SparkEngine

LOCAL = "--master local[2] --conf spark.sql.shuffle.partitions=2 --conf spark.default.parallelism=2 pyspark-shell"
GOAL = "at least .98"


def main() -> int:
    """Print the table; 1 where the data are missing."""
    data = data_folder()
    if data is None:
        return 1
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", LOCAL)
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        os.environ.update(environment(folder, data))
        installation = Installation.from_env()
        platform = installation.platform
        materialize("ingest", str(platform.first_day), str(platform.last_day), os.environ)
        slots = last_slots(FeatureStore(platform, installation.lake, installation.engine))
    als = configured_families(with_settings(platform))["als"]
    rankers = {"als, fitted by implicit": ranker(als), "als, fitted on Spark": on_spark(als)}
    peer = None
    for name, ranks in rankers.items():
        began = time.perf_counter()
        figures = pooled(slots, ranks)
        peer = figures if peer is None else peer
        line(name, figures, peer, time.perf_counter() - began)
    print(f"goal: {GOAL}")
    return 0


def on_spark(family: ConfiguredFamily) -> Ranker:
    """As `slots.ranker`, fitted on Spark."""
    session = SparkEngine().session

    def ranks(slot: Slot) -> pl.DataFrame:
        known = slot.known.within(family.settings.window_days)
        rows = session.createDataFrame(known.rows.to_arrow())
        model = family.family.fit_on_spark(SparkInteractions(rows, known.as_of), family.parameters, 0)
        histories = slot.known.within(family.settings.ranked_days)
        return rank(model, histories, slot.users, slot.exclusions, slot.eligible, n=LENGTH)

    return ranks


if __name__ == "__main__":
    sys.exit(main())
