"""What the features cost on Spark in local mode, against Polars on the same lake, and how the cost grows.

    python benchmarks/spark_features.py [--events N ...] [--cores N]

A year of a shop is drawn at random for each size (see features_landing.py) and ingested once. Then each engine, in
processes of its own and into a lake of its own, computes the interactions of all days, every snapshot view of the
newest day, and a training set. Both lakes must hold the same rows, exactly. Seconds are wall seconds without Dagster's
event log; those of Spark include the start of Java. How much the time grows between two sizes, per million events,
says more than the ratio: what starting costs is not in it.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import polars as pl
from features_landing import CONFIGURATION, DAYS, FIRST_DAY, write_landing

HERE = Path(__file__).resolve().parent
SIZES = (1_000_000, 10_000_000, 30_000_000)
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
NEXT_DAY = LAST_DAY + timedelta(days=1)
YEAR = (str(FIRST_DAY), str(LAST_DAY))
SLOT = str(max(day for day in (NEXT_DAY - timedelta(days=age) for age in range(7)) if day.weekday() in {0, 2, 4}))
SNAPSHOTS = tuple(
    f"features/{name}" for name in ("exclusions", "eligible_items", "user_profile", "item_profile", "purchase_sequence")
)
STAGES: Mapping[str, Sequence[str]] = {
    "interactions of the year": ("ingest", *YEAR, "features/interactions"),
    "snapshot views of the newest day": ("refresh", str(LAST_DAY), str(LAST_DAY), *SNAPSHOTS),
    "a training set": ("train", SLOT, SLOT, "features/training_set"),
}
TABLES = ("features/interactions", *SNAPSHOTS, "features/training_set")
LINEAR = 1.25
"""Growth counts as linear when a million events more cost at most this much more at the larger sizes."""
Seconds = dict[str, float]


def main() -> int:
    """Print the table; 1 where the engines differ, or growth is not linear."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="of Spark's Java, where its tasks run in local mode")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores; Spark local[{chosen.cores}] with {chosen.memory}")
    measured, is_same = {}, True
    for events in chosen.events:
        with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
            sides, different = measure(Path(folder), events, chosen.cores, chosen.memory)
        measured[events] = sides
        report(events, sides)
        print("\n".join(different) or "  both lakes hold the same rows")
        is_same = is_same and not different
    is_linear = [report_growth(engine, measured) for engine in ("polars", "spark")]
    return 0 if is_same and is_linear[1] else 1


def measure(folder: Path, events: int, cores: int, memory: str) -> tuple[dict[str, Seconds], list[str]]:
    """Engine to the seconds of each stage, and what differs."""
    write_landing(folder / "landing", events)
    (folder / "recsys.yaml").write_text(CONFIGURATION, encoding="utf-8")
    variables = environment(folder, "polars")
    sources = [f"sources/{name}" for name in ("events", "items", "users", "user_blocks", "rejected_rows")]
    driven(("ingest", *YEAR, *sources), variables)
    copytree(folder / "polars" / "lake", folder / "spark" / "lake", copy_function=os.link)
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(
        f"spark.master local[{cores}]\nspark.driver.memory {memory}\nspark.local.dir {folder / 'scratch'}\n",
        encoding="utf-8",
    )
    sides = {
        "polars": {name: driven(stage, variables) for name, stage in STAGES.items()},
        "spark": {
            name: driven(stage, environment(folder, "spark") | {"SPARK_CONF_DIR": str(folder / "conf")})
            for name, stage in STAGES.items()
        },
    }
    return sides, differences(folder / "spark" / "lake", folder / "polars" / "lake")


def environment(folder: Path, engine: str) -> dict[str, str]:
    """An installation with a home of its own."""
    return {
        **os.environ,
        "RECSYS_HOME": str(folder / engine),
        "RECSYS_LANDING": str(folder / "landing"),
        "RECSYS_CONFIG": str(folder / "recsys.yaml"),
        "RECSYS_ENGINE": engine,
    }


def driven(arguments: Sequence[str], variables: Mapping[str, str]) -> float:
    """Seconds of a run of the platform besides Dagster's bookkeeping, in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(HERE / "features_driven.py"), *arguments]
    done = subprocess.run(command, env=dict(variables), check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return float(figures["seconds"] - figures["event_log_seconds"])


def differences(spark: Path, polars: Path) -> list[str]:
    """The tables whose rows differ, compared row by row through their hashes."""
    found = []
    for table in TABLES:
        here, there = (hashes(lake / table) for lake in (spark, polars))
        if not here.equals(there):
            found.append(f"  {table}: not the same rows; Spark has {len(here):,}, Polars {len(there):,}")
    return found


def hashes(table: Path) -> pl.Series:
    """A number for each row, in order."""
    rows = pl.scan_delta(str(table))
    schema = rows.collect_schema()
    columns = [
        pl.col(name).cast(pl.List(pl.String)).list.join(",") if isinstance(schema[name], pl.List) else pl.col(name)
        for name in sorted(schema)
    ]
    return rows.select(hash=pl.struct(columns).hash()).sort("hash").collect(engine="streaming")["hash"]


def report(events: int, sides: Mapping[str, Seconds]) -> None:
    """Print what each engine took."""
    print(f"{events:,} events in {DAYS} days{'':30}  Polars     Spark   ratio")
    totals = {engine: {"all of it": sum(stages.values()), **stages} for engine, stages in sides.items()}
    for name in ("all of it", *STAGES):
        polars, spark = (totals[engine][name] for engine in ("polars", "spark"))
        print(f"  {name:52}{polars:8.1f} s{spark:8.1f} s{spark / polars:8.2f}")


def report_growth(engine: str, measured: Mapping[int, Mapping[str, Seconds]]) -> bool:
    """Print what a million events more cost, between each size and the next; whether that stays the same."""
    sizes = sorted(measured)
    totals = [sum(measured[size][engine].values()) for size in sizes]
    slopes = [
        (later - earlier) / (more - fewer) * 1e6
        for earlier, later, fewer, more in zip(totals, totals[1:], sizes, sizes[1:], strict=False)
    ]
    if slopes:
        print(f"{engine}: seconds for a million events more, size by size: {', '.join(f'{one:.2f}' for one in slopes)}")
    return all(later <= LINEAR * earlier for earlier, later in itertools.pairwise(slopes))


if __name__ == "__main__":
    sys.exit(main())
