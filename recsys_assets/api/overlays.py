"""What users just did, told to the online store at once; while it is gone, kept here and told when it is back."""

import threading
from collections import deque
from collections.abc import Sequence

from recsys_assets.api.store_guard import StoreGoneError, StoreGuard
from recsys_assets.serving.overlay import Overlaid, bought, remember

MOST_KEPT = 100_000
"""Events kept while the store is gone; beyond, the oldest are dropped here. The event log has them all the same."""


class Overlays:
    """Tells the store.

    Args:
        guard: The online store.
    """

    def __init__(self, guard: StoreGuard) -> None:
        self._guard = guard
        self._untold: deque[Overlaid] = deque(maxlen=MOST_KEPT)
        self._lock = threading.Lock()

    def tell(self, events: Sequence[Overlaid]) -> None:
        """Tell the store, now or when it is back."""
        try:
            with self._guard.asking() as client:
                remember(client, events)
        except StoreGoneError:
            with self._lock:
                self._untold.extend(events)

    def catch_up(self) -> None:
        """Tell what the store has missed, where it is there."""
        if not self._untold or not self._guard.is_there:
            return
        with self._lock:
            events = list(self._untold)
            self._untold.clear()
        self.tell(events)

    def bought_meanwhile(self, user_id: str) -> set[str]:
        """What a user has bought that the store does not know yet."""
        with self._lock:
            return bought([one for one in self._untold if one.user_id == user_id])
