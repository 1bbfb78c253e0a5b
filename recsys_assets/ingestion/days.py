"""Which files of the landing belong to which day, by the path templates of the mapping.

Listing a landing stays out: these functions see paths only.
"""

import re
from collections.abc import Iterable
from datetime import date

from recsys_assets.mapping import DATE_PLACE, SourceMapping

_ANY_TEXT = "*"


def files_by_day(paths: Iterable[str], mapping: SourceMapping) -> dict[date, list[str]]:
    """Sort the files of one table by day.

    Args:
        paths: Paths relative to the landing, with `/` between folders.
        mapping: The declaration whose `path` the files must match.

    Returns:
        The matching paths of each day; days and paths are sorted. A path whose date does not exist
        (2011-02-31) belongs to no day.
    """
    pattern = _pattern_of(mapping.path)
    days: dict[date, list[str]] = {}
    for path in sorted(paths):
        match = pattern.fullmatch(path)
        day = existing_day(match["date"]) if match else None
        if day is not None:
            days.setdefault(day, []).append(path)
    return dict(sorted(days.items()))


def existing_day(text: str) -> date | None:
    """The day that a text such as 2011-02-28 names, or None when there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _pattern_of(template: str) -> re.Pattern[str]:
    expressions = {DATE_PLACE: r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})", _ANY_TEXT: "[^/]*"}
    parts = re.split(r"(\{date\}|\*)", template)
    return re.compile("".join(expressions.get(part, re.escape(part)) for part in parts))
