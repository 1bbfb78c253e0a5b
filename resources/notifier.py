"""The notifier: takes letters out of the outbox and tells them, in Slack or, without a token, in the log and a file.

It knows Slack's protocol and errors, and fails nobody: what cannot be told now waits in the outbox and is told later.
What is told, and when something is due, stays out.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from resources.outbox import Letter, Outbox, write_whole
from resources.settings import SLACK_API_URL

TIMEOUT_SECONDS = 10
MOST_AT_ONCE = 20
"""Letters told in one go: Slack allows about one a second in a channel, and a sensor has a minute."""
LONGEST_SECONDS = 30.0
"""No further letter is begun after so long."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 30.0, 1800.0
MOST_DOUBLINGS = 6
TOO_MANY_REQUESTS = 429
ABOUT_THE_LETTER = {
    "duplicate_channel_not_found",
    "duplicate_message_not_found",
    "invalid_arguments",
    "invalid_array_arg",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "metadata_too_large",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
}
"""Errors of Slack that another attempt with the same content would meet again; any other concerns every letter."""
SLACK_NAMESPACE = uuid.UUID("6f1c1d0a-3f58-4d0e-9b5e-7a1c0f6f2f11")

Tell = Callable[[str], None]
"""Takes a line of a log."""


@dataclass(frozen=True)
class Pause:
    """Why Slack is left alone for a while.

    Attributes:
        until: Moment in seconds since 1970 before which nothing is tried.
        failures: Attempts that have failed in a row.
        problem: What the last one met.
    """

    until: float = 0.0
    failures: int = 0
    problem: str = ""


class Notifier(dg.ConfigurableResource):
    """Slack, or the log and files.

    Attributes:
        token: Of a Slack app with the scope `chat:write`, and `files:write` for pictures; empty for none.
        api_url: Where Slack's Web API is.
        folder: Where the outbox is, and where letters are written to without a token.
    """

    token: str = ""
    api_url: str = SLACK_API_URL
    folder: str

    @property
    def outbox(self) -> Outbox:
        """Where letters wait."""
        return Outbox(Path(self.folder))

    def deliver(self, channel: str, tell: Tell) -> None:
        """Tell the letters that wait, the oldest first; what cannot be told now is left for the next call.

        A letter is marked as told after Slack has taken it. Whoever is killed between the two tells it again, under
        the same `client_msg_id`.

        Args:
            channel: Slack channel, by id or name.
            tell: The log.
        """
        if not self.token:
            for letter in self.outbox.waiting():
                self._keep(letter, tell)
            return
        pause, began = self._read_pause(), time.monotonic()
        if time.time() < pause.until:
            return
        for letter in islice(self.outbox.waiting(), MOST_AT_ONCE):
            if time.monotonic() - began > LONGEST_SECONDS:
                return
            problem = self._post(letter, channel, tell)
            if problem is not None:
                self._write_pause(_longer(pause, problem))
                tell(f"Slack could not be told ({_in_words(problem)}); the message waits and is told later")
                return
            if pause.failures:
                pause = Pause()
                self._write_pause(pause)

    def _post(self, letter: Letter, channel: str, tell: Tell) -> Exception | None:
        """Post a letter and mark it as told; returns what kept it from being told."""
        try:
            try:
                answer = self._client.chat_postMessage(channel=channel, **_content(letter))
            except SlackApiError as error:
                if _code(error) not in ABOUT_THE_LETTER:
                    raise
                tell(f"Slack does not take the blocks of {letter.key} ({_code(error)}); its text is posted instead")
                answer = self._client.chat_postMessage(channel=channel, text=letter.notification)
        except SlackApiError as error:
            if _code(error) not in ABOUT_THE_LETTER:
                return error
            self._keep(letter, tell)
            return None
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            return error
        place, thread = str(answer.get("channel") or channel), str(answer.get("ts") or "")
        self.outbox.mark_told(letter, channel=place, ts=thread)
        self._upload(letter, place, thread, tell)
        return None

    def _upload(self, letter: Letter, channel: str, thread: str, tell: Tell) -> None:
        """Put the picture into the thread of its message, if that can be; a token without `files:write` cannot."""
        if not letter.picture or not thread:
            return
        try:
            self._client.files_upload_v2(
                channel=channel,
                thread_ts=thread,
                filename=f"{letter.name}.png",
                content=letter.picture,
                title=letter.picture_shows,
                alt_txt=letter.picture_shows,
            )
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            tell(f"the picture of {letter.key} is not in Slack: {_in_words(error)}")

    def _keep(self, letter: Letter, tell: Tell) -> None:
        """Tell a letter in the log and in a file of its own."""
        moment = datetime.fromisoformat(letter.at).strftime("%Y-%m-%dT%H%M%S")
        file = Path(self.folder) / f"{moment}_{letter.name}.md"
        markdown = letter.markdown
        if letter.picture:
            write_whole(file.with_suffix(".png"), letter.picture)
            markdown += f"\n\n![{letter.picture_shows}]({file.with_suffix('.png').name})"
        write_whole(file, f"{markdown}\n".encode())
        tell(f"{letter.text} ({file})")
        self.outbox.mark_told(letter, file=file.name)

    @cached_property
    def _client(self) -> WebClient:
        from dagster_slack import SlackResource

        client = SlackResource(token=self.token).get_client()
        client.base_url = self.api_url if self.api_url.endswith("/") else f"{self.api_url}/"
        client.timeout = TIMEOUT_SECONDS
        client.logger.setLevel(logging.CRITICAL)  # what went wrong is said once, by `deliver`
        client.retry_handlers = []  # a connection that breaks after the message arrived would post it twice
        return client

    @property
    def _pause_file(self) -> Path:
        return Path(self.folder) / "slack.json"

    def _read_pause(self) -> Pause:
        if not self._pause_file.exists():
            return Pause()
        return Pause(**json.loads(self._pause_file.read_text(encoding="utf-8")))

    def _write_pause(self, pause: Pause) -> None:
        write_whole(self._pause_file, json.dumps(asdict(pause)).encode())


def _content(letter: Letter) -> dict[str, Any]:
    """The arguments of Slack's `chat.postMessage`; the same for the same letter."""
    return {
        "text": letter.notification,
        "blocks": letter.blocks,
        "client_msg_id": str(uuid.uuid5(SLACK_NAMESPACE, letter.key)),
        "metadata": {"event_type": "recsys_report", "event_payload": {"key": letter.key}},
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _longer(before: Pause, problem: Exception) -> Pause:
    """Twice the last wait, or what Slack asks for."""
    wait = FIRST_WAIT_SECONDS * 2 ** min(before.failures, MOST_DOUBLINGS)
    if isinstance(problem, SlackApiError) and getattr(problem.response, "status_code", 0) == TOO_MANY_REQUESTS:
        asked = str(problem.response.headers.get("Retry-After", ""))
        wait = float(asked) if asked.isdecimal() else wait
    return Pause(time.time() + min(wait, LONGEST_WAIT_SECONDS), before.failures + 1, _in_words(problem))


def _code(error: SlackApiError) -> str:
    return str(error.response.get("error") or "")


def _in_words(problem: Exception) -> str:
    """One line; without what Slack answered at length."""
    if isinstance(problem, SlackApiError):
        status = getattr(problem.response, "status_code", "")
        return f"{_code(problem) or 'no answer that can be read'}, HTTP status {status}"
    return " ".join(f"{type(problem).__name__}: {problem}".split())
