"""Which processes a stack has started, written down so that a later one recognises what a killed one left behind.

Every service begins a session of its own, and whatever it starts belongs to that session. A number of a process that is
used again by somebody else is told apart by the moment at which that process began.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals

POLL_SECONDS = 0.1
KILL_SECONDS = 5.0
PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Begun:
    """A process that leads a session.

    Attributes:
        pid: Its number, which is the session's too.
        moment: When it began, as the kernel counts.
    """

    pid: int
    moment: int


@dataclass(frozen=True)
class Started:
    """A service that was started, and how it is ended.

    Attributes:
        name: Of the service.
        leader: Its process.
        stop_signal: What it is asked with.
        stop_seconds: How long it may take.
    """

    name: str
    leader: Begun
    stop_signal: str
    stop_seconds: float


@dataclass(frozen=True)
class _Seen:
    pid: int
    session: int
    moment: int


def begun(pid: int) -> Begun | None:
    """The process with a number; None where there is none."""
    seen = _look_at(PROCESSES / str(pid))
    return None if seen is None else Begun(pid, seen.moment)


def write_down(file: Path, services: Iterable[Started]) -> None:
    """Remember services, in one step."""
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(json.dumps([asdict(one) for one in services]), encoding="utf-8")
    unfinished.replace(file)


def written_down(file: Path) -> list[Started]:
    """Services that were remembered, in the order in which they were started."""
    if not file.exists():
        return []
    found = json.loads(file.read_text(encoding="utf-8"))
    return [Started(**{**one, "leader": Begun(**one["leader"])}) for one in found]


def members(leader: Begun) -> list[int]:
    """Everything alive of a session that a leader began; nothing where its number belongs to somebody else by now."""
    others = [one for one in _everybody() if one.session == leader.pid]
    now = begun(leader.pid)
    return [one.pid for one in others] if now is None or now == leader else []


def end(service: Started) -> None:
    """End a service: its leader in order, and after a while whatever is left of its session, for good."""
    leader = service.leader
    alive = members(leader)
    _send([leader.pid] if leader.pid in alive else alive, Signals[service.stop_signal])
    if not _gone(leader, service.stop_seconds):
        _send(members(leader), Signals.SIGKILL)
        _gone(leader, KILL_SECONDS)


def _gone(leader: Begun, seconds: float) -> bool:
    """Wait until the leader is gone, then end quietly what it has left behind."""
    deadline = time.monotonic() + seconds
    while leader.pid in members(leader):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    _send(members(leader), Signals.SIGTERM)
    while members(leader):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _send(pids: Iterable[int], how: Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def _everybody() -> Iterator[_Seen]:
    for path in PROCESSES.iterdir():
        seen = _look_at(path) if path.name.isdecimal() else None
        if seen is not None:
            yield seen


def _look_at(path: Path) -> _Seen | None:
    """What the kernel says of a process; one that has ended and waits to be asked about is none."""
    try:
        text = (path / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, _, _, session, *others = text.rpartition(") ")[2].split()
    return None if state == "Z" else _Seen(int(path.name), int(session), int(others[15]))
