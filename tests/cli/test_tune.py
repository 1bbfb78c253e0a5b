"""`recsys tune`: what is printed can be pasted, and means what was measured."""

import os
import re
import signal
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from recsys_assets.cli.app import EXPECTED_ERRORS, app
from recsys_assets.columns import EVENTS, INTERACTION_DAYS, INTERACTIONS, ITEMS
from recsys_assets.configuration import ConfigurationError
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import TooLittleHistoryError
from recsys_assets.features.views import VIEWS
from recsys_assets.models.catalogue import configured_families
from recsys_assets.platform import Platform, load_platform
from recsys_assets.slot_window import days_between
from recsys_assets.validation.tuning import Objective
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

FIRST, LAST = date(2026, 1, 1), date(2026, 2, 12)
TITLES = [f"{half}{number}" for half in "ab" for number in range(10)]
Tune = Callable[..., Result]


def events() -> pl.DataFrame:
    """Thirty users buy one title of their half every fourth day, some in an order and some at random."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(30):
        for step, day in enumerate(days_between(FIRST, LAST)[user % 4 :: 4]):
            number = rng.integers(10) if user % 3 else (user + step) % 10
            item = f"{'ab'[user % 2]}{number}"
            at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
            rows.append((day, f"user {user:02}", item, "purchase", at, 1, 10.0))
    return pl.DataFrame(rows, schema=EVENTS.schema, orient="row")


@pytest.fixture(scope="module")
def home(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake holds six weeks of purchases."""
    folder = tmp_path_factory.mktemp("home")
    store = FeatureStore(tiny_platform, DeltaLake(root=str(folder / "lake")), PolarsEngine())
    store.lake.replace(EVENTS, events(), (FIRST, LAST))
    catalogue = pl.DataFrame(
        [{**dict.fromkeys(ITEMS.schema), "ds": FIRST, "item_id": one} for one in TITLES], ITEMS.schema
    )
    store.lake.replace(ITEMS, catalogue, (FIRST, FIRST))
    store.lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], FIRST, LAST), (FIRST, LAST))
    calendar = pl.DataFrame({"ds": days_between(FIRST, LAST), "landing_fingerprint": ""}).with_columns(
        content=pl.lit("")
    )
    store.lake.replace(INTERACTION_DAYS, calendar, (FIRST, LAST))
    return folder


@pytest.fixture
def config(tiny_platform: Platform, tmp_path: Path) -> Path:
    """A configuration with popularity alone, as a replay of these days."""
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True) | {"last_day": str(LAST)}
    content["families"]["popularity"] = {"window_days": 30, "weight": 0, "gate": {"min_holdout_users": 5}}
    file = tmp_path / "recsys.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.fixture
def tune(home: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """Runs the command; what it refuses comes back as the result's exception."""
    monkeypatch.setenv("RECSYS_HOME", str(home))
    monkeypatch.setenv("RECSYS_CONFIG", str(config))

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["tune", *arguments])
        assert result.exception is None or isinstance(result.exception, (SystemExit, *EXPECTED_ERRORS)), (
            result.exception
        )
        return result

    return run


def block(result: Result) -> dict[str, Any]:
    """The YAML that was printed."""
    families: dict[str, Any] = yaml.safe_load("families:" + result.stdout.split("\nfamilies:")[1])["families"]
    return families


def figures(result: Result) -> list[str]:
    """NDCG at 10 as configured, and of the best trial."""
    (line,) = (line for line in result.stdout.splitlines() if line.strip().startswith("NDCG@10"))
    return re.findall(r"([\d.]+) \(", line)


def pasted(config: Path, families: dict[str, Any]) -> Platform:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["families"] |= families
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_platform(config)


@pytest.mark.parametrize("name", ["popularity", "item_item"])
def test_what_is_printed_can_be_pasted_and_then_gives_what_was_measured(name: str, tune: Tune, config: Path) -> None:
    result = tune(name, "--trials", "8")
    assert result.exit_code == 0
    platform = pasted(config, block(result))
    assert name in configured_families(platform)
    now, best = figures(result)
    assert float(best) > float(now) > 0
    again = tune(name, "--trials", "1")
    assert figures(again) == [best, best]
    assert "Nothing that was tried is better" in again.stdout


def test_what_is_not_tuned_stays_in_the_block(tune: Tune) -> None:
    printed = block(tune("popularity", "--trials", "3"))["popularity"]
    assert (printed["weight"], printed["gate"]) == (0, {"min_holdout_users": 5})
    assert printed["window_days"] in (7, 14, 30)


def test_the_newest_slot_is_taken_its_holdout_is_not_and_the_output_says_so(tune: Tune) -> None:
    shown = tune("popularity", "--trials", "1").stdout
    assert "for slot 2026-02-13: fitted on days until 2026-01-29" in shown
    assert (
        "users of 2026-01-30 to 2026-02-05; the holdout of the slot begins on 2026-02-06 and is not looked at" in shown
    )
    older = tune("popularity", "--trials", "1", "--slot", "2026-02-06").stdout
    assert "users of 2026-01-23 to 2026-01-29; the holdout of the slot begins on 2026-01-30" in older


def test_each_trial_is_told_with_the_best_so_far_where_there_is_no_terminal(tune: Tune) -> None:
    lines = tune("popularity", "--trials", "3").stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"trial {number} of 3" for number in (1, 2, 3)]
    best = [float(line.split("best NDCG@10 ")[1]) for line in lines]
    assert best == sorted(best)


def test_an_interrupted_search_tells_the_best_that_it_has(tune: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, seen = Objective.__call__, []

    def interrupted(objective: Objective, settings: Any) -> Any:
        seen.append(settings)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)  # what Ctrl-C does
        return fit(objective, settings)

    monkeypatch.setattr(Objective, "__call__", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        result = tune("popularity", "--trials", "50")
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 0
    assert "interrupted after 2 of 50 trials" in result.stderr
    assert "popularity" in block(result)


def test_a_search_without_any_model_says_why_and_fails(tune: Tune, config: Path) -> None:
    pasted(config, {"ease": {"parameters": {"max_items": 1}}})
    result = tune("ease", "--trials", "3")
    assert result.exit_code == 1
    assert "trials gave no model: ease: the training set has" in result.stdout
    assert "there is nothing to paste" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["word_of_mouth"], ConfigurationError, "there is no recsys_assets/models/word_of_mouth.py"),
        (
            ["als", "--slot", "2026-02-10"],
            ConfigurationError,
            "no training slot; near it are 2026-02-09, 2026-02-11, 2026-02-13",
        ),
    ],
)
def test_a_wrong_family_or_slot_is_refused_with_those_that_are_there(
    arguments: list[str], error: type[Exception], message: str, tune: Tune
) -> None:
    result = tune(*arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_without_any_day_it_says_what_to_do_first(tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "new"))
    result = tune("als")
    assert isinstance(result.exception, TooLittleHistoryError)
    assert "run `recsys run` first" in str(result.exception)
