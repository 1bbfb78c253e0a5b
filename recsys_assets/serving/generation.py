"""A published generation: what it is made of, and how that is written into its hash. Publishing is in `generations`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgpack

from recsys_assets.exposure import DEFAULT_ARM


class PublicationError(Exception):
    """A publication or a return to a generation is refused or has failed; what was served before still is."""


class StoreLostError(PublicationError):
    """The store went away in the middle; it may be back in a moment."""


@dataclass(frozen=True)
class Generation:
    """A published generation.

    Attributes:
        name: Its name, which is part of every key of it.
        as_of: The last day that its lists know.
        versions: Family to the registry version that ranked, of the first arm.
        lists: How many users have a list.
        published_at: When it was written.
        arms: Experiment arm to its families' versions, the control first; without an experiment, `default` alone.
        filters: The kind of its exclusion filters, one of `filters.FILTERS`.
        size: Bytes of its lists and of what is known of users, without the filters and what the server adds.
    """

    name: str
    as_of: date
    versions: Mapping[str, str]
    lists: int
    published_at: datetime
    arms: Mapping[str, Mapping[str, str]]
    filters: str = "exact"
    size: int = 0

    @property
    def sequence(self) -> int:
        """How many publications had begun when this one did."""
        return sequence_of(self.name)

    def versions_of(self, arm: str) -> Mapping[str, str]:
        """Family to the registry version that ranked for an arm; of an arm that it does not have, the first arm's."""
        return self.arms.get(arm, self.versions)


def name_of(as_of: date, sequence: int) -> str:
    """The name of a generation."""
    return f"{as_of:%Y%m%d}-{sequence}"


def sequence_of(name: str) -> int:
    """The part of its name that grows with every publication."""
    return int(name.rpartition("-")[2])


def day_of(name: str) -> date:
    """The part of its name that says the last day that it knows."""
    return datetime.strptime(name.partition("-")[0], "%Y%m%d").date()  # noqa: DTZ007 - a day has no time zone


def as_hash(generation: Generation) -> Any:
    """The fields of its hash."""
    return {
        "as_of": str(generation.as_of),
        "lists": generation.lists,
        "published_at": generation.published_at.isoformat(),
        "versions": msgpack.packb(dict(generation.versions)),
        "arms": msgpack.packb({arm: dict(versions) for arm, versions in generation.arms.items()}),
        "filters": generation.filters,
        "size": generation.size,
    }


def from_hash(name: str, fields: Mapping[bytes, bytes]) -> Generation:
    """The generation of that name; one that was published before there were arms has the first alone."""
    versions = msgpack.unpackb(fields[b"versions"])
    return Generation(
        name=name,
        as_of=date.fromisoformat(fields[b"as_of"].decode()),
        versions=versions,
        lists=int(fields[b"lists"]),
        published_at=datetime.fromisoformat(fields[b"published_at"].decode()),
        arms=msgpack.unpackb(fields[b"arms"]) if b"arms" in fields else {DEFAULT_ARM: versions},
        filters=fields.get(b"filters", b"exact").decode(),
        size=int(fields.get(b"size", 0)),
    )
