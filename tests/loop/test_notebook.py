"""The README's lines for a notebook, run as they are printed on an installation that `recsys run` has filled."""

import contextlib
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import USER_PROFILE

README = Path(__file__).resolve().parents[2] / "README.md"


def test_five_lines_make_a_training_frame(
    finished: Installation, environment_in: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment_in(finished.settings.home).items():
        monkeypatch.setenv(variable, value)
    stored = finished.lake.days(USER_PROFILE.name)[-1]
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = (block for block in blocks if "FeatureStore.from_env()" in block)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pl.Config(tbl_width_chars=400):
        exec(lines.replace("2026-03-10", str(stored + timedelta(days=1))), {})  # noqa: S102 - our own README
    shown = printed.getvalue()
    assert "user_profile.segment" in shown
    assert "item_profile.buyers" in shown
    assert "U000001" in shown
    assert "null" not in shown
