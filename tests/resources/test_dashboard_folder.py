"""The folder of pages: each is written whole, and the newest is always at hand."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from resources import dashboard_folder
from resources.dashboard_folder import LATEST, DashboardFolder

DAY = date(2026, 3, 14)


def folder_in(path: Path) -> DashboardFolder:
    return DashboardFolder(folder=str(path / "dashboard"))


def test_a_page_lies_under_its_day_and_the_newest_is_the_latest(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    assert folder.write(DAY, "today ü") == tmp_path / "dashboard" / "2026-03-14.html"
    folder.write(DAY - timedelta(days=1), "written again later")
    assert folder.days() == [DAY - timedelta(days=1), DAY]
    assert (folder.read(), folder.read(DAY)) == ("today ü", "today ü")
    folder.write(DAY + timedelta(days=1), "tomorrow")
    assert folder.read() == "tomorrow"


def test_where_nothing_was_written_there_is_nothing(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    assert (folder.days(), folder.read(), folder.read(DAY)) == ([], None, None)
    assert list(tmp_path.iterdir()) == []


def test_whoever_is_killed_while_writing_leaves_the_old_page_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_in(tmp_path)
    folder.write(DAY, "old")

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dashboard_folder.os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.write(DAY, "new")
    assert (folder.read(), folder.read(DAY)) == ("old", "old")
    assert sorted(path.name for path in (tmp_path / "dashboard").iterdir()) == ["2026-03-14.html", LATEST]


def test_a_latest_page_that_was_not_written_any_more_is_mended_by_the_same_call(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.write(DAY - timedelta(days=1), "old")
    (tmp_path / "dashboard" / f"{DAY}.html").write_text("new")  # and then it was killed
    folder.write(DAY, "new")
    assert folder.read() == "new"


def test_everybody_may_read_a_page_and_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    path = folder.write(DAY, "page")
    (path.parent / "notes.html").write_text("mine")
    folder.write(DAY, "page")
    assert path.stat().st_mode & 0o777 == 0o644
    assert (path.parent / "notes.html").exists()


def test_the_oldest_pages_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_folder, "MOST_PAGES", 3)
    folder = folder_in(tmp_path)
    for back in range(5, -1, -1):
        folder.write(DAY - timedelta(days=back), "page")
    assert folder.days() == [DAY - timedelta(days=back) for back in (2, 1, 0)]
