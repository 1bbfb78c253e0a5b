"""Killed at any moment, the same command goes on to the same result."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS, INGESTED_FILES, INTERACTIONS, REJECTED_ROWS
from recsys_assets.serving.generations import current
from resources import embedded_valkey

PATIENCE_SECONDS = 180.0


@pytest.fixture
def environment(tmp_path: Path, environment_in: Callable[[Path], dict[str, str]]) -> Iterator[dict[str, str]]:
    """The environment of a new home on the landing of the finished installation."""
    yield {**os.environ, **environment_in(tmp_path / "home")}
    embedded_valkey.stop(tmp_path / "home" / "valkey")


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from recsys_assets.cli import main; main()", "run"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_when(environment: dict[str, str], is_time: Callable[[], bool]) -> None:
    """Run the command and kill it without warning as soon as something can be seen of it."""
    with start(environment) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_time() and process.poll() is None:
            assert time.monotonic() < deadline, "the moment to kill never came"
            os.sched_yield()
        process.send_signal(signal.SIGKILL)


def commits(home: Path, table: str) -> int:
    return len(list((home / "lake" / table / "_delta_log").glob("*.json")))


def contents(installation: Installation, *tables: Any) -> list[pl.DataFrame]:
    """What the tables hold, without the numbers of versions, which count the attempts too."""
    frames = (installation.lake.scan(table).drop("version", "versions", strict=False).collect() for table in tables)
    return [frame.sort(pl.all().exclude(pl.List)) for frame in frames]


@pytest.mark.timeout(900)
def test_a_command_killed_again_and_again_ends_where_an_undisturbed_one_ends(
    environment: dict[str, str], tmp_path: Path, finished: Installation
) -> None:
    home = tmp_path / "home"
    for table in ("sources/events", "features/interactions", "validation/verdicts", "recommendations/final"):
        kill_when(environment, lambda table=table: commits(home, table) > 0)
    with start(environment) as last:
        _, words = last.communicate(timeout=PATIENCE_SECONDS)
    assert last.returncode == 0, words.decode()
    installation = Installation(type(finished.settings).from_env(environment), finished.platform)
    tables = (INGESTED_FILES, REJECTED_ROWS, INTERACTIONS, FINAL_RECOMMENDATIONS)
    for ours, undisturbed in zip(contents(installation, *tables), contents(finished, *tables), strict=True):
        assert ours.equals(undisturbed)
    client = installation.online_store.connect()
    generation = current(client)
    client.close()
    assert generation is not None
    assert generation.lists == installation.lake.scan(FINAL_RECOMMENDATIONS).select(pl.len()).collect().item()
    statuses = [one.status for one in installation.model_registry.versions("als")]
    assert statuses.count("PendingManualApproval") == 0
    installation.instance.dispose()
