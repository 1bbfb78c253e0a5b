"""`recsys rejected` on a lake that the asset wrote: what was set aside, why, and what to do next."""

import gzip
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.cli import main
from recsys_assets.cli.installation import Installation
from recsys_assets.ingestion.assets import build_assets
from recsys_assets.platform import BUNDLED_CONFIG, load_platform
from resources.settings import Settings

HEADER = "user,book,action,at,pieces,price\n"
GOOD = "U{},B1,view,2026-01-{:02}T10:00:00,1,2.5\n"
NASTY = ",[red]B2[/red]\x1b[2J,view,2026-01-05T10:00:00,1,2.5\n"
LONG = "U1,B1,view," + "z" * 5_000 + ",1,2.5\n"
DAYS = {
    5: GOOD.format(1, 5) * 31 + NASTY + LONG,
    6: GOOD.format(1, 6) + GOOD.format(2, 6),
    7: GOOD.format(1, 7) + GOOD.format(1, 7) + ",B1,view,2026-01-07T10:00:00,1,2.5\n",
}
RANGE = {"dagster/asset_partition_range_start": "2026-01-05", "dagster/asset_partition_range_end": "2026-01-08"}
Told = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake holds three ingested days."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "landing" / "events").mkdir(parents=True)
    for day, rows in DAYS.items():
        path = folder / "landing" / "events" / f"2026-01-{day:02}.csv.gz"
        path.write_bytes(gzip.compress((HEADER + rows).encode()))
    settings = Settings(home=folder, lake=str(folder / "lake"), landing=str(folder / "landing"))
    installation = Installation(settings, load_platform(BUNDLED_CONFIG))
    resources = {"lake": installation.lake, "landing": installation.landing, "engine": installation.engine}
    assets = build_assets(installation.platform)
    dg.materialize(assets, resources=resources, tags=RANGE, instance=installation.instance)
    installation.instance.dispose()
    return folder


@pytest.fixture
def rejected(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """Runs `recsys rejected`, and gives its exit code and everything that it printed, with single blanks."""
    for name in ("CONFIG", "REDIS_URL", "LAKE", "LANDING", "ENGINE"):
        monkeypatch.delenv(f"RECSYS_{name}", raising=False)
    monkeypatch.setenv("RECSYS_HOME", str(home))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["recsys", "rejected", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capfd.readouterr()
        return int(ending.value.code or 0), " ".join((out + err).split())

    return run


def test_a_day_is_summed_up_by_table_reason_and_file_and_says_what_to_do_next(rejected: Told) -> None:
    code, words = rejected("--day", "2026-01-05")
    assert code == 0
    assert "Rejected on 2026-01-05: 32 of 33 rows" in words
    assert "events duplicate 30 events/2026-01-05.csv.gz" in words
    assert "events missing_user_id 1 events/2026-01-05.csv.gz" in words
    assert "Correct the mapping in recsys.yaml, or deliver the file again; `recsys run` then ingests" in words


def test_the_sample_has_rows_of_every_reason_with_file_line_and_raw_text(rejected: Told) -> None:
    _, words = rejected("--day", "2026-01-05", "--limit", "3")
    assert "3 of them" in words
    assert "events/2026-01-05.csv.gz 3 duplicate U1,B1,view,2026-01-05T10:00:00,1,2.5" in words
    assert "events/2026-01-05.csv.gz 33 missing_user_id" in words
    assert "events/2026-01-05.csv.gz 34 bad_occurred_at" in words


def test_what_a_row_holds_is_neither_markup_nor_a_command_to_the_terminal(rejected: Told) -> None:
    _, words = rejected("--day", "2026-01-05", "--reason", "missing_user_id")
    assert "[red]B2[/red]\\x1b[2J" in words
    assert "\x1b" not in words


def test_a_long_row_is_shortened(rejected: Told) -> None:
    _, words = rejected("--day", "2026-01-05", "--reason", "bad_occurred_at")
    assert 100 < words.count("z") < 200
    assert "…" in words


def test_only_the_rows_asked_for_are_shown(rejected: Told) -> None:
    _, words = rejected("--day", "2026-01-07", "--table", "events", "--reason", "duplicate")
    assert "1 of 3 rows" in words
    assert "missing_user_id" not in words


def test_without_a_day_all_days_are_summed_up(rejected: Told) -> None:
    code, words = rejected()
    assert code == 0
    assert "table reason rows days newest day" in words
    assert "events duplicate 31 2 2026-01-07 " in words
    assert "events bad_occurred_at 1 1 2026-01-05 " in words
    assert "missing_user_id" not in rejected("--reason", "duplicate")[1]


def test_a_day_without_rejected_rows_says_so(rejected: Told) -> None:
    assert rejected("--day", "2026-01-06") == (0, "No rejected rows on 2026-01-06: 2 rows, all accepted.")
    assert rejected("--table", "users") == (0, "No rejected rows of users on any day.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--table", "sales"], "--table sales: no such table; one of events, items, users"),
        (["--reason", "ugly"], "no row was rejected for this; the reasons there: bad_occurred_at, duplicate, mis"),
        (["--day", "2026-01-07", "--reason", "bad_occurred_at"], "no row on 2026-01-07 was rejected for this"),
        (["--day", "2026-01-06", "--reason", "duplicate"], "no row was rejected there at all"),
        (["--day", "2025-01-01"], "--day 2025-01-01 lies outside the configured days, 2026-01-05 to 2026-03-15"),
        (["--day", "2026-01-08"], "--day 2026-01-08: no file was ingested for this day; `recsys run`"),
        (["--day", "2026-01-05", "--table", "users"], "no file of users was ingested for this day"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(rejected: Told, arguments: list[str], told: str) -> None:
    code, words = rejected(*arguments)
    assert code == 1
    assert told in words


def test_before_anything_was_ingested_the_command_says_what_does_it(
    rejected: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    assert rejected() == (1, "error: nothing has been ingested yet; `recsys run` does it")
    assert rejected("--day", "2026-01-05")[0] == 1
    assert not list(tmp_path.glob("lake/**/*"))
