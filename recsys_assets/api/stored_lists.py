"""Reading what is published, for one or many users in one round trip, always from one whole generation.

Whoever asks, asks last for the name of the generation in use. Where that is not the one that was read from, a
publication came between, and all is read again: so what is known of a generation can be kept in memory without ever
serving from an old one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias, cast

import msgpack
import redis

from recsys_assets.api.store_guard import StoreGuard
from recsys_assets.exposure import DEFAULT_ARM
from recsys_assets.features.lately import owned
from recsys_assets.platform import Rules
from recsys_assets.serving.bulk import ask
from recsys_assets.serving.filters import FILTERS
from recsys_assets.serving.generation import Generation
from recsys_assets.serving.generations import READ_ATTEMPTS, PublicationError, current
from recsys_assets.serving.keys import CURRENT, filter_key, known_key, list_key, overlay_key, popular_key
from recsys_assets.serving.known_users import KnownUser, unpacked
from recsys_assets.serving.overlay import Overlaid, decoded, remembered
from resources.online_store import Client

LONGEST_ARM_BYTES = b"63"
"""What the arm of a known user takes at most, at the beginning of what is known."""
AskHidden: TypeAlias = Callable[[list[str]], set[str]]
"""Which of some items the published filter hides."""


@dataclass(frozen=True)
class InUse:
    """The generation in use, with the list that unknown users get."""

    generation: Generation
    popular: list[str]


@dataclass(frozen=True)
class StoredList:
    """What was published for a user.

    Attributes:
        in_use: The generation.
        item_ids: The list, without what the user bought since; the popular one for an unknown user.
        is_own: Whether it is the user's own.
        arm: The experiment arm that it was made for.
    """

    in_use: InUse
    item_ids: list[str]
    is_own: bool
    arm: str


@dataclass(frozen=True)
class Remembered:
    """What the online store says of a user, for real time.

    Attributes:
        known: As of the generation; None where it knows nobody of that id.
        as_of: The last day that the generation knows; None before the first publication.
        overlay: What they did lately, oldest first.
        hidden: The published filter.
    """

    known: KnownUser | None = None
    as_of: date | None = None
    overlay: Sequence[Overlaid] = ()
    hidden: AskHidden | None = None


NOTHING = Remembered()


class StoredLists:
    """Reads what is published, of the generation in use.

    Args:
        guard: The online store.
        rules: Whether a list leaves out what was bought.
    """

    def __init__(self, guard: StoreGuard, rules: Rules) -> None:
        self._guard, self._rules = guard, rules
        self._in_use: InUse | None = None

    @property
    def in_use(self) -> InUse | None:
        """The generation that was read from last."""
        return self._in_use

    def read(self, user_ids: Sequence[str]) -> list[StoredList | None]:
        """The lists of some users, in order; None before the first publication.

        Raises:
            StoreGoneError: The store does not answer.
            PublicationError: What is in use is lost.
        """
        found = self._ask(lambda generation: _about_lists(generation, user_ids))
        return [None] * len(user_ids) if found is None else [*self._lists(user_ids, *found)]

    def recall(self, user_id: str) -> Remembered:
        """What real time must know of a user; the filter is asked later, about a list.

        Raises:
            StoreGoneError: As of `read`.
            PublicationError: The same.
        """
        found = self._ask(lambda generation: _about_user(generation, user_id))
        if found is None:
            with self._guard.asking() as client:
                return Remembered(overlay=remembered(client, user_id))
        in_use, (known, overlay) = found
        generation = in_use.generation

        def hidden(item_ids: list[str]) -> set[str]:
            with self._guard.asking() as client:
                key = filter_key(generation.name, user_id)
                answers = FILTERS[generation.filters].hidden(client, key, item_ids)
            return {item for item, is_hidden in zip(item_ids, answers, strict=True) if is_hidden}

        return Remembered(
            known=None if known is None else unpacked(user_id, generation.as_of, known),
            as_of=generation.as_of,
            overlay=decoded(user_id, _scored(overlay)),
            hidden=hidden,
        )

    def look(self) -> InUse | None:
        """The generation in use now.

        Raises:
            StoreGoneError: As of `read`.
            PublicationError: The same.
        """
        self._ask(lambda _: [])
        return self._in_use

    def _ask(self, commands: Callable[[Generation], list[tuple[bytes, ...]]]) -> tuple[InUse, list[Any]] | None:
        """The generation in use, and the replies to commands about it; None before the first publication."""
        with self._guard.asking() as client:
            for _ in range(READ_ATTEMPTS):
                in_use = self._in_use
                if in_use is not None:
                    *replies, name = _ask_with_current(client, commands(in_use.generation))
                    if name == in_use.generation.name.encode():
                        return in_use, replies
                self._in_use = _read_in_use(client)
                if self._in_use is None:
                    return None
        raise PublicationError("publications follow each other too quickly to read from one")

    def _lists(self, user_ids: Sequence[str], in_use: InUse, replies: Sequence[Any]) -> Iterator[StoredList]:
        remaining = iter(replies)
        only_arm = next(iter(in_use.generation.arms), DEFAULT_ARM)
        has_arms = len(in_use.generation.arms) > 1
        for user_id in user_ids:
            own, overlay = next(remaining), next(remaining)
            arm = _arm_in(next(remaining), only_arm) if has_arms else only_arm
            item_ids = in_use.popular if own is None else msgpack.unpackb(own)
            if overlay:
                hidden = owned(decoded(user_id, _scored(overlay)), self._rules)
                item_ids = [item for item in item_ids if item not in hidden]
            yield StoredList(in_use, item_ids, own is not None, arm)


def _about_lists(generation: Generation, user_ids: Sequence[str]) -> list[tuple[bytes, ...]]:
    """For each user the list, the overlay and, where there are several, the arm."""
    commands: list[tuple[bytes, ...]] = []
    for user_id in user_ids:
        commands += [(b"GET", list_key(generation.name, user_id).encode()), _about_overlay(user_id)]
        if len(generation.arms) > 1:
            known = known_key(generation.name, user_id).encode()
            commands.append((b"GETRANGE", known, b"0", LONGEST_ARM_BYTES))
    return commands


def _about_user(generation: Generation, user_id: str) -> list[tuple[bytes, ...]]:
    return [(b"GET", known_key(generation.name, user_id).encode()), _about_overlay(user_id)]


def _about_overlay(user_id: str) -> tuple[bytes, ...]:
    return (b"ZRANGE", overlay_key(user_id).encode(), b"0", b"-1", b"WITHSCORES")


def _ask_with_current(client: Client, commands: Sequence[tuple[bytes, ...]]) -> list[Any]:
    """The replies to some commands, and after them the name of the generation in use."""
    current = (b"GET", CURRENT.encode())
    if isinstance(client, redis.RedisCluster):  # its nodes answer in no order
        return [*(ask(client, commands) if commands else ()), *ask(client, [current])]
    return ask(client, [*commands, current])


def _read_in_use(client: Client) -> InUse | None:
    for _ in range(READ_ATTEMPTS):
        generation = current(client)
        if generation is None:
            return None
        popular = cast("bytes | None", client.get(popular_key(generation.name)))
        if popular is not None:  # else publications came between and removed it
            return InUse(generation, msgpack.unpackb(popular))
    raise PublicationError("the list for unknown users is lost; publish again")


def _scored(members: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Members with their scores; older protocols tell them one after the other, newer ones as pairs."""
    if members and isinstance(members[0], list):
        return [(member, float(score)) for member, score in members]
    return [(member, float(score)) for member, score in zip(members[::2], members[1::2], strict=True)]


def _arm_in(known: bytes, otherwise: str) -> str:
    """The first field of what is known of a user, of which only the beginning was read."""
    if not known:
        return otherwise
    unpacker = msgpack.Unpacker()
    unpacker.feed(known)
    unpacker.read_array_header()
    return str(unpacker.unpack())
