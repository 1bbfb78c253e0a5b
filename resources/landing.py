"""The landing: where the shop drops its files, a local folder or an S3 prefix.

It lists and reads files, and takes whole ones in. Which file feeds which table is the business of
`recsys_assets.ingestion`.
"""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources import s3

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


READERS = 8
"""Files of a bucket that are fetched at once; a connection waits most of its time."""


class LandingError(Exception):
    """The landing cannot be listed or read. An unreadable landing is not an empty one."""


@dataclass(frozen=True)
class LandedFile:
    """One file of the landing.

    Attributes:
        path: Relative to the landing, with `/` between folders.
        size_bytes: Its size.
        stamp: Changes whenever the file is rewritten: time of change in nanoseconds, or S3's etag.
    """

    path: str
    size_bytes: int
    stamp: str


class Landing(dg.ConfigurableResource):
    """What every landing can do."""

    @abstractmethod
    def files(self) -> list[LandedFile]:
        """All files, in the order of their paths. Names that begin with a dot are still being written.

        Raises:
            LandingError: The landing cannot be listed.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The content of one file.

        Raises:
            LandingError: The file cannot be read.
        """

    def read_all(self, paths: Iterable[str]) -> list[bytes]:
        """The contents of some files, in their order.

        Raises:
            LandingError: One of them cannot be read.
        """
        return [self.read(path) for path in paths]

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Put a whole file, in one step: readers see all of it, or what was there before. It is durable afterwards.

        Raises:
            LandingError: The file cannot be written.
        """


class LocalLanding(Landing):
    """A local or mounted folder."""

    root: str

    def files(self) -> list[LandedFile]:
        """See `Landing.files`."""
        try:
            if not Path(self.root).is_dir():
                raise LandingError(f"{self.root}: no such folder; set RECSYS_LANDING to where the files land")
            return sorted(_walk(self.root, ""), key=lambda file: file.path)
        except OSError as error:
            raise LandingError(f"{self.root}: cannot be listed ({error})") from error

    def read(self, path: str) -> bytes:
        """See `Landing.read`."""
        try:
            return (Path(self.root) / path).read_bytes()
        except OSError as error:
            raise LandingError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error

    def write(self, path: str, data: bytes) -> None:
        """See `Landing.write`; until it is whole, its name begins with a dot."""
        target = Path(self.root) / path
        unfinished = target.with_name(f".{target.name}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise LandingError(f"{path}: cannot be written ({error.strerror}); check its permissions") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, which `fsync` of a file alone does not."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _walk(root: str, prefix: str) -> Iterator[LandedFile]:
    with os.scandir(f"{root}/{prefix}") as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(root, f"{prefix}{entry.name}/")
            elif entry.is_file():
                status = entry.stat()
                yield LandedFile(f"{prefix}{entry.name}", status.st_size, str(status.st_mtime_ns))


class S3Landing(Landing):
    """A prefix of an S3 bucket, reached through dagster-aws."""

    bucket: str
    prefix: str
    s3: dg.ResourceDependency[Any]  # an S3Resource; dagster-aws is imported only where S3 is used

    def files(self) -> list[LandedFile]:
        """See `Landing.files`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        try:
            found = [item for page in pages for item in page.get("Contents", ())]
        except Exception as error:
            raise LandingError(f"s3://{self.bucket}/{self.prefix}: cannot be listed ({error})") from error
        files = (
            LandedFile(item["Key"].removeprefix(self.prefix), item["Size"], item["ETag"].strip('"'))
            for item in found
            if not item["Key"].endswith("/")  # S3's console makes these, to show a folder
        )
        visible = (file for file in files if not any(part.startswith(".") for part in file.path.split("/")))
        return sorted(visible, key=lambda file: file.path)

    def read(self, path: str) -> bytes:
        """See `Landing.read`."""
        try:
            return s3.content(self._client, self.bucket, self.prefix + path)
        except Exception as error:
            raise LandingError(f"s3://{self.bucket}/{self.prefix}{path}: cannot be read ({error})") from error

    def read_all(self, paths: Iterable[str]) -> list[bytes]:
        """See `Landing.read_all`."""
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self.read, paths))

    def write(self, path: str, data: bytes) -> None:
        """See `Landing.write`; S3 shows an object when it is whole."""
        try:
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + path, Body=data)
        except Exception as error:
            raise LandingError(f"s3://{self.bucket}/{self.prefix}{path}: cannot be written ({error})") from error

    @cached_property
    def _client(self) -> Any:
        """One client for all threads: making it takes longer than a request."""
        resource: S3Resource = self.s3
        return resource.get_client()
