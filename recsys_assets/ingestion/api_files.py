"""What the API lands: which files these are, and how they are read, whatever else `recsys.yaml` maps.

Their columns are the canonical ones, so nobody has to map them. Writing them is the business of `recsys_assets.api`.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from recsys_assets.columns import SOURCE_TABLES
from recsys_assets.mapping import DATE_PLACE, SourceMapping
from recsys_assets.platform import Platform

API_FOLDER = "api"
"""The folder of the landing that belongs to the API; no other mapping reads from it."""
IDENTITY = "event_id"
"""In a landed event, what the shop calls it: two events that are alike in all else are still two."""


def _mapping(table: str) -> SourceMapping:
    columns = [name for name in SOURCE_TABLES[table].schema.names() if name not in ("ds", "event_type")]
    return SourceMapping.model_validate(
        {
            "path": f"{API_FOLDER}/{DATE_PLACE}.{table}.jsonl.gz",
            "format": "jsonl",
            "columns": dict(zip(columns, columns, strict=True)),
            "event_type": {"column": "event_type"} if table == "events" else None,
        }
    )


API_SOURCES: Mapping[str, SourceMapping] = {table: _mapping(table) for table in ("events", "impressions")}
"""Table to how the API's files of it are read."""


def api_file(table: str, day: date) -> str:
    """Where the API lands the rows of a day, relative to the landing."""
    return API_SOURCES[table].path.replace(DATE_PLACE, day.isoformat())


def is_from_api(path: str) -> bool:
    """Whether a path of the landing lies in the folder of the API."""
    return path.startswith(f"{API_FOLDER}/")


def sources_of(platform: Platform) -> Iterator[tuple[str, SourceMapping]]:
    """Every table with every mapping that may feed it: those of `recsys.yaml`, then those of the API.

    A replay of old days has none of the API: what is posted today happened after its last day.
    """
    yield from platform.sources.items()
    if platform.last_day is None:
        yield from API_SOURCES.items()


def fed_tables(platform: Platform) -> list[str]:
    """The tables that some mapping may feed."""
    return list(dict.fromkeys(table for table, _ in sources_of(platform)))


def reads(mapping: SourceMapping, path: str) -> bool:
    """Whether files at a path may be read by a mapping: the API's folder is read by its own, and by them alone."""
    return (mapping in API_SOURCES.values()) == is_from_api(path)
