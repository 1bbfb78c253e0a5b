"""Something that is done again and again beside the requests, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)


class Periodic:
    """Calls a function, and again some seconds after it has returned, until it is stopped.

    Args:
        work: What to do. What it raises is logged, and it is called again all the same.
        seconds: The pause between.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[], object], seconds: float, name: str) -> None:
        self._work, self._seconds = work, seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until what is being done is done, and do it no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception:
                LOGGER.exception("%s failed and is tried again in %s seconds", self._thread.name, self._seconds)
            self._stopping.wait(self._seconds)
