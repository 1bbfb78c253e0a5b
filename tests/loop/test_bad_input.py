"""Bad input of every kind: one message that names what was wrong and what would be right, and nothing is changed."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_assets.cli import main
from recsys_assets.platform import BUNDLED_CONFIG
from resources import embedded_valkey

HEADER = "user,book,action,at,pieces,price\n"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `recsys` on a home of its own, and gives its exit code and everything that it printed."""
    landing = tmp_path / "landing"
    (landing / "events").mkdir(parents=True)
    for name, value in {"HOME": tmp_path / "home", "LANDING": landing}.items():
        monkeypatch.setenv(f"RECSYS_{name}", str(value))
    for name in ("RECSYS_CONFIG", "RECSYS_REDIS_URL", "RECSYS_LAKE", "RECSYS_ENGINE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def recsys(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["recsys", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capfd.readouterr()
        return int(ending.value.code or 0), " ".join((out + err).split())

    yield recsys
    embedded_valkey.stop(tmp_path / "home" / "valkey")


def land(tmp_path: Path, content: bytes, day: str = "2026-01-05") -> None:
    (tmp_path / "landing" / "events" / f"{day}.csv.gz").write_bytes(content)


def lake_of(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "home").glob("lake/**/*.json"))


WHOLE = gzip.compress((HEADER + "U1,B1,view,2026-01-05T10:00:00,1,2.5\n" * 500).encode())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (WHOLE[: len(WHOLE) // 2], "gzip"),
        (gzip.compress(b"user,action,at\nU1,view,2026-01-05T10:00:00\n"), "book"),
        (b"\x00\x01\x02 not a gzip", "gzip"),
        (gzip.compress(b""), "header"),
    ],
    ids=["broken gzip", "wrong header", "no gzip at all", "empty"],
)
def test_an_unreadable_file_is_named_and_leaves_the_lake_empty(
    run: Run, tmp_path: Path, content: bytes, told: str
) -> None:
    land(tmp_path, gzip.compress((HEADER + "U1,B1,view,2026-01-06T10:00:00,1,2.5\n").encode()), "2026-01-06")
    land(tmp_path, content)
    code, words = run("run", "--to", "2026-01-06")
    assert code == 1
    assert "events/2026-01-05.csv.gz" in words
    assert told in words
    assert lake_of(tmp_path) == []


def test_an_unreachable_online_store_stops_the_run_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, WHOLE)
    monkeypatch.setenv("RECSYS_REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    code, words = run("run")
    assert code == 1
    assert "RECSYS_REDIS_URL" in words
    assert "secret" not in words
    assert lake_of(tmp_path) == []


def test_an_unreachable_mlflow_stops_the_run_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, WHOLE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    code, words = run("run")
    assert code == 1
    assert "MLFLOW_TRACKING_URI" in words
    assert lake_of(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("time_zone:", "tme_zone:"), "tme_zone: unknown key, did you mean 'time_zone'?"),
        (("window_days: 30", "window_days: soon"), "families.popularity.window_days"),
        (("last_day: 2026-03-15", "last_day: 2025-01-01"), "first_day 2026-01-05 is after last_day 2025-01-01"),
        (("factors: 32", "factors: many"), "families.als.parameters"),
        (("  als:", "  als_2000:"), "families.als_2000"),
    ],
)
def test_a_wrong_configuration_names_the_key(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], told: str
) -> None:
    config = tmp_path / "recsys.yaml"
    config.write_text(BUNDLED_CONFIG.read_text().replace(*change))
    monkeypatch.setenv("RECSYS_CONFIG", str(config))
    land(tmp_path, WHOLE)
    for command in ("run", "doctor"):
        code, words = run(command)
        assert code == 1
        assert told in words
    assert not (tmp_path / "home" / "lake").exists()


def test_a_missing_landing_is_no_empty_landing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LANDING", "/nowhere/at/all")
    code, words = run("run")
    assert code == 1
    assert "/nowhere/at/all: no such folder; set RECSYS_LANDING" in words


def test_days_in_the_wrong_order_are_refused(run: Run) -> None:
    assert run("run", "--from", "2026-02-02", "--to", "2026-02-01")[0] == 1
    assert "lies outside the configured days" in run("run", "--to", "2031-01-01")[1]


def test_the_doctor_finds_a_broken_file_beforehand_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    land(tmp_path, WHOLE)
    assert "events 1 accepted, 499 rejected" in run("doctor")[1]
    land(tmp_path, WHOLE[:100], "2026-01-06")
    code, words = run("doctor")
    assert code == 1
    assert "problem landing: events/2026-01-06.csv.gz" in words
    assert lake_of(tmp_path) == []


def test_a_draft_loads_and_previews_a_day(run: Run, tmp_path: Path) -> None:
    land(tmp_path, gzip.compress((HEADER + "U1,B1,view,2026-01-05T10:00:00,1,2.5\n,B2,view,bad,1,1\n").encode()))
    target = tmp_path / "drafted.yaml"
    code, words = run("init", str(tmp_path / "landing"), "--output", str(target))
    assert code == 0
    assert "2 parsed, 1 accepted, 1 rejected" in words
    assert "missing_user_id" in words
    assert run("init", str(tmp_path / "landing"), "--output", str(target))[0] != 0
