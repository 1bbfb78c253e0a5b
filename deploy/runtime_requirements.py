#!/usr/bin/env python3
"""Prints the part of requirements.lock that runs in production, hashes and all: no tools for tests and development.

The lock says of each package which others asked for it (`# via`); what pyproject.toml's own dependencies lead to stays.
Only the standard library belongs here: it runs while an image is built, before anything is installed.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

FIRST_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==")
NAME = re.compile(r"^[A-Za-z0-9._-]+")
VIA = re.compile(r"^    #(?: via|  ) *(?P<parent>[A-Za-z0-9._-]+)?")


def runtime_requirements(lock: str, roots: Iterable[str]) -> str:
    """The blocks of a lock that some packages lead to.

    Args:
        lock: Text of `requirements.lock`.
        roots: Names of packages that are asked for directly.

    Raises:
        LookupError: A package that is asked for is not locked.
    """
    blocks = _blocks(lock)
    asked_by: dict[str, set[str]] = {name: _parents(block) for name, block in blocks.items()}
    kept = {_normal(root) for root in roots}
    missing = kept - set(blocks)
    if missing:
        raise LookupError(f"requirements.lock lacks {', '.join(sorted(missing))}; run `make lock`")
    while True:
        more = {name for name, parents in asked_by.items() if parents & kept} - kept
        if not more:
            return "".join(blocks[name] for name in blocks if name in kept)
        kept |= more


def direct_dependencies(pyproject: str) -> list[str]:
    """Names of the packages that pyproject.toml asks for."""
    wanted = tomllib.loads(pyproject)["project"]["dependencies"]
    return [found[0] for found in map(NAME.match, wanted) if found]


def _blocks(lock: str) -> dict[str, str]:
    blocks: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        first = FIRST_LINE.match(line)
        if first:
            name = _normal(first["name"])
        if name:
            blocks[name] = blocks.get(name, "") + line
    return blocks


def _parents(block: str) -> set[str]:
    found = (VIA.match(line) for line in block.splitlines())
    return {_normal(one["parent"]) for one in found if one and one["parent"]}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    names = sys.argv[2:] or direct_dependencies((folder / "pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.write(runtime_requirements((folder / "requirements.lock").read_text(encoding="utf-8"), names))
