"""Starts services in the order in which they need each other, keeps them running, and stops them in reverse.

It knows processes, checks and signals. What a service is and where it listens stays out.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.stack.compose import Service
from deploy.stack.leftovers import Started, begun, end, write_down

START_SECONDS = 300.0
CHECK_SECONDS = 60.0
POLL_SECONDS = 0.1
BETWEEN_CHECKS_SECONDS = 0.5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STEADY_SECONDS = 60.0
"""A service that has run so long has started well; it is started again without a longer pause."""
LOG_LINES = 8
WHEN_TOLD = 'read -r go || exit 0; exec "$@" < /dev/null'
"""A service begins once it is written down; if whoever starts it is killed before, it never begins."""


class StackError(Exception):
    """A service does not run; the message names it and ends with its log."""


@dataclass
class _Running:
    """A service that was started.

    Attributes:
        process: Its process.
        started: The same, to be recognised and ended.
        since: When it was started.
        check: The check that is under way.
        next_check: No check begins before.
        is_healthy: Whether a check has succeeded.
        pause: How long it is left alone if it ends.
        again_at: It has ended, and is started again at this moment.
    """

    process: "subprocess.Popen[bytes]"
    started: Started
    since: float
    check: "subprocess.Popen[bytes] | None" = None
    next_check: float = 0.0
    is_healthy: bool = False
    pause: float = FIRST_PAUSE_SECONDS
    again_at: float | None = None


@dataclass
class Supervisor:
    """The processes of a stack.

    Attributes:
        services: What is to run.
        environment: Variables that all services get; their own come on top.
        folder: Holds the logs, and what is remembered of the processes.
        users: Service to the user it runs as, where that is not ours.
        once_healthy: Service to what is done when it answers, before those that need it are started.
        tell: Takes a line for people.
    """

    services: Mapping[str, Service]
    environment: Mapping[str, str]
    folder: Path
    users: Mapping[str, str | None]
    once_healthy: Mapping[str, Callable[[], None]]
    tell: Callable[[str], None]
    _running: dict[str, _Running] = field(default_factory=dict)

    @property
    def processes_file(self) -> Path:
        """Where the processes are written down."""
        return self.folder / "processes.json"

    def start(self, is_wanted: Callable[[], bool]) -> None:
        """Start everything, and return when all of it is healthy, or when it is not wanted any more.

        Raises:
            StackError: A service ends, or does not become healthy in time.
        """
        for name in self.services:
            _set_aside(self._log(name))
        while is_wanted() and not self._are_healthy(self.services):
            for name, service in self.services.items():
                if name not in self._running and self._are_healthy(service.needs):
                    self._begin(name)
            for name, running in self._running.items():
                if not running.is_healthy:
                    self._look_after(name, running)
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Notice what has ended since the last look, and start it again after a while."""
        now = time.monotonic()
        for name, running in list(self._running.items()):
            ended = running.process.poll()
            if ended is not None and running.again_at is None:
                running.again_at = now + running.pause
                self.tell(f"{name} ended by itself ({_how(ended)}); it is started again, its log is {self._log(name)}")
                end(running.started)  # what it has left behind
            elif running.again_at is not None and now >= running.again_at:
                was_steady = running.again_at - running.since > STEADY_SECONDS
                pause = FIRST_PAUSE_SECONDS if was_steady else min(2 * running.pause, LONGEST_PAUSE_SECONDS)
                self._begin(name)
                self._running[name].pause = pause

    def stop(self) -> None:
        """Stop everything: those first that others do not need."""
        for running in reversed(self._running.values()):
            if running.check is not None:
                running.check.kill()
                running.check.wait()
            end(running.started)
            running.process.wait()
        self._running.clear()
        self.processes_file.unlink(missing_ok=True)

    def _are_healthy(self, names: Sequence[str] | Mapping[str, Service]) -> bool:
        return all(name in self._running and self._running[name].is_healthy for name in names)

    def _begin(self, name: str) -> None:
        service = self.services[name]
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - what compose.yaml says
                ["/bin/sh", "-c", WHEN_TOLD, "sh", *service.command],
                env=variables_of(service, self.environment),
                cwd=self.folder if self.users.get(name) is None else "/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.users.get(name),
                start_new_session=True,
            )
        leader = begun(process.pid)
        if leader is None or process.stdin is None:
            raise StackError(f"{name} ended before it was started")
        started = Started(name, leader, service.stop_signal, service.stop_seconds)
        self._running[name] = _Running(process, started, time.monotonic())
        write_down(self.processes_file, [one.started for one in self._running.values()])
        process.stdin.write(b"go\n")
        process.stdin.close()

    def _look_after(self, name: str, running: _Running) -> None:
        """Begin a check of a service, or see what has become of it."""
        ended = running.process.poll()
        if ended is not None:
            raise StackError(
                f"{name} ended while it was started ({_how(ended)}); its log ends with:\n{self._tail(name)}"
            )
        if time.monotonic() - running.since > START_SECONDS:
            raise StackError(
                f"{name} is not healthy after {START_SECONDS:.0f} s; its log ends with:\n{self._tail(name)}"
            )
        if running.check is None:
            if time.monotonic() >= running.next_check:
                running.check = self._check(self.services[name])
                running.next_check = time.monotonic() + CHECK_SECONDS
            return
        code = running.check.poll()
        if code is None and time.monotonic() > running.next_check:
            running.check.kill()
            code = running.check.wait()
        if code is None:
            return
        running.check, running.next_check = None, time.monotonic() + BETWEEN_CHECKS_SECONDS
        if code == 0:
            self.once_healthy.get(name, lambda: None)()
            running.is_healthy = True
            self.tell(f"{name} is healthy after {time.monotonic() - running.since:.1f} s")

    def _check(self, service: Service) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - what compose.yaml says
            service.check,
            env=variables_of(service, self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _tail(self, name: str) -> str:
        log = self._log(name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES:])


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What services get of the variables that we were started with: none that would contradict compose.yaml."""
    ours = ("RECSYS_", "DAGSTER_", "MLFLOW_", "PG")
    kept = {name: value for name, value in environment.items() if not name.startswith(ours)}
    programs = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}", "PYTHONUNBUFFERED": "1"}


def variables_of(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    """The variables that a service gets: its own, on top of those that all get.

    Args:
        service: The service.
        given: Of `inherited`. A secret that is in it, such as a key of the shop's own bucket, is not read from a file.
    """
    own = {
        name: value
        for name, value in service.environment.items()
        if not (name.endswith("_FILE") and name.removesuffix("_FILE") in given)
    }
    return {**given, **own}


def _set_aside(log: Path) -> None:
    """Keep the log of the run before, and only that one."""
    log.parent.mkdir(mode=0o700, exist_ok=True)
    if log.exists():
        shutil.move(log, log.with_suffix(".1.log"))


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
