"""`recsys approve`, `reject`, `rollback` on a home of their own; each test decides on a family of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._daemon.types import DaemonHeartbeat

from recsys_assets.cli import main
from recsys_assets.cli.installation import Installation
from recsys_assets.models.catalogue import find_family
from recsys_assets.models.family import Family
from recsys_assets.models.versions import RELEASE
from recsys_assets.platform import BUNDLED_CONFIG
from recsys_assets.registry.deciding import deciding
from recsys_assets.registry.promotions import read_decisions
from recsys_assets.registry.standing import read_standing
from recsys_assets.validation.gate import Verdict, required_checks
from recsys_assets.validation.verdicts import store_verdicts
from resources.model_registry import ModelVersion
from resources.settings import Settings

FAMILIES = ("als", "item_item", "graph_filter", "ease", "sequential")
FIRST_SLOT = date(2026, 1, 5)
Told = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a home where nothing was done yet, with all families, approved by hand."""
    home = tmp_path_factory.mktemp("home")
    content = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8"))
    content["families"] = {"popularity": {}, **{name: {"approval": "manual"} for name in FAMILIES}}
    config = home / "recsys.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    return {"RECSYS_HOME": str(home), "RECSYS_CONFIG": str(config)}


@pytest.fixture(scope="module")
def installation(environment: dict[str, str]) -> Installation:
    from recsys_assets.definitions import configured_platform

    settings = Settings.from_env(environment)
    return Installation(settings, configured_platform(settings))


@pytest.fixture
def trained(
    installation: Installation, tmp_path: Path, tiny_release: Callable[[Family, date, Path], None]
) -> Callable[..., ModelVersion]:
    """Registers a released version of a family, of the next slot, with its verdicts."""

    def made(family: str, *, passes: bool = True) -> ModelVersion:
        registry = installation.model_registry
        slot = FIRST_SLOT + timedelta(days=len(registry.versions(family)))
        candidate, release = tmp_path / f"candidate-{slot}", tmp_path / f"release-{slot}"
        candidate.mkdir()
        version = registry.register(family, slot, candidate, tags={}, params={})
        tiny_release(find_family(family), slot, release)
        registry.add_artifact(version, release, RELEASE)
        registry.set_status(version, "PendingManualApproval", "released, waits for approval")
        verdicts = [Verdict(check, 0.1, 0.05, passes, f"{check}: so it is") for check in required_checks(family)]
        store_verdicts(installation.lake, version, "recipe", "candidate", verdicts)
        return version

    return made


@pytest.fixture
def recsys(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """Runs a command, and gives its exit code and everything that it printed, with single blanks."""
    for name in ("REDIS_URL", "LAKE", "LANDING", "ENGINE"):
        monkeypatch.delenv(f"RECSYS_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["recsys", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capfd.readouterr()
        return int(ending.value.code or 0), " ".join((out + err).split())

    return run


def decisions(installation: Installation, family: str) -> list[tuple[str, int, int, str]]:
    """Oldest first: kind, version, version before, who."""
    found = [(one.kind, one.version, one.previous, one.by) for one in read_decisions(installation.instance, family)]
    return found[::-1]


def test_the_three_decisions_are_carried_out_and_told(
    installation: Installation, trained: Callable[..., Any], recsys: Told
) -> None:
    trained("als"), trained("als"), trained("als")
    code, words = recsys("approve", "als", "1", "--reason", "looks [bold]good", "--by", "ada")
    assert code == 0
    assert words.startswith(
        "als version 1 (slot 2026-01-05) is in production (promotion), by ada: looks [bold]good The"
    )
    assert words.endswith(
        "The lists follow with the next `recsys run`, or by themselves while `recsys dev` is running."
    )
    assert recsys("reject", "als", "3", "--reason", "covers are missing", "--by", "bob")[0] == 0
    assert recsys("approve", "als", "2", "--reason", "better", "--by", "ada")[0] == 0
    code, words = recsys("rollback", "als", "--reason", "sells less", "--by", "bob")
    assert code == 0
    assert "als version 1 (slot 2026-01-05) is in production after version 2 (rollback), by bob: sells less" in words
    assert decisions(installation, "als") == [
        ("promotion", 1, 0, "ada"),
        ("rejection", 3, 1, "bob"),
        ("promotion", 2, 1, "ada"),
        ("rollback", 1, 2, "bob"),
    ]
    runs = installation.instance.get_runs(dg.RunsFilter(job_name="decide"))
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 4

    assert recsys("approve", "als", "1", "--reason", "again") == (0, "als: version 1 is in use already")
    assert recsys("reject", "als", "3", "--reason", "again") == (
        0,
        "als: version 3 is rejected already: covers are missing",
    )
    code, words = recsys("reject", "als", "1", "--reason", "now")
    assert (code, words) == (1, "error: als: version 1 is in production; roll back instead")
    assert len(installation.instance.get_runs()) == 4  # what cannot be leaves no failed run


def test_who_decides_is_by_default_the_user_of_this_machine(
    installation: Installation, trained: Callable[..., Any], recsys: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained("popularity"), trained("popularity", passes=False)
    monkeypatch.setenv("LOGNAME", "grace")
    assert recsys("approve", "popularity", "1", "--reason", "first")[0] == 0
    assert decisions(installation, "popularity") == [("promotion", 1, 0, "grace")]
    code, words = recsys("approve", "popularity", "2", "--reason", "I like it")
    assert code == 1
    assert "error: popularity: version 2 must not be approved: " in words
    code, words = recsys("rollback", "popularity", "--reason", "no")
    assert code == 1
    assert "without the fallback nothing could be recommended" in words


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["approve", "foo", "1", "--reason", "x"],
            1,
            "there is no family 'foo' in recsys.yaml; the families are als, ease",
        ),
        (["approve", "ease", "7", "--reason", "x"], 1, "ease: version 7 does not exist; `recsys models` lists"),
        (["rollback", "ease", "--reason", "x"], 1, "ease: no version is in use, so there is nothing to roll back"),
        (["approve", "ease", "1"], 2, "Missing option '--reason'"),
        (["approve", "ease", "1", "--reason", " "], 2, "must say why"),
        (["reject", "ease", "0", "--reason", "x"], 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_is_one_clear_message(recsys: Told, arguments: list[str], code: int, told: str) -> None:
    ended, words = recsys(*arguments)
    assert ended == code
    assert told in words


def test_a_live_daemon_and_a_driving_command_keep_nobody_from_deciding(
    installation: Installation, trained: Callable[..., Any], recsys: Told
) -> None:
    trained("item_item")
    installation.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "1", errors=[]))
    with installation.driving():
        assert recsys("approve", "item_item", "1", "--reason", "ready")[0] == 0
    found = installation.model_registry.approved("item_item")
    assert found is not None
    assert found.version == 1


KILLED_AFTER_THE_ALIAS = """
import os, signal, sys
from resources.model_registry import ModelRegistry
move = ModelRegistry.point_approved_at
def die(self, version):
    move(self, version)
    os.kill(os.getpid(), signal.SIGKILL)
ModelRegistry.point_approved_at = die
from recsys_assets.cli import main
main()
"""


def test_a_command_killed_after_the_alias_moved_is_completed_by_the_next_one_in_its_own_name(
    installation: Installation, trained: Callable[..., Any], environment: dict[str, str], recsys: Told
) -> None:
    trained("sequential")
    decide = ["approve", "sequential", "1", "--reason", "ready", "--by", "ada"]
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_AFTER_THE_ALIAS, *decide],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    standing = read_standing(installation.instance, installation.model_registry, "sequential")
    assert (standing.recorded, standing.in_use is not None, standing.is_settled) == (0, True, False)
    assert decisions(installation, "sequential") == []

    code, words = recsys("approve", "sequential", "1", "--reason", "ready", "--by", "bob")
    assert code == 0
    assert words.startswith("Recorded what was left undone or done in MLflow: sequential version 1")
    assert words.endswith("sequential: version 1 is in use already")
    assert decisions(installation, "sequential") == [("promotion", 1, 0, "ada")]
    version = installation.model_registry.version("sequential", 1)
    assert (version.status, version.status_reason, version.tags["approved_by"]) == ("Approved", "ready", "ada")
    assert read_standing(installation.instance, installation.model_registry, "sequential").is_settled


def test_of_two_approvals_at_once_one_wins_and_the_other_is_told(
    installation: Installation, trained: Callable[..., Any], environment: dict[str, str]
) -> None:
    trained("graph_filter"), trained("graph_filter")
    people = {"ada": "1", "bob": "2"}

    def approving(who: str) -> subprocess.Popen[str]:
        code = "from recsys_assets.cli import main; main()"
        decide = ["approve", "graph_filter", people[who], "--reason", "mine", "--by", who]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, *decide],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    under_way = dg.RunsFilter(job_name="decide", statuses=[dg.DagsterRunStatus.STARTED])
    waiting_before = len(installation.instance.get_runs(under_way))  # the killed one of the test above
    with deciding(installation.model_registry, "graph_filter"):  # until both have seen that nothing is in use
        both = {who: approving(who) for who in people}
        deadline = time.monotonic() + 120
        while len(installation.instance.get_runs(under_way)) < waiting_before + 2:
            assert time.monotonic() < deadline, {who: one.poll() for who, one in both.items()}
            time.sleep(0.1)
    ended = {who: (one.communicate(timeout=120), one.returncode) for who, one in both.items()}
    ((_, _, _, winner),) = decisions(installation, "graph_filter")
    (loser,) = set(people) - {winner}
    assert ended[winner][1] == 0
    (_, words), code = ended[loser]
    assert code == 1
    assert f"meanwhile version {people[winner]} was put in use (promotion) by {winner}: mine" in " ".join(words.split())
    found = installation.model_registry.approved("graph_filter")
    assert found is not None
    assert str(found.version) == people[winner]
    statuses = {str(one.version): one.status for one in installation.model_registry.versions("graph_filter")}
    assert statuses == {people[winner]: "Approved", people[loser]: "PendingManualApproval"}
