"""The upkeep of the lake: drop what is past its days, put small files together, remove what nothing needs.

Each step is one commit, or removes only what no commit needs: killed anywhere, the next upkeep goes on. Others may
write meanwhile. Which days are kept is said in `retention`.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from recsys_assets.columns import TRAINING_SET, VIEW_DAYS
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.maintenance.retention import first_kept, kept_days
from recsys_assets.platform import Platform
from resources.at_rest import StoredTable
from resources.lake import DeltaLake

UNUSED_HOURS = 7 * 24
"""Files of older versions stay for so long: longer than anybody reads, and than a run writes."""
LEFT_OVER = ("recsys-ingest-", "recsys-features-", "recsys-lists-", "recsys-artifact-")
"""How the temporary folders of runs are called."""
LEFT_OVER_SECONDS = 48 * 3600
KEPT_WHOLE = (TRAINING_SET.name,)
"""Tables of which registered models name versions: they keep their files and their log for ever."""


@dataclass(frozen=True)
class Upkeep:
    """What an upkeep came to.

    Attributes:
        dropped: Table to the days that were dropped.
        compacted: Table to the files that made way for fewer.
        removed: Table to the unused files that were removed.
        folders: Temporary folders of killed runs that were removed.
    """

    dropped: dict[str, int]
    compacted: dict[str, int]
    removed: dict[str, int]
    folders: int


def keep_up(lake: DeltaLake, platform: Platform) -> Upkeep:
    """Do all of it.

    Raises:
        ConfigurationError: Fewer days are configured than somebody reads; then nothing is done.
    """
    dropped = drop_old_days(lake, platform)
    tables = [table for table in lake.found() if table.name not in KEPT_WHOLE]
    for name in KEPT_WHOLE:
        lake.keep_log(name)
    compacted = {table.name: lake.compact(table) for table in tables}
    removed = {table.name: lake.vacuum(table.name, UNUSED_HOURS) for table in tables}
    folders = remove_left_over(Path(tempfile.gettempdir()), time.time())
    return Upkeep(dropped, _some(compacted), _some(removed), folders)


def drop_old_days(lake: DeltaLake, platform: Platform) -> dict[str, int]:
    """Drop the days that are past; returns how many of each table.

    What is recorded of a stored view goes first: a day that is recorded and has no rows would pass for an empty one.
    """
    kept = kept_days(platform)
    newest_slot = max(lake.days(TRAINING_SET.name), default=None)
    views = {view.table.name: view for view in SNAPSHOTS}
    tables = {table.name: table for table in lake.found()}
    dropped = {}
    for name, days in kept.items():
        stored = lake.days(name)
        if days is None or not stored:
            continue
        first = first_kept(platform, name, days, stored, newest_slot)
        if name in views:
            recorded = lake.scan(VIEW_DAYS).filter(pl.col("view") == views[name].name, pl.col("ds") < first)
            _drop(lake, VIEW_DAYS, recorded.select("ds").collect()["ds"], where={"view": views[name].name})
        past = [day for day in stored if day < first]
        _drop(lake, tables[name], past)
        if past:
            dropped[name] = len(past)
    return dropped


def remove_left_over(folder: Path, now: float) -> int:
    """Remove the temporary folders of runs that were killed: ours, and untouched for two days.

    Args:
        folder: Where temporary folders are made.
        now: Seconds since 1970.

    Returns:
        How many.
    """
    left_over = [path for path in folder.iterdir() if path.name.startswith(LEFT_OVER) and _is_left_over(path, now)]
    for path in left_over:
        shutil.rmtree(path, ignore_errors=True)
    return sum(not path.exists() for path in left_over)


def _is_left_over(path: Path, now: float) -> bool:
    try:
        known = [one.lstat() for one in (path, *path.rglob("*"))]
    except OSError:  # somebody else's, or just removed by its run
        return False
    is_ours = path.is_dir() and not path.is_symlink() and known[0].st_uid == os.getuid()
    return is_ours and max(one.st_mtime for one in known) < now - LEFT_OVER_SECONDS


def _drop(lake: DeltaLake, table: StoredTable, days: Iterable[date], where: Mapping[str, str] | None = None) -> None:
    listed = sorted(days)
    if listed:
        lake.replace(table, pl.DataFrame(schema=table.schema), (listed[0], listed[-1]), where)


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
