"""The connection to the online store: Redis or Valkey by URL, alone or as a cluster, or the embedded server.

It hands out a client. What the keys mean stays out; `recsys_assets.serving` knows. No message shows the URL, which
holds the password.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import dagster as dg
import redis
from pydantic import Field
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from resources import embedded_valkey

TIMEOUT_SECONDS = 5.0
RETRIES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 3, 0.05, 0.5
"""Enough to outlive a connection that was closed, and short: readers wait meanwhile."""
CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
YES, NO = {"true", "yes", "1"}, {"false", "no", "0"}
ADVICE = (
    "write RECSYS_REDIS_URL like rediss://user:password@host:6379/0, with redis+cluster:// or rediss+cluster:// for a "
    "cluster, and what is special in a password percent-encoded (/ is %2F, @ is %40, # is %23)"
)
Client: TypeAlias = redis.Redis | redis.RedisCluster
STORE_ERRORS = (redis.RedisError, redis.RedisClusterException)
"""What a client raises when the store fails: redis-py has two families."""


class OnlineStoreError(Exception):
    """The online store cannot be reached."""


class OnlineStore(dg.ConfigurableResource):
    """Redis or Valkey.

    Attributes:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user and password where the server asks for them; of a
            cluster `redis+cluster://` or `rediss+cluster://`, or with `?cluster=true`. Further options of redis-py,
            such as `ssl_ca_certs`, follow as a query. Empty for the embedded server.
        folder: Data folder of the embedded server.
        timeout_seconds: How long a command may take, and how long a connection.
        retries: How often a command is tried again where the connection breaks.
    """

    url: str = Field(default="", repr=False)
    folder: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS
    retries: int = RETRIES

    def connect(self) -> Client:
        """A client of a server that answers; the embedded one is started where it does not run.

        Raises:
            OnlineStoreError: No server answers there, or it does not let us in.
        """
        try:
            if not self.url:
                embedded_valkey.ensure_running(Path(self.folder))
            self._client.ping()
        except (*STORE_ERRORS, embedded_valkey.EmbeddedServerError, OSError) as error:
            raise OnlineStoreError(
                f"the online store does not answer ({error}); start it, or correct RECSYS_REDIS_URL, "
                "or unset RECSYS_REDIS_URL to use the embedded server"
            ) from error
        except (ValueError, TypeError):  # their texts quote parts of the URL, so they are not even kept as the cause
            is_readable = False
        else:
            is_readable = True
        if not is_readable:
            raise OnlineStoreError(f"RECSYS_REDIS_URL is no address of an online store; {ADVICE}")
        return self._client

    @cached_property
    def _client(self) -> Client:
        pauses = ExponentialWithJitterBackoff(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
        options: dict[str, Any] = {
            "socket_timeout": self.timeout_seconds,
            "socket_connect_timeout": self.timeout_seconds,
            # A server that is silent is not asked again: its silence would cost the same time once more.
            "retry": Retry(pauses, self.retries, supported_errors=(redis.ConnectionError,)),
        }
        if not self.url:
            return redis.Redis(unix_socket_path=str(embedded_valkey.socket_of(Path(self.folder))), **options)
        address, is_cluster = _address(self.url)
        options |= {"health_check_interval": int(TIMEOUT_SECONDS)}
        return (redis.RedisCluster if is_cluster else redis.Redis).from_url(address, **options)


def _address(url: str) -> tuple[str, bool]:
    """The URL as redis-py reads it, and whether it is of a cluster.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    answer = asked.pop("cluster", "no").lower()
    if answer not in YES | NO:
        raise ValueError("cluster must be true or false")
    scheme = CLUSTER_SCHEMES.get(parts.scheme, parts.scheme)
    if parts.fragment:
        raise ValueError("a # belongs to no such URL; in a password, it must be encoded")
    address = f"{scheme}://{parts.netloc}{parts.path}?{urlencode(asked)}"
    return address, scheme != parts.scheme or answer in YES
