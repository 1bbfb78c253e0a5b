"""Lists of a family made by Spark in local mode, beside those that this machine makes alone, from the same artifact.

    python benchmarks/spark_ranking.py [--users N] [--items N] [--cores N]

Both materialize `recommendations/als` from the same features into a lake of their own, in processes of their own and
on as many cores, and must write the same lists. Spark's session is started before the clock is; that its workers start
and load the libraries counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

import dagster as dg
import polars as pl
from ranking_shop import TODAY, approve, build, platform

from recsys_assets.columns import recommendations_table
from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.models.catalogue import configured_families
from resources.engine import Engine, PolarsEngine, SparkEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

FAMILY = "als"
GOAL = 0.6
ENGINES = ("polars", "spark")


def main() -> int:
    """Print the rates and their ratio; 1 where the lists differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="3g", help="of Spark's Java")
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps({"seconds": seconds_of(chosen.one, chosen.folder)}))
        return 0
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        return measure(Path(folder), chosen.users, chosen.items, chosen.cores, chosen.memory)


def measure(folder: Path, users: int, items: int, cores: int, memory: str) -> int:
    """Build the shop once, let each engine make the lists, and compare."""
    build(DeltaLake(root=f"{folder}/polars"), users, items)
    approve(registry_in(folder), items)
    copytree(folder / "polars", folder / "spark", copy_function=os.link)
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(
        f"spark.master local[{cores}]\nspark.driver.memory {memory}\nspark.local.dir {folder / 'scratch'}\n",
        encoding="utf-8",
    )
    settings = {"POLARS_MAX_THREADS": str(cores)}, {"SPARK_CONF_DIR": str(folder / "conf")}
    seconds = [alone(engine, folder, more) for engine, more in zip(ENGINES, settings, strict=True)]
    print(f"recommendations/{FAMILY}, {users:,} users x {items:,} items, {cores} of {os.cpu_count()} cores")
    for engine, one in zip(ENGINES, seconds, strict=True):
        print(f"  {engine:10}{one:8.1f} s{users / one / cores:10,.0f} users/s a core")
    print(f"  Spark does {seconds[0] / seconds[1]:.2f} of what one process does; goal: {GOAL}")
    lists = [rows_of(folder / engine) for engine in ENGINES]
    is_same = lists[0].equals(lists[1])
    print("  both wrote the same lists" if is_same else "  THE LISTS DIFFER")
    return 0 if is_same else 1


def alone(engine: str, folder: Path, more: Mapping[str, str]) -> float:
    """Seconds that an engine takes in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", engine, "--folder", str(folder)]
    done = subprocess.run(command, env={**os.environ, **more}, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def seconds_of(name: str, folder: Path) -> float:
    """Materialize the lists with an engine."""
    engine: Engine = PolarsEngine()
    if name == "spark":
        engine = SparkEngine()
        engine.session.range(1).count()
    asset = build_family_lists(platform(), configured_families(platform())[FAMILY])
    lake, registry = DeltaLake(root=f"{folder}/{name}"), registry_in(folder)
    resources = {"lake": lake, "engine": engine, "model_registry": registry}
    began = time.perf_counter()
    done = dg.materialize([asset], partition_key=str(TODAY), resources=resources)
    if not done.success:
        raise RuntimeError("the asset failed")
    return time.perf_counter() - began


def registry_in(folder: Path) -> ModelRegistry:
    """The registry of the shop."""
    return ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")


def rows_of(lake: Path) -> pl.DataFrame:
    """The lists without their scores, in order of users."""
    rows = DeltaLake(root=str(lake)).scan(recommendations_table(FAMILY), (TODAY, TODAY))
    return rows.drop("scores").collect().sort("user_id")


if __name__ == "__main__":
    sys.exit(main())
