"""What a year of a large shop costs, as ratios to a hand-written Polars pipeline that makes the same tables.

    python benchmarks/features.py [--events N] [--keep FOLDER]

The landing is drawn at random (see features_landing.py). The platform backfills `events` and `interactions` in one
Dagster run over all days (job `ingest`), and computes every snapshot view of the newest day in a second one (job
`refresh`); features_script.py does the same into a lake of its own. Then one more day lands, and both do that day.
Both lakes must hold the same rows. The time of Dagster's event log stands apart. CPU seconds stand beside wall
seconds: on a machine with other work they are the ones to compare.
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
import polars.selectors as cs
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
SNAPSHOTS = {
    "features/exclusions": "user_id",
    "features/eligible_items": "item_id",
    "features/user_profile": "user_id",
    "features/item_profile": "item_id",
    "features/purchase_sequence": "user_id",
}
WORDS = {"ingest": "events and interactions", "snapshots": "snapshot views of the newest day"}
Figures = dict[str, Any]
Stages = dict[str, Figures]
"""Figures of `ingest` and of `snapshots`."""


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
    platform = both_jobs(*year, environment)
    different = differences(folder / "home" / "lake", script_lake)
    for more in (folder / "landing-next").glob("*/*"):
        more.rename(landing / more.relative_to(folder / "landing-next"))
    script_day = figures("features_script.py", [str(landing), str(script_lake), *day], environment)
    platform_day = both_jobs(*day, environment)
    report(events, (script, script_day), (platform, platform_day))
    different += differences(folder / "home" / "lake", script_lake)
    print("\n".join(different) or "both lakes hold the same rows")
    return 1 if different else 0


def both_jobs(first: str, last: str, environment: Mapping[str, str]) -> Stages:
    """Ingest a range of days, and compute the snapshot views of the last one."""
    return {
        "ingest": materialize("ingest", first, last, environment),
        "snapshots": materialize("refresh", last, last, environment, *SNAPSHOTS),
    }


def materialize(job: str, first: str, last: str, environment: Mapping[str, str], *assets: str) -> Figures:
    """Run a job of the platform over a range of days in a process of its own; only these assets of it, where named."""
    return figures("features_driven.py", [job, first, last, *assets], environment)


def figures(script: str, arguments: list[str], environment: Mapping[str, str]) -> Figures:
    """What a script of this folder prints in its last line."""
    command = [sys.executable, "-W", "ignore", str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def differences(ours: Path, theirs: Path) -> list[str]:
    """Each table that differs.

    Of the large ones, each day must have the same number of rows and the same sums, money to the cent; the snapshot
    views must be the same row by row, with fractions to six places.
    """
    found = []
    for table, columns in COMPARED.items():
        sums = [pl.col(name).sum().cast(pl.Float64).round(2) for name in columns]
        here, there = (
            pl.scan_delta(str(lake / table)).group_by("ds").agg(pl.len(), *sums).sort("ds").collect()
            for lake in (ours, theirs)
        )
        if not here.equals(there):
            found.append(f"{table}: {here['len'].sum():,} rows, the script has {there['len'].sum():,}")
    for table, key in SNAPSHOTS.items():
        here, there = (
            pl.scan_delta(str(lake / table)).with_columns(cs.float().round(6)).sort("ds", key).collect()
            for lake in (ours, theirs)
        )
        if not here.equals(there.select(here.columns)):
            found.append(f"{table}: not the same rows; {here.height:,}, the script has {there.height:,}")
    return found


def total(stages: Stages) -> Figures:
    """The stages together: their seconds, and the most memory of any."""
    names = ("seconds", "cpu_seconds", "event_log_seconds", "event_log_cpu_seconds", "events")
    sums: Figures = {name: sum(one.get(name, 0) for one in stages.values()) for name in names}
    return {**sums, "peak_bytes": max(one["peak_bytes"] for one in stages.values())}


def without_event_log(run: Figures, kind: str = "") -> float:
    """Seconds (or `cpu_` seconds) of a run besides Dagster's bookkeeping."""
    return float(run[f"{kind}seconds"] - run.get(f"event_log_{kind}seconds", 0.0))


def report(events: int, script: tuple[Stages, Stages], platform: tuple[Stages, Stages]) -> None:
    """Print the table: the year and one more day, each of both sides, and what follows from them."""
    print(f"{events:,} events in {DAYS} days, {os.cpu_count()} cores{'':20}      wall       CPU    memory")
    for words, ours, theirs in zip(("the year", "one more day"), platform, script, strict=True):
        report_side(f"hand-written script, {words}", theirs)
        report_side(f"recsys, {words}", ours)
        log = total(ours)
        print(f"    besides, Dagster's event log{log['event_log_seconds']:35.1f} s   {log['events']} events")
    print(f"  events per second{'':36}{events / without_event_log(total(platform[0])):9,.0f}")
    for words, ours, theirs, goal in zip(
        ("the year", "one more day"), platform, script, ("   goal: at most 1.5", ""), strict=True
    ):
        print(f"  ratio to the script, {words:33}{ratios(total(ours), total(theirs))}{goal}")
        for stage, name in WORDS.items():
            print(f"    {name:50}{ratios(ours[stage], theirs[stage])}")
    more = days_of_work(platform), days_of_work(script)
    print(f"  one more day, in days of the year's work{'':13}{more[0]:9.1f}   the script: {more[1]:.1f}")


def report_side(words: str, stages: Stages) -> None:
    """The lines of one side: seconds without the event log, and the most memory that the process held."""
    for name, run in {f"  {words}": total(stages), **{f"    {WORDS[name]}": stages[name] for name in WORDS}}.items():
        wall, cpu = without_event_log(run), without_event_log(run, "cpu_")
        print(f"{name:54}{wall:8.1f} s{cpu:8.1f} s{run['peak_bytes'] / 1e9:7.2f} GB")
        for step, seconds in run.get("steps", {}).items():
            print(f"      {step:48}{seconds:8.1f} s   its part of the event log included")


def ratios(ours: Figures, theirs: Figures) -> str:
    """Wall and CPU seconds as multiples of the script's."""
    wall, cpu = (without_event_log(ours, kind) / without_event_log(theirs, kind) for kind in ("", "cpu_"))
    return f"{wall:9.2f}  {cpu:8.2f}"


def days_of_work(side: tuple[Stages, Stages]) -> float:
    """What one more day costs, as a multiple of a 365th of the year."""
    year, day = (without_event_log(total(stages)) for stages in side)
    return day * DAYS / year


if __name__ == "__main__":
    sys.exit(main())
