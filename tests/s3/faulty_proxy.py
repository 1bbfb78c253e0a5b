"""A proxy that stands between a client of S3 and its server, and does to requests what networks and servers do.

It speaks real HTTP on both sides. What goes wrong is said by a plan; what did is in its log.
"""

import http.client
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
RESET = struct.pack("ii", 1, 0)
"""Makes a socket send a reset when it is closed."""


class Fault(StrEnum):
    """What can happen to a request."""

    ERROR = "500 before the server has seen it"
    SLOW_DOWN = "503 SlowDown before the server has seen it"
    ERROR_AFTER = "500 although the server has done it"
    RESET_BEFORE = "connection reset before the server has seen it"
    RESET_AFTER = "connection reset after the server has done it"
    CUT = "connection reset in the middle of the answer"
    SLOW = "slow answer"


ANSWERED_WITH = {
    Fault.ERROR: (500, "InternalError"),
    Fault.ERROR_AFTER: (500, "InternalError"),
    Fault.SLOW_DOWN: (503, "SlowDown"),
}


@dataclass(frozen=True)
class Asked:
    """A request, as plans see it.

    Attributes:
        number: Counted from 1.
        method: GET, PUT and so on.
        path: With the query.
        is_conditional: Whether it is a PUT that must find nothing there: a commit of Delta.
    """

    number: int
    method: str
    path: str
    is_conditional: bool


@dataclass(frozen=True)
class Told:
    """What became of a request: the status that the server gave, if it has seen it, and the fault."""

    asked: Asked
    status: int | None
    fault: Fault | None

    def __str__(self) -> str:
        """A line of the log."""
        seen = "-" if self.status is None else self.status
        return f"{self.asked.number:6} {self.asked.method:6} {seen:>3} {self.asked.path}  {self.fault or ''}".rstrip()


Plan = Callable[[Asked], Fault | None]


def no_faults(_: Asked) -> Fault | None:
    """Everything goes well."""
    return None


def at_random(seed: int, share: float, *faults: Fault) -> Plan:
    """Each request meets one of the faults with the same probability; the same seed draws the same faults."""
    drawn = random.Random(seed)  # noqa: S311 - draws faults, not secrets
    lock = threading.Lock()

    def plan(_: Asked) -> Fault | None:
        with lock:
            return drawn.choice(faults or tuple(Fault)) if drawn.random() < share else None

    return plan


def once(is_it: Callable[[Asked], bool], fault: Fault, times: int = 1) -> Plan:
    """The first requests of a kind meet the fault."""
    left = threading.Semaphore(times)

    def plan(asked: Asked) -> Fault | None:
        return fault if is_it(asked) and left.acquire(blocking=False) else None

    return plan


@dataclass
class FaultyProxy:
    """A running proxy.

    Attributes:
        upstream: The server's address.
        slow_seconds: How long a slow answer takes.
        plan: Says what happens to a request.
        log: What became of each.
        url: Where it listens.
    """

    upstream: str
    slow_seconds: float = 0.3
    plan: Plan = no_faults
    log: list[Told] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked: int = 0

    def asked(self, method: str, path: str, *, is_conditional: bool) -> tuple[Asked, Fault | None]:
        """Count a request, and draw what happens to it."""
        with self._lock:
            self._asked += 1
            asked = Asked(self._asked, method, path, is_conditional)
        return asked, self.plan(asked)

    def tell(self, told: Told) -> None:
        """Keep what became of a request."""
        with self._lock:
            self.log.append(told)

    def met(self) -> Counter[Fault]:
        """How often each fault occurred."""
        return Counter(told.fault for told in self.log if told.fault is not None)

    def write_log(self, path: Path) -> None:
        """Write the log, a line per request."""
        path.write_text("\n".join(map(str, self.log)) + "\n", encoding="utf-8")


@contextmanager
def listening(upstream: str) -> Iterator[FaultyProxy]:
    """A proxy, for as long as the context lasts."""
    proxy = FaultyProxy(upstream)

    class Handler(_Handler):
        state = proxy

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        yield proxy
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and one to the server for it."""

    state: FaultyProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        place = urlsplit(self.state.upstream)
        self.server_side = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)

    def finish(self) -> None:
        self.server_side.close()
        super().finish()

    def pass_on(self) -> None:
        """Handle one request."""
        body = self._body()
        asked, fault = self.state.asked(
            self.command, self.path, is_conditional=self.headers.get("If-None-Match") == "*"
        )
        if fault is Fault.SLOW:
            time.sleep(self.state.slow_seconds)
        is_seen = fault not in {Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET_BEFORE}
        answer, content = self._ask(body) if is_seen else (None, b"")
        self.state.tell(Told(asked, None if answer is None else answer.status, fault))
        if fault in {Fault.RESET_BEFORE, Fault.RESET_AFTER}:
            self._reset()
        elif fault in ANSWERED_WITH:
            self._fail(*ANSWERED_WITH[fault])
        elif answer is not None:
            self._answer(answer, content, is_cut=fault is Fault.CUT)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - as the server of Python names them

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {*HOP_BY_HOP, "expect"}}
        headers["Content-Length"] = str(len(body))
        self.server_side.request(self.command, self.path, body, headers)
        answer = self.server_side.getresponse()
        return answer, answer.read()

    def _answer(self, answer: http.client.HTTPResponse, content: bytes, *, is_cut: bool) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*HOP_BY_HOP, "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if is_cut:
            self.wfile.write(content[: len(content) // 2])
            self._reset()
        elif self.command != "HEAD":
            self._write(content)

    def _write(self, content: bytes) -> None:
        """Answer, unless the client is gone."""
        try:
            self.wfile.write(content)
        except ConnectionError:
            self.close_connection = True

    def _fail(self, status: int, code: str) -> None:
        content = f"<Error><Code>{code}</Code><Message>Please try again.</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self._write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        os.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""
