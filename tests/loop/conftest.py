"""Installations on a small simulated store: the landing is simulated once, and the whole loop is driven once."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from recsys_assets.cli.driver import Finished, Limits, drive
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.progress import run_progress
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform
from recsys_assets.simulation import SimulatedStore, StoreParameters, simulate
from resources import embedded_valkey
from resources.settings import Settings

RunAll = Callable[..., list[Finished]]
FIRST_DAY, DAYS = "2026-01-05", 43
LAST_DAY = "2026-02-16"


def small_platform(**als: Any) -> Platform:
    """The bundled e-book store on fewer days; the gate of ALS as given."""
    content = load_platform(BUNDLED_CONFIG).model_dump(mode="json", by_alias=True, exclude_none=True)
    content |= {"first_day": FIRST_DAY, "last_day": LAST_DAY}
    content["training"] |= {"min_history_days": 28}
    content["families"]["als"]["parameters"] = {"factors": 16, "regularization": 0.05, "alpha": 4.0}
    content["families"]["als"]["gate"] = {"min_ndcg_at_10": 0.01, "min_holdout_users": 20, **als}
    content["families"]["popularity"]["gate"] = {"min_holdout_users": 20}
    return Platform.model_validate(content)


@pytest.fixture(scope="session")
def run_all() -> RunAll:
    """What `recsys run` does, without its words and without the page that follows every change."""

    def run(installation: Installation, limits: Limits | None = None) -> list[Finished]:
        with run_progress() as progress:
            runs = list(drive(installation, limits or Limits(), progress, lambda: None))
        return [one for one in runs if one.start.job != "dashboard" or one.errors]

    return run


@pytest.fixture
def environment_in(tmp_path: Path, finished: Installation) -> Callable[[Path], dict[str, str]]:
    """The variables of an installation in some home, with landing and configuration of the finished one."""

    def variables(home: Path) -> dict[str, str]:
        config = tmp_path / "recsys.yaml"
        content = finished.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        landing = finished.settings.landing
        return {"RECSYS_HOME": str(home), "RECSYS_LANDING": landing, "RECSYS_CONFIG": str(config)}

    return variables


@pytest.fixture(scope="session")
def refused(
    tmp_path_factory: pytest.TempPathFactory, simulated: tuple[Path, SimulatedStore], run_all: RunAll
) -> Iterator[tuple[Installation, list[Finished]]]:
    """An installation whose gate asks more of ALS than it can reach, and what its runs came to."""
    installation = installation_in(tmp_path_factory.mktemp("refused"), simulated[0], small_platform(min_ndcg_at_10=0.9))
    yield installation, run_all(installation)
    close(installation)


@pytest.fixture(scope="session")
def with_gate() -> Callable[..., Installation]:
    """The same installation with another gate of ALS."""
    return lambda installation, **als: Installation(installation.settings, small_platform(**als))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulatedStore]:
    """A landing of 43 days, and what the simulation says of it."""
    platform = small_platform()
    landing = tmp_path_factory.mktemp("landing")
    parameters = StoreParameters(
        first_day=platform.first_day, days=DAYS, users=250, items=250, time_zone=platform.time_zone, bots=2
    )
    return landing, simulate(parameters, landing)


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, simulated: tuple[Path, SimulatedStore], run_all: RunAll
) -> Iterator[Installation]:
    """An installation that has done everything that is due. Tests read it and leave it as it is."""
    home = tmp_path_factory.mktemp("home")
    installation = installation_in(home, simulated[0], small_platform())
    runs = run_all(installation)
    assert [one.errors for one in runs] == [()] * 3
    yield installation
    close(installation)


@pytest.fixture
def copied(tmp_path: Path, finished: Installation) -> Iterator[Installation]:
    """A copy of the finished installation, with a landing of its own, to change and to break."""
    embedded_valkey.stop(finished.settings.home / "valkey")  # so that its files are whole
    shutil.copytree(finished.settings.home, tmp_path / "home", ignore=shutil.ignore_patterns("lock", "*.sock"))
    shutil.copytree(finished.settings.landing, tmp_path / "landing", copy_function=shutil.copy2)
    installation = installation_in(tmp_path / "home", tmp_path / "landing", finished.platform)
    yield installation
    close(installation)


def installation_in(home: Path, landing: Path, platform: Platform) -> Installation:
    """An installation with everything embedded under `home`."""
    return Installation(Settings(home=home, lake=str(home / "lake"), landing=str(landing)), platform)


def close(installation: Installation) -> None:
    """Stop the embedded server and let go of Dagster's files."""
    embedded_valkey.stop(installation.settings.home / "valkey")
    installation.instance.dispose()
