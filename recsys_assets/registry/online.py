"""How a version did with real users, kept with it: the newest day of its online metrics, as one tag.

One tag is written as a whole, so that figures of two days never mix. What the figures are is decided in `monitoring`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from resources.model_registry import ModelRegistry, ModelVersion

ONLINE_TAG = "online_metrics"
"""Tag of a version: a day, whether it is final, and the figures of the day by the names of their columns, as JSON."""
_DIGITS = 6


@dataclass(frozen=True)
class OnlineDay:
    """How a version did on a day.

    Attributes:
        day: The day on which it was shown.
        is_final: Whether nothing more can be credited to the day.
        figures: Name of each column of `monitoring/online_metrics` that is a number to its value.
    """

    day: date
    is_final: bool
    figures: Mapping[str, float]

    @property
    def in_words(self) -> str:
        """The day, and whether more may be credited to it."""
        return f"{self.day}" if self.is_final else f"{self.day} (not final)"


def online_day(version: ModelVersion) -> OnlineDay | None:
    """How the version did on the newest day on which it was shown; None where it never was, or nobody measured it."""
    tag = version.tags.get(ONLINE_TAG)
    if tag is None:
        return None
    content = json.loads(tag)
    return OnlineDay(date.fromisoformat(content["day"]), content["is_final"], content["figures"])


def keep_online_day(registry: ModelRegistry, version: ModelVersion, found: OnlineDay) -> bool:
    """Keep a day with its version, unless a newer one is kept; whether it was."""
    kept = online_day(version)
    if kept is not None and kept.day > found.day:
        return False
    figures = {name: _short(value) for name, value in found.figures.items()}
    content = {"day": str(found.day), "is_final": found.is_final, "figures": figures}
    registry.set_tags(version, {ONLINE_TAG: json.dumps(content)})
    return True


def _short(value: float) -> float:
    """Counts as they are, figures with as many digits as anybody reads."""
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
