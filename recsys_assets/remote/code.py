"""Which code this is. A job must run the very code that asks for it: both sides tell the same digest."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("recsys_assets", "resources", "sensors")
SUFFIXES = (".py", ".yaml")
SHORT = 16


def package_folders() -> tuple[Path, ...]:
    """Where the packages of this distribution lie."""
    found = (find_spec(name) for name in PACKAGES)
    return tuple(Path(spec.origin).parent for spec in found if spec is not None and spec.origin is not None)


@cache
def package_digest() -> str:
    """A digest of the code that runs here: the same for a checkout and for what was installed from it."""
    return digest_of(package_folders())


def digest_of(folders: Iterable[Path]) -> str:
    """A digest of the sources in some packages: of their names and their bytes."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix in SUFFIXES and file.is_file():
                content = file.read_bytes()
                digest.update(f"{file.relative_to(folder.parent).as_posix()} {len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()[:SHORT]
