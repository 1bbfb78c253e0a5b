"""`make bench`: what the platform costs, as ratios to a peer measured in the same run.

The loop on real data: UCI Online Retail as daily CSVs (see examples/online_retail) in the folder given, or in
../shared/data. Then the quality of the families on it (slots.py) and on Gowalla (gowalla.py), how often the gate
refuses (gate.py), how often guardrails and experiments are wrong (experiments.py), the online metrics of a large day
(online_metrics.py), what one policy's log says of another (off_policy.py), the exact ranking (ranking.py), what a slot
costs (slot_cost.py), the loop on S3 (s3_loop.py), ingestion and views on a simulated year of 30 million events
(features.py), the same and more on Spark (spark_features.py, spark_ranking.py, spark_als.py), the point-in-time join
(point_in_time.py), publication (publication.py), and the API (api.py). Times drift with the machine; the ratios hold.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from online_retail import data_folder, environment

RECSYS = Path(sys.executable).with_name("recsys")
OTHERS = (
    "slots.py",
    "gate.py",
    "experiments.py",
    "s3_loop.py",
    "online_metrics.py",
    "off_policy.py",
    "ranking.py",
    "gowalla.py",
    "slot_cost.py",
    "features.py",
    "spark_features.py",
    "spark_ranking.py",
    "spark_als.py",
    "point_in_time.py",
    "publication.py",
    "api.py",
)
"""The benchmarks that stand alone."""


def main() -> int:
    """Print the tables; 1 where the data are missing, or a benchmark failed."""
    data = data_folder()
    if data is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        variables = environment(folder, data)
        script = straight_script(data)
        first = timed([str(Path(__file__).with_name("driven.py"))], variables)
        second = timed(["-c", "from recsys_assets.cli import main; main()", "run"], variables)
        loading = timed(["-c", "from recsys_assets.definitions import defs; defs()"], variables)
        subprocess.run([str(RECSYS), "stop"], env=variables, check=False, stdout=subprocess.DEVNULL)
    report(script, first, second, loading)
    return max([alone(script) for script in OTHERS])


def alone(script: str) -> int:
    """Run another benchmark of this folder, which prints for itself: 0, or 1 where it failed."""
    done = subprocess.run([sys.executable, str(Path(__file__).with_name(script))], check=False)
    return int(done.returncode != 0)


def straight_script(data: Path) -> dict[str, Any]:
    """The hand-written script with the same libraries on the same files, as of the same day."""
    script = Path(__file__).with_name("online_retail_script.py")
    done = subprocess.run(
        [sys.executable, str(script), str(data), "2011-12-12"], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def timed(arguments: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall seconds of a Python process, with whatever figures its last line of output holds."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], env=environment, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    lines = done.stdout.splitlines()
    figures = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return {"seconds": seconds, **figures}


def report(
    script: dict[str, Any], first: dict[str, float], second: dict[str, float], loading: dict[str, float]
) -> None:
    """Print the table."""
    peer = script["seconds"]["total"]
    event_log = first["event_log_seconds"]
    print(f"Online Retail, 541,909 rows in 305 daily files, {os.cpu_count()} cores")
    print(f"{'straight hand-written script':52}{peer:8.1f} s")
    print(f"{'recsys run, from nothing to served':52}{first['seconds']:8.1f} s   goal: under 45 s")
    print(f"{'  of it, in Dagster`s event log':52}{event_log:8.1f} s   {first['events']:.0f} events")
    print(f"{'  ratio to the script':52}{first['seconds'] / peer:8.1f}")
    print(f"{'  ratio to the script, without the event log':52}{(first['seconds'] - event_log) / peer:8.1f}")
    print(f"{'recsys run again, with nothing new':52}{second['seconds']:8.1f} s   goal: under 6 s")
    print(f"{'loading the code location':52}{loading['seconds']:8.1f} s   goal: under 3 s")


if __name__ == "__main__":
    sys.exit(main())
