"""How S3 is reached: at which address, with whose keys, and how long a request is tried.

One home for it, so that deltalake, polars, boto3 and dagster-aws all reach the same service in the same way. What lies
in which bucket stays out. boto3 is imported where it is used.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from botocore.session import Session

FoundT = TypeVar("FoundT")
PROFILE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
"""The variables that decide which keys and which region boto's files hold."""
TRIES = 4
"""How often something is begun again whose connection broke where the client itself may not ask a second time."""
TREE = re.compile(r"(\x1b\[[0-9;]*m|↳|\s)+")
"""What deltalake draws between the causes of an error."""


def endpoint_url() -> str | None:
    """Where S3 is, if it is not Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str | None:
    """The region, if it is said anywhere."""
    given = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return given or (_session().get_config_variable("region") if _has_files() else None)


def attempts(default: int) -> int:
    """How often a request is sent before it has failed, as `AWS_MAX_ATTEMPTS` says it to boto3."""
    given = os.environ.get("AWS_MAX_ATTEMPTS") or ""
    return max(int(given), 1) if given.isdecimal() else default


def addresses() -> dict[str, str]:
    """What deltalake is told of S3 that is no secret."""
    endpoint, said = endpoint_url(), region()
    return {
        "conditional_put": "etag",
        **({"endpoint_url": endpoint} if endpoint else {}),
        **({"allow_http": "true"} if endpoint and endpoint.startswith("http://") else {}),
        **({"region": said} if said else {}),
    }


def credentials() -> dict[str, str]:
    """The keys for deltalake, which looks for them in the variables and on Amazon's machines, but not in boto's files.

    Nothing where the variables hold them: then nobody but the client reads them. They are asked for each time, because
    those of a role end after an hour.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID") or not _has_files():
        return {}
    found = _session().get_credentials()
    if found is None:
        return {}
    keys = found.get_frozen_credentials()
    named = {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "session_token": keys.token}
    return {name: str(value) for name, value in named.items() if value}


def delta_options(where: Mapping[str, str]) -> dict[str, str]:
    """All that deltalake is told: where S3 is, the keys, and how long a request is tried."""
    return {**where, **credentials(), "max_retries": str(retries())}


def retries() -> int:
    """How often deltalake and polars send a request again, each time after a longer wait."""
    return attempts(11) - 1


def client() -> Any:
    """boto3's client of S3."""
    import boto3

    return boto3.client("s3", endpoint_url=endpoint_url(), region_name=region())


def content(of: Any, bucket: str, key: str) -> bytes:
    """An object; boto asks again for one that it does not get, but not for one that breaks off on the way.

    Args:
        of: boto3's client.
        bucket: Where it is.
        key: Its name there.
    """
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError

    for _ in range(TRIES - 1):
        with suppress(ResponseStreamingError, IncompleteReadError):
            return bytes(of.get_object(Bucket=bucket, Key=key)["Body"].read())
    return bytes(of.get_object(Bucket=bucket, Key=key)["Body"].read())


def patiently(do: Callable[[], FoundT]) -> FoundT:
    """Do something that may be done twice, again where only its connection broke.

    The client sends most requests again by itself. A write that must find nothing there it may not: who knows whether
    it was done. An answer that is cut off it does not always.
    """
    for number in range(1, TRIES):
        try:
            return do()
        except Exception as error:
            if not _is_cut_off(error):
                raise
            time.sleep(0.1 * 2**number)
    return do()


def is_of_s3(error: BaseException) -> bool:
    """Whether the client of S3, of deltalake or of polars, gave up on a request."""
    return "Generic S3 error" in str(error)


def in_words(error: BaseException) -> str:
    """An error of that client in one line."""
    return TREE.sub(" ", str(error)).strip()


def _is_cut_off(error: Exception) -> bool:
    """Whether a connection broke before the client had tried for as long as it may."""
    words = in_words(error)
    if not is_of_s3(error) or "HTTP error" not in words or "timed out" in words:
        return False
    tried = re.search(r"after (\d+) retries, max_retries:? (\d+)", words)
    return tried is None or int(tried[1]) < int(tried[2])


def _has_files() -> bool:
    """Whether there is anything that only boto reads: its files, or a profile."""
    paths = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
    )
    return any(Path(path).expanduser().exists() for path in paths)


def _session() -> "Session":
    return _session_of(tuple((name, os.environ.get(name)) for name in PROFILE))


@cache
def _session_of(_: tuple[tuple[str, str | None], ...]) -> "Session":
    """A session for each choice of files and profile: it keeps the keys of a role, and renews them in time."""
    import botocore.session

    return botocore.session.get_session()
