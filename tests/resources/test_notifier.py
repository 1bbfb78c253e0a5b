"""Letters in the outbox are told once, later where Slack is in no state to hear them, and never fail anybody."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources import notifier as notifier_module
from resources.notifier import LONGEST_WAIT_SECONDS, MOST_AT_ONCE, Notifier
from resources.outbox import Letter, Outbox

TOKEN = "xoxb-1234-very-secret"  # noqa: S105 - of nobody
PNG = b"\x89PNG and so on"


def letter(key: str = "approved:als:3", **more: Any) -> Letter:
    fields = {"text": f"{key} & more", "notification": f"{key} &amp; more", "markdown": f"## {key}", **more}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": key}}]
    return Letter(key=key, at="2026-03-02T05:00:00+00:00", blocks=blocks, **fields)


@pytest.fixture
def notifier(slack: Any, tmp_path: Path) -> Notifier:
    return Notifier(token=TOKEN, api_url=slack.url, folder=str(tmp_path / "reports"))


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass for the notifier."""
    passed = [0.0]
    now = time.time

    def on(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(notifier_module.time, "time", lambda: now() + passed[0])
    return on


def deliver(notifier: Notifier) -> list[str]:
    told: list[str] = []
    notifier.deliver("#shop", told.append)
    return told


def test_a_letter_is_posted_once_with_its_blocks_its_text_and_a_key_that_stays_the_same(
    notifier: Notifier, slack: Any
) -> None:
    notifier.outbox.put(letter())
    notifier.outbox.put(letter(text="again"))
    assert deliver(notifier) == []
    notifier.outbox.put(letter())
    assert deliver(notifier) == []
    (posted,) = slack.messages
    assert posted["channel"] == "#shop"
    assert posted["text"] == "approved:als:3 &amp; more"
    assert posted["blocks"] == letter().blocks
    assert slack.tokens == {f"Bearer {TOKEN}"}
    assert slack.keys == ["approved:als:3"]


def test_whoever_is_killed_after_posting_posts_again_under_the_same_message_id(
    notifier: Notifier, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    notifier.outbox.put(letter())
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "mark_told", killed)
        with pytest.raises(Killed):
            deliver(notifier)
    deliver(notifier)
    deliver(notifier)
    first, second = slack.messages
    assert first == second


def test_whoever_is_killed_after_marking_a_letter_does_not_tell_it_again(
    notifier: Notifier, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    notifier.outbox.put(letter())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            deliver(notifier)
    deliver(notifier)
    assert len(slack.messages) == 1
    assert list((Path(notifier.folder) / "outbox").iterdir()) == []


@pytest.mark.parametrize("behaviour", ["500", "503", "429", "invalid_auth", "channel_not_found", "not_in_channel"])
def test_what_slack_does_not_take_now_is_told_later_in_the_same_order(
    notifier: Notifier, slack: Any, wait: Callable[[float], None], behaviour: str
) -> None:
    slack.behaviour = behaviour
    for number in range(3):
        notifier.outbox.put(letter(f"run:{number}"))
    (complaint,) = deliver(notifier)
    assert "told later" in complaint
    slack.behaviour = "ok"
    assert deliver(notifier) == []
    assert slack.messages == []  # not before its time
    wait(31)
    assert deliver(notifier) == []
    assert slack.keys == ["run:0", "run:1", "run:2"]


def test_a_slack_that_asks_for_patience_gets_it(notifier: Notifier, slack: Any, wait: Callable[[float], None]) -> None:
    slack.behaviour, slack.retry_after = "429", "120"
    notifier.outbox.put(letter())
    deliver(notifier)
    slack.behaviour = "ok"
    wait(100)
    deliver(notifier)
    assert slack.messages == []
    wait(21)
    deliver(notifier)
    assert len(slack.messages) == 1


def test_a_slack_that_is_down_for_long_is_tried_less_and_less_often_but_at_least_every_half_hour(
    notifier: Notifier, slack: Any, wait: Callable[[float], None]
) -> None:
    slack.behaviour = "500"
    notifier.outbox.put(letter())
    tries = 0
    for _ in range(300):  # five hours, a tick a minute
        tries += bool(deliver(notifier))
        wait(60)
    assert 10 <= tries <= 20
    slack.behaviour = "ok"
    wait(LONGEST_WAIT_SECONDS)
    deliver(notifier)
    assert len(slack.messages) == 1


def test_a_connection_that_is_refused_and_a_server_that_hangs_are_only_waited_for_briefly(
    notifier: Notifier, slack: Any, wait: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "TIMEOUT_SECONDS", 0.2)
    notifier.outbox.put(letter())
    slack.behaviour = "hang"
    began = time.monotonic()
    assert "told later" in deliver(notifier)[0]
    assert time.monotonic() - began < 5
    away = Notifier(token=TOKEN, api_url="http://127.0.0.1:1/api/", folder=notifier.folder)
    wait(31)
    assert "told later" in deliver(away)[0]
    slack.behaviour = "ok"
    wait(61)
    deliver(notifier)
    assert slack.keys == ["approved:als:3"]


def test_a_picture_goes_into_the_thread_of_its_message(notifier: Notifier, slack: Any) -> None:
    notifier.outbox.put(letter(picture=PNG, picture_shows="NDCG"))
    assert deliver(notifier) == []
    assert [method for method, _ in slack.asked] == [
        "chat.postMessage",
        "files.getUploadURLExternal",
        "upload",
        "files.completeUploadExternal",
    ]
    assert slack.asked[2][1] == PNG
    assert (slack.asked[3][1]["channel_id"], slack.asked[3][1]["thread_ts"]) == ("C0123", "1.0")


def test_a_token_that_may_not_upload_still_tells_the_message_once(notifier: Notifier, slack: Any) -> None:
    slack.scopes.discard("files:write")
    notifier.outbox.put(letter(picture=PNG, picture_shows="NDCG"))
    (complaint,) = deliver(notifier)
    assert "missing_scope" in complaint
    deliver(notifier)
    assert len(slack.messages) == 1


def test_blocks_that_slack_refuses_do_not_hold_back_the_text_or_other_letters(notifier: Notifier, slack: Any) -> None:
    slack.refused_for_blocks = "invalid_blocks"
    notifier.outbox.put(letter())
    deliver(notifier)
    assert [one["text"] for one in slack.messages] == ["approved:als:3 &amp; more"]
    slack.behaviour = "msg_too_long"  # not even its text: it is kept as a file
    notifier.outbox.put(letter("run:1"))
    notifier.outbox.put(letter("run:2"))
    deliver(notifier)
    assert list(notifier.outbox.waiting()) == []
    assert len(list(Path(notifier.folder).glob("*.md"))) == 2


def test_a_tick_tells_no_more_than_slack_allows(notifier: Notifier, slack: Any) -> None:
    for number in range(MOST_AT_ONCE + 5):
        notifier.outbox.put(letter(f"run:{number}"))
    deliver(notifier)
    assert len(slack.messages) == MOST_AT_ONCE
    deliver(notifier)
    assert slack.keys == [f"run:{number}" for number in range(MOST_AT_ONCE + 5)]


def test_without_a_token_a_letter_is_a_line_of_the_log_and_a_readable_file_with_its_picture(tmp_path: Path) -> None:
    notifier = Notifier(folder=str(tmp_path))
    notifier.outbox.put(letter(picture=PNG, picture_shows="NDCG"))
    (line,) = deliver(notifier)
    (file,) = tmp_path.glob("*.md")
    assert line == f"approved:als:3 & more ({file})"
    assert file.name.startswith("2026-03-02T050000_approved-als-3-")
    assert file.read_text(encoding="utf-8") == f"## approved:als:3\n\n![NDCG]({file.stem}.png)\n"
    assert file.with_suffix(".png").read_bytes() == PNG
    assert deliver(notifier) == []


def test_the_token_is_in_no_file_and_no_line_of_the_log(
    notifier: Notifier,
    slack: Any,
    wait: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(0)
    lines: list[str] = []
    notifier.outbox.put(letter(picture=PNG, picture_shows="NDCG"))
    for behaviour in ("500", "429", "invalid_auth", "ok"):
        slack.behaviour = behaviour
        lines += deliver(notifier)
        wait(LONGEST_WAIT_SECONDS)
    assert len(slack.messages) == 1
    written = [file.read_bytes().decode() for file in Path(notifier.folder).rglob("*") if file.is_file()]
    streams = capfd.readouterr()
    for text in (*lines, *written, caplog.text, streams.out, streams.err):
        assert TOKEN not in text


def test_keys_that_look_alike_as_file_names_are_told_apart(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    keys = ["a/b", "a:b", "a b", "a-b", "x" * 300, "x" * 301, "", "../escape"]
    for key in keys:
        outbox.put(letter(key))
    assert [one.key for one in outbox.waiting()] == keys
    assert {file.parent for file in tmp_path.rglob("*.json")} == {tmp_path / "outbox"}


def test_a_letter_that_somebody_has_damaged_holds_back_no_other(notifier: Notifier, slack: Any) -> None:
    notifier.outbox.put(letter("run:1"))
    (file,) = (Path(notifier.folder) / "outbox").iterdir()
    file.write_text(json.dumps({"key": "run:1"}), encoding="utf-8")
    notifier.outbox.put(letter("run:2"))
    deliver(notifier)
    assert slack.keys == ["run:2"]
    assert [one.suffix for one in file.parent.iterdir()] == [".unreadable"]


def test_a_half_written_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path)

    def full(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            outbox.put(letter())
    assert list(outbox.waiting()) == []
    assert not outbox.knows("approved:als:3")
    outbox.put(letter())
    assert [one.key for one in outbox.waiting()] == ["approved:als:3"]
