"""`recsys experiment` on a stored lake: the arms, who is in them, and what is certain."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from recsys_assets.cli import main
from recsys_assets.columns import USER_OUTCOMES
from recsys_assets.platform import BUNDLED_CONFIG
from resources.lake import DeltaLake

FIRST = date(2026, 2, 2)
Told = Callable[..., tuple[int, str]]


def outcomes(sizes: dict[str, int]) -> pl.DataFrame:
    """Ten impressions of each user; the second arm clicks more."""
    rng = np.random.default_rng(0)
    parts = []
    for place, (arm, size) in enumerate(sizes.items()):
        clicks = rng.binomial(10, 0.05 + 0.03 * place, size)
        frame = pl.DataFrame({"user_id": [f"{arm}{user}" for user in range(size)], "clicks": clicks}).with_columns(
            ds=pl.lit(FIRST), family=pl.lit("final"), arm=pl.lit(arm), impressions=pl.lit(10), version=None
        )
        zeros = [name for name in USER_OUTCOMES.schema.names() if name not in frame.columns]
        full = frame.with_columns(pl.lit(0).alias(name) for name in zeros)
        parts.append(full.select(USER_OUTCOMES.schema.names()).cast(USER_OUTCOMES.schema))
    return pl.concat(parts)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """Writes experiments and outcomes, runs `recsys experiment`, and gives its exit code and what it printed."""
    for name in ("REDIS_URL", "LAKE", "LANDING", "ENGINE"):
        monkeypatch.delenv(f"RECSYS_{name}", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECSYS_CONFIG", str(tmp_path / "recsys.yaml"))

    def run(name: str, arms: dict[str, Any], sizes: dict[str, int] | None = None) -> tuple[int, str]:
        written = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8"))
        written["experiments"] = {"blend": {"first_day": FIRST, "arms": arms}}
        (tmp_path / "recsys.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        if sizes:
            DeltaLake(root=str(tmp_path / "home" / "lake")).replace(USER_OUTCOMES, outcomes(sizes), (FIRST, FIRST))
        monkeypatch.setattr("sys.argv", ["recsys", "experiment", name])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capfd.readouterr()
        return int(ending.value.code or 0), " ".join((out + err).split())

    return run


HALVES = {"control": {"share": 0.5}, "wide": {"share": 0.5, "family": "als"}}


def test_the_arms_are_shown_with_what_is_certain_however_often_one_looks(experiment: Told) -> None:
    code, said = experiment("blend", HALVES, {"control": 2_000, "wide": 2_000})
    assert code == 0
    assert "the control is control" in said
    assert "certainly higher" in said
    assert "too few users to say" in said
    assert "The arms hold the users that they should" in said


def test_a_sample_ratio_mismatch_is_said_before_any_difference(experiment: Told) -> None:
    code, said = experiment("blend", HALVES, {"control": 2_000, "wide": 1_600})
    assert code == 0
    assert "Sample ratio mismatch" in said
    assert said.index("Sample ratio mismatch") < said.index("Against control")


def test_an_experiment_that_is_none_is_one_message_with_what_was_meant(experiment: Told) -> None:
    code, said = experiment("blnd", HALVES)
    assert code == 1
    assert "'blnd' is no experiment in recsys.yaml; one of blend, did you mean 'blend'?" in said


def test_arms_that_add_up_to_110_percent_are_one_message(experiment: Told) -> None:
    code, said = experiment("blend", {"control": {"share": 0.6}, "wide": {"share": 0.5}})
    assert code == 1
    assert "must add up to 100 %, not 110 %: control 0.6, wide 0.5" in said


def test_an_experiment_without_users_says_so_and_what_it_cannot_serve(experiment: Told) -> None:
    arms = {"control": {"share": 0.5}, "old": {"share": 0.5, "versions": {"als": 3}}}
    code, said = experiment("blend", arms)
    assert code == 0
    assert "Nobody has been shown a list of blend yet" in said
    assert "arm old: version 3 of als does not exist" in said
