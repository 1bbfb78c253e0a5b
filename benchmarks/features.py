"""What ingestion costs on a year of a large shop, as ratios to a hand-written Polars pipeline on the same files.

    python benchmarks/features.py [--events N] [--keep FOLDER]

The landing is drawn at random (see features_landing.py), brought into the lake in one Dagster run over all days, and
by features_script.py into a lake of its own; both must hold the same rows. Then one more day lands. CPU seconds stand
beside wall seconds: on a machine with other work they are the ones to compare.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from features_landing import CONFIGURATION, DAYS, FIRST_DAY, write_landing

HERE = Path(__file__).resolve().parent
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
NEXT_DAY = LAST_DAY + timedelta(days=1)
COMPARED = {
    "sources/events": ("quantity", "unit_price"),
    "sources/items": ("price",),
    "sources/users": (),
    "sources/user_blocks": (),
    "sources/rejected_rows": ("line",),
    "features/interactions": ("views", "carts", "purchases", "refunds", "quantity", "value"),
}
Figures = dict[str, Any]


def main() -> int:
    """Print the table; 1 where the two lakes hold different rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=30_000_000)
    parser.add_argument("--keep", type=Path, help="an empty folder that is left behind, to look at")
    chosen = parser.parse_args()
    place = nullcontext(chosen.keep) if chosen.keep else tempfile.TemporaryDirectory(prefix="recsys-bench-")
    with place as folder:
        return measure(Path(folder), chosen.events)


def measure(folder: Path, events: int) -> int:
    """Write the landing into the folder, measure, and report."""
    landing, script_lake = folder / "landing", folder / "script"
    write_landing(landing, events)
    (folder / "recsys.yaml").write_text(CONFIGURATION, encoding="utf-8")
    environment = {
        **os.environ,
        "RECSYS_HOME": str(folder / "home"),
        "RECSYS_LAKE": str(folder / "home" / "lake"),
        "RECSYS_LANDING": str(landing),
        "RECSYS_CONFIG": str(folder / "recsys.yaml"),
    }
    year = (str(FIRST_DAY), str(LAST_DAY))
    day = (str(NEXT_DAY), str(NEXT_DAY))
    script = figures("features_script.py", [str(landing), str(script_lake), *year], environment)
    platform = materialize("ingest", *year, environment)
    different = differences(folder / "home" / "lake", script_lake)
    for more in (folder / "landing-next").glob("*/*"):
        more.rename(landing / more.relative_to(folder / "landing-next"))
    script_day = figures("features_script.py", [str(landing), str(script_lake), *day], environment)
    platform_day = materialize("ingest", *day, environment)
    report(events, (script, script_day), (platform, platform_day))
    different += differences(folder / "home" / "lake", script_lake)
    print("\n".join(different) or "both lakes hold the same rows")
    return 1 if different else 0


def materialize(job: str, first: str, last: str, environment: Mapping[str, str], *assets: str) -> Figures:
    """Run a job of the platform over a range of days in a process of its own; only these assets of it, where named.

    A snapshot view for one day: `materialize("recommend", day, day, environment, "features/exclusions")`.
    """
    return figures("features_driven.py", [job, first, last, *assets], environment)


def figures(script: str, arguments: list[str], environment: Mapping[str, str]) -> Figures:
    """What a script of this folder prints in its last line."""
    command = [sys.executable, "-W", "ignore", str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def differences(ours: Path, theirs: Path) -> list[str]:
    """Each table whose days hold different numbers of rows, or other sums; money to the cent."""
    found = []
    for table, columns in COMPARED.items():
        sums = [pl.col(name).sum().cast(pl.Float64).round(2) for name in columns]
        here, there = (
            pl.scan_delta(str(lake / table)).group_by("ds").agg(pl.len(), *sums).sort("ds").collect()
            for lake in (ours, theirs)
        )
        if not here.equals(there):
            found.append(f"{table}: {here['len'].sum():,} rows, the script has {there['len'].sum():,}")
    return found


def without_event_log(run: Figures, kind: str = "") -> float:
    """Seconds (or `cpu_` seconds) of a run besides Dagster's bookkeeping."""
    return float(run[f"{kind}seconds"] - run.get(f"event_log_{kind}seconds", 0.0))


def report(events: int, script: tuple[Figures, Figures], platform: tuple[Figures, Figures]) -> None:
    """Print the table."""
    print(f"{events:,} events in {DAYS} days, {os.cpu_count()} cores{'':20}      wall       CPU    memory")
    for name, (year, day) in (("hand-written script", script), ("recsys, ingest job", platform)):
        line("  " + name + ", the year", year)
        line("  " + name + ", one more day", day)
    for step, seconds in platform[0]["steps"].items():
        print(f"    of it in {step:43}{seconds:9.1f} s   its part of the event log included")
    for run, words in zip(platform, ("the year", "one more day"), strict=True):
        print(f"    besides, Dagster's event log, {words:22}{run['event_log_seconds']:9.1f} s   {run['events']} events")
    print(f"  events per second{'':36}{events / without_event_log(platform[0]):9,.0f}")
    wall, cpu = (without_event_log(platform[0], kind) / script[0][f"{kind}seconds"] for kind in ("", "cpu_"))
    print(f"  ratio to the script{'':34}{wall:9.2f}  {cpu:8.2f}   goal: at most 1.5")
    wall, cpu = (without_event_log(platform[1], kind) / script[1][f"{kind}seconds"] for kind in ("", "cpu_"))
    print(f"  ratio to the script, one more day{'':20}{wall:9.2f}  {cpu:8.2f}")
    shares = [without_event_log(day) * DAYS / without_event_log(year) for year, day in (platform, script)]
    print(f"  one more day, in days of the year's work{'':13}{shares[0]:9.1f}   the script: {shares[1]:.1f}")


def line(words: str, run: Figures) -> None:
    """One line of the table: seconds without the event log, and the most memory that the process held."""
    wall, cpu = without_event_log(run), without_event_log(run, "cpu_")
    print(f"{words:54}{wall:8.1f} s{cpu:8.1f} s{run['peak_bytes'] / 1e9:7.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
