"""The online store as the API asks it: only while it answers, so that an outage costs each request nothing.

The first request that is not answered marks the store as gone; from then on nobody waits for it, until the watch has
found it answering again. A store that answers, but refuses a command (because it is full, say), goes on being asked:
others may be answered. What the keys mean stays with `recsys_assets.serving`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from recsys_assets.api.components import Components
from resources.online_store import STORE_ERRORS, Client, OnlineStoreError

COMPONENT = "online_store"


class StoreGoneError(Exception):
    """The online store does not answer at the moment, or not this."""


class StoreGuard:
    """Hands out the client while the store answers.

    Args:
        connect: Gives a client of a store that answers; it may take its time, and raise OnlineStoreError.
        components: Where its state is told.
    """

    def __init__(self, connect: Callable[[], Client], components: Components) -> None:
        self._connect, self._components = connect, components
        self._client: Client | None = None
        self._has_refused = False  # since the watch looked last
        self._lock = threading.Lock()
        components.tell(COMPONENT, "has not been asked yet", is_well=False)

    @property
    def is_there(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._client is not None

    def watch(self) -> None:
        """Ask whether it is there; where it was gone and is back, let it be asked again."""
        try:
            client = self._connect()
        except (OnlineStoreError, *STORE_ERRORS, OSError) as error:
            self._mark_gone(error)
            return
        with self._lock:
            self._client = client
            if not self._has_refused:
                self._components.tell(COMPONENT, "answers", is_well=True)
            self._has_refused = False

    @contextmanager
    def asking(self) -> Iterator[Client]:
        """The client, for as long as the context lasts.

        Raises:
            StoreGoneError: The store does not answer, stopped answering inside, or refused what was asked.
        """
        client = self._client
        if client is None:
            raise StoreGoneError("the online store does not answer")
        try:
            yield client
        except (*STORE_ERRORS, OSError) as error:
            if isinstance(error, redis.ResponseError) and not isinstance(error, redis.exceptions.ClusterError):
                self._mark_refusing(error)
            else:
                self._mark_gone(error)
            raise StoreGoneError("the online store did not answer") from error

    def _mark_gone(self, error: Exception) -> None:
        with self._lock:
            self._client = None
            self._components.tell(COMPONENT, f"does not answer ({type(error).__name__})", is_well=False)

    def _mark_refusing(self, error: Exception) -> None:
        with self._lock:
            self._has_refused = True
            detail = f"answers, but refuses commands ({type(error).__name__})"
            self._components.tell(COMPONENT, detail, is_well=False)
