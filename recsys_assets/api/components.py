"""What the API is made of, and how each part does: what `/health/ready` tells."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class State:
    """How a component does.

    Attributes:
        is_well: Whether it does what it is there for.
        detail: What it holds, or what is wrong.
        since: Since when it has been so.
    """

    is_well: bool
    detail: str
    since: datetime


class Components:
    """The state of each component, told by the components themselves."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)) -> None:
        self._clock = clock
        self._states: dict[str, State] = {}
        self._lock = threading.Lock()

    def tell(self, name: str, detail: str, *, is_well: bool) -> None:
        """Say how a component does; `since` moves only when it gets well or stops being so."""
        with self._lock:
            before = self._states.get(name)
            is_same = before is not None and before.is_well == is_well
            since = before.since if before is not None and is_same else self._clock()
            self._states[name] = State(is_well, detail, since)

    def states(self) -> dict[str, State]:
        """Name to state."""
        with self._lock:
            return dict(self._states)
