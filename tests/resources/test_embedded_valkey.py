"""The embedded server: one per folder, found again, and its data outlive it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from resources import embedded_valkey
from resources.online_store import OnlineStore, OnlineStoreError

START_AND_SAY_WHO = """
import sys, redis
from pathlib import Path
from resources.embedded_valkey import ensure_running
print(redis.Redis(unix_socket_path=str(ensure_running(Path(sys.argv[1])))).info("server")["process_id"])
"""


def connect(folder: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(embedded_valkey.ensure_running(folder)))


def process_of(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])


def start_elsewhere(folder: Path) -> subprocess.Popen[bytes]:
    """Start the server from a process of its own, which then ends."""
    return subprocess.Popen([sys.executable, "-c", START_AND_SAY_WHO, str(folder)], stdout=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "valkey"
    embedded_valkey.stop(tmp_path / "valkey")


def stop_politely(folder: Path) -> None:
    assert embedded_valkey.stop(folder)


def kill(folder: Path) -> None:
    process = process_of(connect(folder))
    os.kill(process, signal.SIGKILL)
    while Path(f"/proc/{process}/exe").exists():
        time.sleep(0.01)


def test_it_starts_by_itself_in_a_folder_that_does_not_exist_yet(folder: Path) -> None:
    assert connect(folder).ping()
    assert folder.is_dir()


def test_it_is_found_again_and_not_started_twice(folder: Path) -> None:
    assert process_of(connect(folder)) == process_of(connect(folder))


def test_it_outlives_the_command_that_started_it(folder: Path) -> None:
    with start_elsewhere(folder) as command:
        output, _ = command.communicate()
    assert process_of(connect(folder)) == int(output)


def test_a_folder_under_another_name_is_the_same_server(folder: Path, tmp_path: Path) -> None:
    client = connect(folder)
    (tmp_path / "link").symlink_to(folder)
    assert process_of(connect(tmp_path / "link")) == process_of(client)


@pytest.mark.parametrize("end", [stop_politely, kill])
def test_data_outlive_the_server(folder: Path, end: Callable[[Path], None]) -> None:
    client = connect(folder)
    first = process_of(client)
    client.set("key", "value")
    end(folder)
    again = connect(folder)
    assert process_of(again) != first
    assert again.get("key") == b"value"


def test_stopping_and_starting_in_a_row_never_fails(folder: Path) -> None:
    for number in range(10):
        assert connect(folder).incr("starts") == number + 1
        assert embedded_valkey.stop(folder)


def test_there_is_nothing_to_stop_where_nothing_runs(folder: Path) -> None:
    assert not embedded_valkey.stop(folder)
    connect(folder)
    assert embedded_valkey.stop(folder)
    assert not embedded_valkey.stop(folder)


def test_commands_that_start_it_at_the_same_moment_get_one_server(folder: Path) -> None:
    commands = [start_elsewhere(folder) for _ in range(3)]
    processes = {int(command.communicate()[0]) for command in commands}
    assert processes == {process_of(connect(folder))}


def test_two_folders_are_two_servers(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        connect(folder).set("key", "value")
        assert connect(other).get("key") is None
    finally:
        embedded_valkey.stop(other)


def test_a_folder_with_a_very_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name and blanks"] * 20)
    try:
        assert connect(deep).ping()
    finally:
        assert embedded_valkey.stop(deep)


def test_a_server_that_cannot_start_says_what_its_log_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_valkey, "START_SECONDS", 0.5)
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(OnlineStoreError, match=r"its log says.*Invalid AOF manifest.*unset RECSYS_REDIS_URL"):
        OnlineStore(folder=str(folder)).connect()
