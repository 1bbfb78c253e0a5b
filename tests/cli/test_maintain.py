"""`recsys maintain` on a small lake: what it prints, and what it refuses."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from recsys_assets.cli import main
from recsys_assets.columns import ELIGIBLE_ITEMS
from recsys_assets.platform import Platform
from resources.lake import DeltaLake

NEWEST = date(2026, 6, 30)


@pytest.fixture
def home(tiny_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose lake holds a day of a view that is past its days, and one that is not."""
    lake = DeltaLake(root=str(tmp_path / "lake"))
    for day in (NEWEST - timedelta(days=200), NEWEST):
        row = (day, "a", None, None, False)
        lake.replace(ELIGIBLE_ITEMS, pl.DataFrame([row], schema=ELIGIBLE_ITEMS.schema, orient="row"), (day, day))
    for name in ("REDIS_URL", "LAKE", "LANDING", "ENGINE"):
        monkeypatch.delenv(f"RECSYS_{name}", raising=False)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    monkeypatch.setenv("RECSYS_CONFIG", str(tmp_path / "recsys.yaml"))
    configure(tmp_path, tiny_platform)
    return tmp_path


def configure(home: Path, platform: Platform, **keep_days: int) -> None:
    content = platform.model_dump(mode="json", by_alias=True, exclude_none=True) | {"keep_days": keep_days}
    (home / "recsys.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def maintain(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code, and everything that was printed, with single blanks."""
    monkeypatch.setattr("sys.argv", ["recsys", "maintain"])
    with pytest.raises(SystemExit) as ending:
        main()
    return int(ending.value.code or 0), " ".join("".join(capfd.readouterr()).split())


def test_it_says_what_it_dropped_and_then_that_nothing_is_left_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, said = maintain(monkeypatch, capfd)
    assert code == 0
    assert "days dropped" in said
    assert "features/eligible_items" in said
    assert DeltaLake(root=str(home / "lake")).days(ELIGIBLE_ITEMS.name) == [NEWEST]
    assert "Nothing was to be done." in maintain(monkeypatch, capfd)[1]


def test_too_few_days_are_refused_with_who_needs_more(
    home: Path, tiny_platform: Platform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(home, tiny_platform, features=5)
    code, said = maintain(monkeypatch, capfd)
    assert code == 1
    assert "error: keep_days.features: is 5, and " in said
    assert len(DeltaLake(root=str(home / "lake")).days(ELIGIBLE_ITEMS.name)) == 2
