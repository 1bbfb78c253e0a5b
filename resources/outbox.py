"""The outbox: what is to be told, on disk, so that each letter is told once and none is lost.

A letter is in one of two folders under its key: `outbox` until it is told, `told` from then on. Every file appears
whole or not at all. Where letters go is the business of `notifier`; what they say, of `recsys_assets.monitoring`.
"""

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NAME_LENGTH = 80


@dataclass(frozen=True)
class Letter:
    """Something to tell.

    Attributes:
        key: What it is about; nothing is told twice under one key.
        at: When it happened (UTC, ISO 8601).
        text: The whole in one line.
        notification: The same as Slack reads it.
        markdown: The whole, to be read as a file.
        blocks: The same as Slack's blocks.
        picture: A PNG image; empty for none.
        picture_shows: What the image shows.
    """

    key: str
    at: str
    text: str
    notification: str
    markdown: str
    blocks: list[dict[str, Any]]
    picture: bytes = b""
    picture_shows: str = ""

    @property
    def name(self) -> str:
        """Its key as the name of a file."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", self.key).strip("-")[:NAME_LENGTH]
        return f"{readable}-{hashlib.sha256(self.key.encode()).hexdigest()[:8]}"

    def as_json(self) -> str:
        """The letter as text."""
        return json.dumps({**asdict(self), "picture": base64.b64encode(self.picture).decode()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Letter":
        """The letter that was written as text."""
        fields = json.loads(text)
        return cls(**{**fields, "picture": base64.b64decode(fields["picture"])})


class Outbox:
    """Letters under one folder.

    Args:
        folder: Made when the first letter is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting, self._told = folder / "outbox", folder / "told"

    def knows(self, key: str) -> bool:
        """Whether something was put in, told or settled under this key."""
        name = _named(key)
        return self._marker(name).exists() or any(self._waiting.glob(f"[0-9]*_{name}.*"))

    def put(self, letter: Letter) -> None:
        """Keep a letter until it is told; one whose key is known changes nothing."""
        if not self.knows(letter.key):
            # The first part of the name keeps the order.
            write_whole(self._waiting / f"{time.time_ns():020}_{letter.name}.json", letter.as_json().encode())

    def settle(self, key: str) -> None:
        """There is nothing to tell under this key, now and later."""
        write_whole(self._marker(_named(key)), json.dumps({"key": key}).encode())

    def waiting(self) -> Iterator[Letter]:
        """Letters that are not told yet, in the order in which they were put in."""
        for file in sorted(self._waiting.glob("*.json")):
            try:
                letter = Letter.from_json(file.read_text(encoding="utf-8"))
            except (ValueError, KeyError, TypeError):  # somebody has edited it: it must not hold back the others
                file.rename(file.with_suffix(".unreadable"))
                continue
            if self._marker(letter.name).exists():  # a kill came between marking it and removing it
                file.unlink()
            else:
                yield letter

    def mark_told(self, letter: Letter, **where: str) -> None:
        """From now on the letter is told.

        Args:
            letter: Which one.
            where: What finds it again, for whoever looks.
        """
        note: Mapping[str, str] = {"key": letter.key, "text": letter.text, **where}
        write_whole(self._marker(letter.name), json.dumps(note, ensure_ascii=False).encode())
        for file in self._waiting.glob(f"*_{letter.name}.json"):
            file.unlink()

    def _marker(self, name: str) -> Path:
        return self._told / f"{name}.json"


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, whatever happens meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with unfinished.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    unfinished.replace(file)


def _named(key: str) -> str:
    return Letter(key, "", "", "", "", []).name
