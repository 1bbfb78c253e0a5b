"""One Dagster run of the platform over a range of days, measured from inside; prints its figures as one JSON line.

    python benchmarks/features_driven.py JOB FIRST LAST [ASSET ...]

JOB is a job of the platform. ASSETs (such as features/exclusions) narrow it to these, for what has no job of its own.
The environment says where the platform lives, as for every command.
"""

import json
import resource
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from recsys_assets.cli.history import history_held_open
from recsys_assets.cli.installation import Installation
from recsys_assets.definitions import allow_known_warnings

SAMPLE_SECONDS = 0.05


class EventLog:
    """The time that Dagster takes to store what happened: of a year of days, two events per asset and day."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.events = 0

    @contextmanager
    def measured(self) -> Iterator["EventLog"]:
        """Wrap the one method through which every event is stored."""
        store = dg.DagsterInstance.handle_new_event

        def timed(instance: dg.DagsterInstance, *arguments: Any, **options: Any) -> None:
            began, cpu_began = time.perf_counter(), time.thread_time()
            store(instance, *arguments, **options)
            self.seconds += time.perf_counter() - began
            self.cpu_seconds += time.thread_time() - cpu_began
            self.events += 1

        dg.DagsterInstance.handle_new_event = timed  # type: ignore[assignment,method-assign]
        try:
            yield self
        finally:
            dg.DagsterInstance.handle_new_event = store  # type: ignore[method-assign]


class Memory(threading.Thread):
    """Samples how much memory the process holds for itself: mapped files, which can be dropped, do not count."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_own_bytes = 0

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            own = int(status.partition("RssAnon:")[2].split()[0]) * 1024
            self.peak_own_bytes = max(self.peak_own_bytes, own)
            time.sleep(SAMPLE_SECONDS)


def materialize(job: str, first: str, last: str, assets: list[str]) -> dict[str, Any]:
    """Run a job over a range of days, as one run on the persistent instance.

    Args:
        job: Name of the job.
        first: First day, as a partition key.
        last: Last day.
        assets: Only these assets of the job; none: all.

    Returns:
        Seconds of the run, of its steps and of the event log; bytes of memory at the peak.
    """
    installation = Installation.from_env()
    run_id = str(uuid.uuid4())
    definition = installation.definitions({"quiet": dg.colored_console_logger}).resolve_job_def(job)
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    memory = Memory()
    memory.start()
    with EventLog().measured() as log, history_held_open(installation.settings.dagster_home, run_id):
        began, cpu_began = time.perf_counter(), time.process_time()
        result = definition.execute_in_process(
            instance=installation.instance,
            run_id=run_id,
            partition_key=first if first == last else None,
            tags={} if first == last else days,
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets] or None,
            run_config={"loggers": {"quiet": {"config": {"log_level": "ERROR"}}}},
        )
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    if not result.success:
        raise SystemExit(f"the run {run_id} of {job} failed")
    steps = {one.step_key: one.step_success_data.duration_ms / 1000 for one in result.all_events if one.is_step_success}
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "event_log_seconds": log.seconds,
        "event_log_cpu_seconds": log.cpu_seconds,
        "events": log.events,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_own_bytes": memory.peak_own_bytes,
        "steps": steps,
    }


if __name__ == "__main__":
    allow_known_warnings()
    job_name, first_day, last_day, *only = sys.argv[1:]
    print(json.dumps(materialize(job_name, first_day, last_day, only)))
