"""What users just did, told to the online store at once; what it has missed it is told when it is back.

The event log has everything for good. So whatever got lost on the way (a process was killed before it had told, more
waited than is kept, the store came back empty) is told again from there.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from recsys_assets.api.store_guard import StoreGoneError, StoreGuard
from recsys_assets.serving.keys import OVERLAYS_TOLD
from recsys_assets.serving.overlay import Overlaid, remember

MOST_KEPT = 100_000
"""Deeds kept here while the store is gone; what is beyond waits in the event log alone."""
TOLD_AT_ONCE = 1_000
USERS_AT_ONCE = 200


class Overlays:
    """Tells the store.

    Args:
        guard: The online store.
        keep_days: How long it remembers.
        in_log: Reads from the event log what users did on days that have not landed.
        most_kept: Deeds kept while the store is gone.
    """

    def __init__(
        self,
        guard: StoreGuard,
        keep_days: int,
        in_log: Callable[[], Iterable[Overlaid]],
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._guard, self._keep_days, self._in_log, self._most_kept = guard, keep_days, in_log, most_kept
        self._untold: dict[str, list[Overlaid]] = {}
        self._kept = 0
        self._must_repeat = True  # nobody knows what the process before has told
        self._lock, self._catching_up = threading.Lock(), threading.Lock()

    def tell(self, deeds: Sequence[Overlaid]) -> None:
        """Tell the store, now or when it is back."""
        try:
            self._tell(deeds)
        except StoreGoneError:
            self._keep(deeds)

    def untold(self, user_id: str) -> Sequence[Overlaid]:
        """What a user did that the store does not know yet."""
        if not self._untold:
            return ()
        with self._lock:
            return tuple(self._untold.get(user_id, ()))

    def catch_up(self) -> None:
        """Tell what the store has missed, where it is there."""
        with self._catching_up, suppress(StoreGoneError):
            if self._must_repeat or self._has_forgotten():
                self._repeat()
            while waiting := self._waiting():
                self._tell([one for deeds in waiting.values() for one in deeds])
                self._let_go(waiting)

    def _tell(self, deeds: Sequence[Overlaid]) -> None:
        if deeds:
            with self._guard.asking() as client:
                remember(client, deeds, self._keep_days)

    def _has_forgotten(self) -> bool:
        """Whether the store has come back without its memory."""
        with self._guard.asking() as client:
            return not client.exists(OVERLAYS_TOLD)

    def _repeat(self) -> None:
        """Tell everything that is in the log."""
        self._must_repeat = False  # unless more is dropped from now on
        try:
            with self._guard.asking() as client:
                client.set(OVERLAYS_TOLD, 1)  # first: a full store refuses it too, and other workers need not repeat
            deeds = iter(self._in_log())
            while some := list(islice(deeds, TOLD_AT_ONCE)):
                self._tell(some)
        except BaseException:
            self._must_repeat = True
            raise

    def _keep(self, deeds: Sequence[Overlaid]) -> None:
        with self._lock:
            room = self._most_kept - self._kept
            if len(deeds) > room:
                self._must_repeat = True
            for one in deeds[:room]:
                self._untold.setdefault(one.user_id, []).append(one)
            self._kept += min(len(deeds), room)

    def _waiting(self) -> dict[str, list[Overlaid]]:
        """Some users, with all that waits of them."""
        with self._lock:
            return {user: list(deeds) for user, deeds in islice(self._untold.items(), USERS_AT_ONCE)}

    def _let_go(self, told: dict[str, list[Overlaid]]) -> None:
        """Forget what has been told; what came meanwhile stands behind it."""
        with self._lock:
            for user, deeds in told.items():
                rest = self._untold[user][len(deeds) :]
                if rest:
                    self._untold[user] = rest
                else:
                    del self._untold[user]
                self._kept -= len(deeds)
