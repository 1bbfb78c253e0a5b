"""Who may ask: keys from the environment, known only by their digests, compared in constant time.

A key is sent as `X-API-Key`, as a bearer token, or, by browsers, as the password of HTTP's basic authentication.
Health checks are open to everybody.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from recsys_assets.api.problems import problem_response
from resources.settings import SettingsError

KEYS, KEYS_FILE = "RECSYS_API_KEYS", "RECSYS_API_KEYS_FILE"
SHORTEST_KEY = 16
OPEN_PREFIX = "/health/"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="recsys", charset="UTF-8"'}
DETAIL = "send one of the configured keys as the header X-API-Key, or as a bearer token"


class ApiKeys:
    """The keys that open the API; without any it is open.

    Args:
        keys: As they are sent; only digests are kept.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple(sorted({_digest(key) for key in keys}))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "ApiKeys":
        """The keys that `RECSYS_API_KEYS` lists with commas, and those in the lines of `RECSYS_API_KEYS_FILE`.

        Raises:
            SettingsError: The file cannot be read, or a key is too short.
        """
        given = env.get(KEYS, "").split(",")
        file = env.get(KEYS_FILE)
        if file:
            try:
                given += Path(file).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{KEYS_FILE}: {file} cannot be read ({type(error).__name__})") from error
        keys = [key.strip() for key in given if key.strip() and not key.strip().startswith("#")]
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise SettingsError(
                f"{KEYS} or {KEYS_FILE} holds a key of fewer than {SHORTEST_KEY} characters; make one with "
                "`openssl rand -hex 24`"
            )
        return cls(keys)

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a key."""
        return not self._digests

    def allows(self, key: str) -> bool:
        """Whether a key is one of them; it takes as long for a wrong one as for a right one."""
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])  # noqa: C419 - all are compared


class RequireKey:
    """ASGI middleware: without a key, nothing but health checks."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http" and not self.keys.is_open and not scope["path"].startswith(OPEN_PREFIX):
            given = sent_key(Headers(scope=scope))
            if given is None or not self.keys.allows(given):
                await problem_response(401, "unauthorized", DETAIL, headers=CHALLENGE)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def sent_key(headers: Headers) -> str | None:
    """The key that a request brings, if it brings one."""
    if "x-api-key" in headers:
        return headers["x-api-key"]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
