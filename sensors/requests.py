"""Decisions as Dagster's run requests: the one translation, used by the sensors and by `recsys run`."""

import dagster as dg

from sensors.decisions import Start
from sensors.state import RANGE_TAGS


def run_tags(start: Start) -> dict[str, str]:
    """The tags of the run: its own, and the range of days where it covers one."""
    if start.job != "ingest":
        return dict(start.tags)
    return {**start.tags, **dict(zip(RANGE_TAGS, (str(start.first), str(start.last)), strict=True))}


def partition_key(start: Start) -> str | None:
    """The one partition of the run; a range of days is said by tags instead."""
    return None if start.job == "ingest" else str(start.first)


def run_requests(starts: list[Start], waiting_for: str) -> list[dg.RunRequest] | dg.SkipReason:
    """What a sensor returns."""
    if not starts:
        return dg.SkipReason(waiting_for)
    return [
        dg.RunRequest(
            run_key=start.run_key,
            job_name=start.job,
            partition_key=partition_key(start),
            tags=run_tags(start),
        )
        for start in starts
    ]
