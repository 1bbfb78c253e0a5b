"""What `recsys tune` may try for a hyper-parameter, declared beside it in the annotation of its field.

How trials are chosen and judged stays out: that is `validation.tuning`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

WINDOWS = (7, 14, 30, 60, 90, 180, 365)
"""Days that are tried for `window_days` and `history_days`."""
SIGNIFICANT_DIGITS = 3


@dataclass(frozen=True)
class Between:
    """Any number of a range; only whole ones where both ends are whole.

    Attributes:
        low: The smallest number to try.
        high: The largest.
        is_log: Whether ratios matter, so that 1 to 10 is tried as often as 10 to 100.
    """

    low: float
    high: float
    is_log: bool = False

    def __post_init__(self) -> None:
        if self.low > self.high or (self.is_log and self.low <= 0):
            raise ValueError(f"{self!r} is no range" + (" of ratios: it must begin above 0" if self.is_log else ""))

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def including(self, value: Any) -> "Between":
        """The same range, wide enough for `value`."""
        return Between(min(self.low, value), max(self.high, value), self.is_log and value > 0)

    def rounded(self, value: Any) -> Any:
        """A tried value as a person would write it: what is printed is what was measured."""
        return int(value) if self.is_whole else float(f"{value:.{SIGNIFICANT_DIGITS}g}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (", by ratio" if self.is_log else "")


@dataclass(frozen=True)
class Among:
    """One of some values.

    Attributes:
        values: What to try.
    """

    values: tuple[Any, ...]

    def including(self, value: Any) -> "Among":
        """The same values, and `value`."""
        return self if value in self.values else Among((*self.values, value))

    def rounded(self, value: Any) -> Any:
        """The value as it is."""
        return value

    def __str__(self) -> str:
        return ", ".join(as_text(value) for value in self.values)


def as_text(value: Any) -> str:
    """A value as it stands in `recsys.yaml`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


Search = Between | Among


def searched(parameters: type[BaseModel]) -> dict[str, Search]:
    """The hyper-parameters that say what to try for them; where a class narrows what it inherits, its own holds."""
    declared = {
        name: [one for one in field.metadata if isinstance(one, Between | Among)]
        for name, field in parameters.model_fields.items()
    }
    return {name: found[-1] for name, found in declared.items() if found}


def searched_windows(days: int, configured: int) -> Among:
    """The windows worth trying: each that leaves something out, and one that takes in all there is.

    Args:
        days: How many days there are.
        configured: The window as it is configured.
    """
    shorter = tuple(window for window in WINDOWS if window < days)
    if configured >= days:
        return Among((*shorter, configured))
    return Among((*shorter, min((window for window in WINDOWS if window >= days), default=days))).including(configured)


def including(space: Mapping[str, Search], values: Mapping[str, Any]) -> dict[str, Search]:
    """The space, wide enough for some values of it, so that a search can begin with them."""
    return {name: search.including(values[name]) for name, search in space.items()}
