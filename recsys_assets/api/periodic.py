"""Something that is done again and again beside the requests, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)
STOP_SECONDS = 10.0
"""A stop does not wait longer for what is being done: a registry that is silent must not keep a process alive."""


class Periodic:
    """Calls a function, and again some seconds after it has returned, until it is stopped.

    Args:
        work: What to do. What it raises is logged, once until it succeeds, and it is called again all the same.
        seconds: The pause between.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[], object], seconds: float, name: str) -> None:
        self._work, self._seconds = work, seconds
        self._is_failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until what is being done is done, within reason, and do it no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._once()
            self._stopping.wait(self._seconds)

    def _once(self) -> None:
        try:
            self._work()
        except Exception:
            if not self._is_failing:
                LOGGER.exception("%s failed and is tried again every %s seconds", self._thread.name, self._seconds)
            self._is_failing = True
            return
        if self._is_failing:
            LOGGER.info("%s succeeds again", self._thread.name)
        self._is_failing = False
