"""Reports on a real installation: what happened is told once, to Slack or to a file, by the sensor and `recsys run`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_assets.cli.driver import Finished
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.run import run_to_fixed_point
from recsys_assets.registry.approved import decision_config
from recsys_assets.registry.promotions import approved_key
from resources.notifier import LONGEST_WAIT_SECONDS, Notifier
from sensors.happenings import World
from sensors.telling import BEGINNING, tell_news

TOKEN = "xoxb-77-of-nobody"  # noqa: S105 - of nobody


@pytest.fixture
def notifier(slack: Any, tmp_path: Path) -> Notifier:
    return Notifier(token=TOKEN, api_url=slack.url, folder=str(tmp_path / "reports"))


@pytest.fixture
def from_the_start(tmp_path: Path) -> None:
    """Reports begin before anything has happened."""
    begin(tmp_path / "reports")


def begin(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / BEGINNING).write_text(json.dumps({"since": 0.0, "versions": {}}), encoding="utf-8")


def world(one: Installation) -> World:
    return World(one.platform, one.instance, one.lake, one.model_registry, guards=())


def tick(installation: Installation, notifier: Notifier) -> str:
    """A tick of the sensor, in a process that remembers nothing; what it says."""
    definitions = installation.definitions()
    fresh = Notifier(token=notifier.token, api_url=notifier.api_url, folder=notifier.folder)
    resources = {**installation.resources, "notifier": fresh}
    with dg.build_sensor_context(installation.instance, definitions=definitions, resources=resources) as context:
        data = definitions.resolve_sensor_def("reports_sensor").evaluate_tick(context)
    assert not data.run_requests
    return str(data.skip_message)


@pytest.mark.usefixtures("from_the_start")
def test_each_version_is_told_once_as_trained_and_as_approved_over_ticks_and_restarts(
    finished: Installation, notifier: Notifier, slack: Any
) -> None:
    for _ in range(3):
        tick(finished, notifier)
        tell_news(world(finished), notifier, print)
    told = [":".join(key.split(":")[:3]) for key in slack.keys]
    assert sorted(told) == [
        f"{what}:{family}:1" for what in ("approved", "trained") for family in ("als", "popularity")
    ]
    assert len(slack.messages) == 4
    approved = next(one for one in slack.messages if one["text"].startswith("✅ als"))
    shown = json.dumps(approved["blocks"], ensure_ascii=False)
    train = finished.instance.get_runs(dg.RunsFilter(job_name="train"))[0].run_id
    for part in ("NDCG at 10", "passed every check of the gate", "2026-02-18", f"http://localhost:3000/runs/{train}"):
        assert part in shown
    pictures = [arguments for method, arguments in slack.asked if method == "upload"]
    assert len(pictures) == 4
    assert all(one.startswith(b"\x89PNG") for one in pictures)


@pytest.mark.usefixtures("from_the_start")
def test_what_the_gate_refuses_is_told_once_as_rejected_and_not_as_a_failed_run(
    refused: tuple[Installation, list[Finished]], notifier: Notifier, slack: Any
) -> None:
    installation, runs = refused
    assert runs[1].refusals
    tell_news(world(installation), notifier, print)
    tell_news(world(installation), notifier, print)
    about_als = [one for one in slack.messages if " als " in one["text"] or ":als:" in str(one["metadata"])]
    (rejected,) = about_als
    assert rejected["text"].startswith("✋ als version 1 (slot 2026-02-18) is rejected by the gate: ndcg_above_floor")
    assert "below 0.9" in rejected["text"]
    assert not [key for key in slack.keys if key.startswith("run:")]


def test_an_installation_that_is_older_than_its_reports_does_not_tell_its_past(
    finished: Installation, notifier: Notifier, slack: Any
) -> None:
    tell_news(world(finished), notifier, print)
    tell_news(world(finished), notifier, print)
    assert slack.messages == []


@pytest.mark.usefixtures("from_the_start")
def test_without_a_token_the_same_is_in_readable_files_and_in_the_log(finished: Installation, tmp_path: Path) -> None:
    lines: list[str] = []
    tell_news(world(finished), Notifier(folder=str(tmp_path / "reports")), lines.append)
    files = sorted((tmp_path / "reports").glob("*.md"))
    assert len(files) == len(lines) == 4
    text = next(file for file in files if "trained-als" in file.name).read_text(encoding="utf-8")
    assert text.startswith("## 🧪 als version 1 (slot 2026-02-18) is trained and passed the gate")
    assert "| NDCG at 10 |" in text
    assert "![NDCG at 10 by slot](" in text


@pytest.mark.usefixtures("from_the_start")
def test_a_picture_that_is_gone_or_a_token_without_uploads_fails_nothing(
    finished: Installation, notifier: Notifier, slack: Any
) -> None:
    slack.scopes.discard("files:write")
    lines: list[str] = []
    tell_news(world(finished), notifier, lines.append)
    assert len(slack.messages) == 4
    assert len([line for line in lines if "missing_scope" in line]) == 4


def test_a_rollback_is_told_by_recsys_run_and_a_slack_that_is_down_fails_nothing_and_hears_it_later(
    copied: Installation, slack: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)
    settings = replace(copied.settings, has_slack_token=True, slack_api_url=slack.url)
    installation = Installation(settings, copied.platform)
    tell_news(world(installation), installation.notifier, print)  # reports begin
    decide = installation.definitions().resolve_job_def("decide")
    asked = decision_config("als", decision="rollback", reason="fewer orders", by="kim")
    run = decide.execute_in_process(
        instance=installation.instance, asset_selection=[approved_key("als")], run_config=asked
    )
    slack.behaviour = "503"
    assert run_to_fixed_point(installation)  # publishes without ALS, and tells nobody
    assert slack.messages == []
    slack.behaviour = "ok"
    pause = Path(installation.notifier.folder) / "slack.json"
    waiting = json.loads(pause.read_text(encoding="utf-8"))
    pause.write_text(json.dumps({**waiting, "until": waiting["until"] - LONGEST_WAIT_SECONDS}), encoding="utf-8")
    assert tick(installation, installation.notifier) == "nothing new to tell"
    assert run_to_fixed_point(installation)
    (message,) = slack.messages
    assert message["text"] == "↩️ No version of als is in production any more: fewer orders"
    assert f"/runs/{run.run_id}" in json.dumps(message["blocks"])

    written = [file for file in installation.settings.home.rglob("*") if file.is_file() and not file.is_symlink()]
    assert not [file for file in written if TOKEN.encode() in file.read_bytes()]
    streams = capfd.readouterr()
    assert "told later" in streams.out + streams.err
    assert TOKEN not in streams.out + streams.err
    installation.instance.dispose()


def test_reports_that_cannot_be_made_fail_no_run(copied: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied.settings.home / "reports"
    folder.write_text("in the way", encoding="utf-8")
    lines: list[Any] = []
    monkeypatch.setattr("rich.console.Console.print", lambda _, *words, **__: lines.extend(words))
    assert run_to_fixed_point(copied)
    assert any("reports are told later" in str(line) for line in lines)


def test_only_one_tells_at_a_time(finished: Installation, notifier: Notifier, slack: Any) -> None:
    begin(Path(notifier.folder))

    def nested(_: str) -> None:
        tell_news(world(finished), notifier, print)  # somebody else, meanwhile

    class Interrupted(Notifier):
        def deliver(self, channel: str, tell: Callable[[str], None]) -> None:
            nested("")
            super().deliver(channel, tell)

    tell_news(world(finished), Interrupted(token=TOKEN, api_url=slack.url, folder=notifier.folder), print)
    assert len(slack.messages) == len(set(slack.keys)) == 4
