"""Which landed files feed which table on which day, and whether a day changed since it was last looked at."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from recsys_assets.ingestion.api_files import reads, sources_of
from recsys_assets.ingestion.days import files_by_day
from recsys_assets.platform import Platform
from resources.landing import LandedFile


@dataclass(frozen=True)
class LandedDay:
    """The files of one day.

    Attributes:
        day: The day that their paths name.
        paths: Table to the paths that feed it; one path may feed several tables.
        fingerprint: Changes when a file of the day appears, vanishes, or is rewritten, and when the mapping changes.
        size_bytes: Table to what the files that feed it weigh together.
    """

    day: date
    paths: Mapping[str, tuple[str, ...]]
    fingerprint: str
    size_bytes: Mapping[str, int]


def landed_days(files: Iterable[LandedFile], platform: Platform) -> dict[date, LandedDay]:
    """Group what has landed by day; days outside the configured range are left out.

    Args:
        files: All files of the landing.
        platform: Says which paths feed which table; so does the API for what it lands.
    """
    known = {file.path: file for file in files}
    days: dict[date, dict[str, tuple[str, ...]]] = {}
    for table, mapping in sources_of(platform):
        for day, paths in files_by_day((path for path in known if reads(mapping, path)), mapping).items():
            if platform.first_day <= day and (platform.last_day is None or day <= platform.last_day):
                tables = days.setdefault(day, {})
                tables[table] = (*tables.get(table, ()), *paths)
    reading = _reading(platform)
    return {day: _landed_day(day, paths, known, reading) for day, paths in sorted(days.items())}


def _reading(platform: Platform) -> str:
    """Everything in the configuration that decides what becomes of a file's rows."""
    deciding = {"sources", "time_zone", "wrong_day_tolerance_minutes"}
    return json.dumps(platform.model_dump(mode="json", include=deciding), sort_keys=True)


def _landed_day(
    day: date, paths: Mapping[str, tuple[str, ...]], known: Mapping[str, LandedFile], reading: str
) -> LandedDay:
    files = [known[path] for path in sorted({path for some in paths.values() for path in some})]
    state = "\n".join(f"{file.path} {file.size_bytes} {file.stamp}" for file in files)
    fingerprint = hashlib.sha256(f"{reading}\n{state}".encode()).hexdigest()[:16]
    size_bytes = {table: sum(known[path].size_bytes for path in some) for table, some in paths.items()}
    return LandedDay(day, paths, fingerprint, size_bytes)
