"""Decisions as Dagster's run requests: the one translation, used by the sensors and by `recsys run`."""

from typing import Any

import dagster as dg

from recsys_assets.features.views import VIEWS
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.promotions import approved_key
from sensors.decisions import Start
from sensors.state import KEY_TAG, RANGE_TAGS, Attempts

MOST_ATTEMPTS = 3
"""What has failed so often waits until its inputs change, or until somebody runs it."""


def run_tags(start: Start) -> dict[str, str]:
    """The tags of the run: its key, its own, and the range of days where it covers one."""
    tags = {KEY_TAG: start.run_key, **start.tags}
    if not start.is_range:
        return tags
    return {**tags, **dict(zip(RANGE_TAGS, (str(start.first), str(start.last)), strict=True))}


def partition_key(start: Start) -> str | None:
    """The one partition of the run; a range of days is said by tags instead, and a decision has none."""
    return None if start.is_range or start.family else str(start.first)


def asset_selection(start: Start) -> list[dg.AssetKey] | None:
    """The assets of the job that take part; None for all."""
    if start.family:
        return [approved_key(start.family)]
    return [dg.AssetKey(VIEWS[view].table.key) for view in start.views] or None


def run_config(start: Start) -> dict[str, Any]:
    """What the assets of the run are asked for."""
    return decision_config(start.family, **start.asks) if start.family else {}


def run_requests(starts: list[Start], attempts: Attempts, waiting_for: str) -> list[dg.RunRequest] | dg.SkipReason:
    """What a sensor returns.

    Args:
        starts: What is due.
        attempts: What became of earlier runs with the same keys.
        waiting_for: What a tick without any request says.
    """
    requests = [
        dg.RunRequest(
            run_key=start.run_key,
            job_name=start.job,
            partition_key=partition_key(start),
            tags=run_tags(start),
            asset_selection=asset_selection(start),
            run_config=run_config(start),
        )
        for start in starts
    ]
    return worth_trying(requests, attempts, waiting_for)


def worth_trying(
    requests: list[dg.RunRequest], attempts: Attempts, waiting_for: str
) -> list[dg.RunRequest] | dg.SkipReason:
    """The requests without those that have failed too often, each with the number of its attempt in its key.

    Dagster never starts the same key twice for a sensor, whatever became of the run, so each attempt has its own.
    """
    due = {request.run_key or "": request for request in requests}
    given_up = [key for key in due if attempts.failed[key] >= MOST_ATTEMPTS]
    tried = [
        request.with_replaced_attrs(run_key=f"{key}#{attempts.ended[key]}")
        for key, request in due.items()
        if key not in given_up
    ]
    if tried:
        return tried
    failed = f"failed {MOST_ATTEMPTS} times, waits for a change: {', '.join(given_up)}"
    return dg.SkipReason(failed if given_up else waiting_for)
