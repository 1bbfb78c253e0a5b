"""`recsys generations`, `recsys generations use` and what `recsys doctor` says of the online store."""

import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import redis

from recsys_assets.cli import main
from recsys_assets.cli.doctor import _online_store
from recsys_assets.cli.installation import Installation
from recsys_assets.serving.generations import Generation, UserList, current, publish, publish_portions, read_list
from recsys_assets.serving.user_lists import portion_of
from resources import embedded_valkey

Told = Callable[..., tuple[int, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of an installation where nothing was done yet."""
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("RECSYS_REDIS_URL", "RECSYS_CONFIG", "RECSYS_LANDING", "RECSYS_LAKE"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    embedded_valkey.stop(tmp_path / "valkey")


@pytest.fixture
def store(home: Path) -> Iterator[redis.Redis]:
    """The embedded online store of that home."""
    with redis.Redis(unix_socket_path=str(embedded_valkey.ensure_running(home / "valkey"))) as client:
        yield client


@pytest.fixture
def told(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command: its exit code and what it says, on one line."""
    del home

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["recsys", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), " ".join((out + err).split())

    return run


def publish_day(store: redis.Redis, day: int) -> Generation:
    lists = [UserList("ann", [f"day{day}"])]
    return publish(store, date(2026, 1, day), {"als": "7", "popularity": "3"}, lists, ["hit"])


def test_before_the_first_publication_it_says_what_publishes(told: Told) -> None:
    assert told("generations") == (
        0,
        "Nothing has been published yet; `recsys run` publishes the newest day with approved models.",
    )


def test_it_lists_what_can_be_used_the_newest_first_and_marks_what_is_in_use(told: Told, store: redis.Redis) -> None:
    for day in (4, 5):
        publish_day(store, day)
    arms = {"plain": {"als": "7"}, "bold": {"als": "8"}}
    publish_portions(store, date(2026, 1, 6), arms, [portion_of([UserList("ann", ["x" * 120_000])], date.min)], [])
    code, text = told("generations")
    assert code == 0
    assert "20260104-1" not in text
    newest, former = text.index("20260106-3 yes 2026-01-06"), text.index("20260105-2 2026-01-05")
    assert newest < former
    assert "1 0.1 exact plain: als 7; bold: als 8" in text[newest:former]
    assert "1 0.0 exact als 7, popularity 3" in text[former:]


def test_use_goes_back_at_once_and_says_what_comes_next_and_forward_again(told: Told, store: redis.Redis) -> None:
    for day in (4, 5):
        publish_day(store, day)
    code, text = told("generations", "use", "20260104-1")
    assert code == 0
    assert text.startswith("20260104-1 is in use: lists that know the days up to 2026-01-04. 20260105-2 stays in the")
    found = read_list(store, "ann")
    assert found is not None
    assert found[1] == ["day4"]
    assert "20260104-1 yes" in told("generations")[1]
    assert told("generations", "use", "20260105-2") == (
        0,
        "20260105-2 is in use: lists that know the days up to 2026-01-05.",
    )


@pytest.mark.parametrize("name", ["20260103-1", "nonsense", "[bold]"])
def test_a_generation_that_is_not_there_is_one_message_that_names_those_that_are(
    told: Told, store: redis.Redis, name: str
) -> None:
    for day in (3, 4, 5):
        publish_day(store, day)
    in_use = current(store)
    refused = f"generation {name!r} is not in the online store (any more); 20260105-3, 20260104-2 can be used"
    assert told("generations", "use", name) == (1, f"error: {refused}, see `recsys generations`")
    assert current(store) == in_use


def test_doctor_warns_of_a_store_that_removes_lists_when_it_is_full(store: redis.Redis) -> None:
    publish_day(store, 4)
    installation = Installation.from_env()
    assert _online_store(installation) == "answers, generation 20260104-1 with 1 lists"
    store.config_set("maxmemory", 1_000_000_000)
    store.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ValueError, match="its maxmemory-policy is allkeys-lru: when full, it removes lists in use"):
        _online_store(installation)
    store.config_set("maxmemory-policy", "volatile-lru")
    assert _online_store(installation).startswith("answers")


def test_a_password_in_the_address_of_a_store_that_is_not_there_is_not_shown(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (
        "redis://u:s3cret@127.0.0.1:1",
        "redis://u:s3/cret@127.0.0.1:1",
        "redis://:s3cret@127.0.0.1:1?s3cret=1",
    ):
        monkeypatch.setenv("RECSYS_REDIS_URL", url)
        for command in (("generations",), ("generations", "use", "20260104-1"), ("recommend", "ann")):
            code, text = told(*command)
            assert code == 1
            assert "RECSYS_REDIS_URL" in text
            assert "s3" not in text
