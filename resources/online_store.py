"""The connection to the online store: Redis or Valkey by URL, or the embedded server.

It hands out a client. What the keys mean stays out; `recsys_assets.serving` knows.
"""

from functools import cached_property
from pathlib import Path

import dagster as dg
import redis

from resources import embedded_valkey

TIMEOUT_SECONDS = 5.0


class OnlineStoreError(Exception):
    """The online store cannot be reached."""


class OnlineStore(dg.ConfigurableResource):
    """Redis or Valkey.

    Attributes:
        url: `redis://`, `rediss://` or `unix://`; empty for the embedded server.
        folder: Data folder of the embedded server.
    """

    url: str = ""
    folder: str = ""

    def connect(self) -> redis.Redis:
        """A client of a server that answers; the embedded one is started where it does not run.

        Raises:
            OnlineStoreError: No server answers there.
        """
        try:
            if not self.url:
                embedded_valkey.ensure_running(Path(self.folder))
            self._client.ping()
        except (redis.RedisError, embedded_valkey.EmbeddedServerError, ValueError) as error:
            raise OnlineStoreError(
                f"the online store does not answer ({error}); start it, or correct RECSYS_REDIS_URL, "
                "or unset RECSYS_REDIS_URL to use the embedded server"
            ) from error
        return self._client

    @cached_property
    def _client(self) -> redis.Redis:
        if self.url:
            return redis.Redis.from_url(
                self.url, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=int(TIMEOUT_SECONDS)
            )
        return redis.Redis(unix_socket_path=str(embedded_valkey.socket_of(Path(self.folder))))
