"""A list as it goes out: as JSON, written by hand because it is the one thing that must be fast; and as a log line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property, lru_cache
from json.encoder import encode_basestring_ascii as quoted

from recsys_assets.api.event_log import Entry
from recsys_assets.platform import FALLBACK_FAMILY

KEPT_HEADS = 64


@dataclass(frozen=True)
class Origin:
    """What a list is made of, apart from its items.

    Attributes:
        generation: The publication; None for a list that was ranked now.
        as_of: The day that the catalogue knows.
        arm: The experiment arm.
        versions: Family and version, in order.
        is_fallback: Whether it says nothing about the user.
        is_degraded: Whether the online store could not be asked.
    """

    generation: str | None
    as_of: date | None
    arm: str
    versions: tuple[tuple[str, str], ...]
    is_fallback: bool
    is_degraded: bool


@dataclass(frozen=True)
class ServedList:
    """A list as it is served.

    Attributes:
        request_id: Names it.
        user_id: For whom, if that is known.
        origin: What it is made of.
        item_ids: Best first.
        sources: What brought each, where that is known here.
        reasons: Item to the item that speaks most for it; None: nobody asked.
    """

    request_id: str
    user_id: str | None
    origin: Origin
    item_ids: Sequence[str]
    sources: Sequence[str] | None = None
    reasons: Mapping[str, str] | None = None

    @cached_property
    def quoted_ids(self) -> tuple[str, ...]:
        """The ids as JSON: they go out, and into the log."""
        return tuple(map(quoted, self.item_ids))


def as_json(served: ServedList) -> bytes:
    """The body of the response, as `schemas.Recommendations` describes it."""
    user = "null" if served.user_id is None else quoted(served.user_id)
    start = f'{{"request_id":"{served.request_id}","user_id":{user},{_head(served.origin)}"items":['
    if served.reasons is None or served.sources is None:
        return f"{start}{_items(len(served.item_ids)) % served.quoted_ids}]}}".encode("ascii")
    items = [
        f'{{"item_id":{quoted(item)},"rank":{rank},"source":{quoted(source)},"reason":{_or_null(reason)}}}'
        for rank, (item, source, reason) in enumerate(
            zip(served.item_ids, served.sources, map(served.reasons.get, served.item_ids), strict=True), 1
        )
    ]
    return f"{start}{','.join(items)}]}}".encode("ascii")


def as_entry(served: ServedList, moment: datetime, surface: str) -> Entry:
    """The line of the event log that its impressions are made of."""
    origin = served.origin
    sources: Sequence[str] | None = served.sources
    if origin.is_fallback and sources is None:
        sources = [FALLBACK_FAMILY] * len(served.item_ids)
    line = (
        f'{{"request_id":"{served.request_id}","user_id":{_or_null(served.user_id)},"shown_at":"{moment.isoformat()}",'
        f'"surface":{quoted(surface)},{_tail(origin)}"item_ids":[{",".join(served.quoted_ids)}],'
        f'"sources":{"null" if sources is None else _array(sources)}}}'
    )
    return Entry("served", served.request_id, moment, line.encode("ascii"))


@cache
def _items(length: int) -> str:
    """The items of a list so long, with a place for each id: filling them in is one step, however many there are."""
    return ",".join(f'{{"item_id":%s,"rank":{rank}}}' for rank in range(1, length + 1))


@lru_cache(maxsize=KEPT_HEADS)
def _head(origin: Origin) -> str:
    versions = ",".join(f"{quoted(family)}:{quoted(version)}" for family, version in origin.versions)
    return (
        f'"generation":{_or_null(origin.generation)},"as_of":{_day(origin.as_of)},'
        f'"arm":{quoted(origin.arm)},"versions":{{{versions}}},"is_fallback":{_boolean(origin.is_fallback)},'
        f'"is_degraded":{_boolean(origin.is_degraded)},'
    )


@lru_cache(maxsize=KEPT_HEADS)
def _tail(origin: Origin) -> str:
    versions = ",".join(f'{{"family":{quoted(name)},"version":{quoted(one)}}}' for name, one in origin.versions)
    return f'"arm":{quoted(origin.arm)},"as_of":{_day(origin.as_of)},"versions":[{versions}],'


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _day(day: date | None) -> str:
    return "null" if day is None else f'"{day}"'


def _array(texts: Sequence[str]) -> str:
    return f"[{','.join(map(quoted, texts))}]"


def _boolean(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "true" if value else "false"
