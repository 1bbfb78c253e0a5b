"""Reading published lists for many requests in one round trip, always from one whole generation.

A batch asks for every user's list and overlay, and last for the name of the generation in use. Where that is not the
one that was read from, a publication came between, and the batch is read again: so what is known of a generation can be
kept in memory without ever serving from an old one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgpack

from recsys_assets.api.store_guard import StoreGuard
from recsys_assets.exposure import DEFAULT_ARM
from recsys_assets.serving.bulk import ask
from recsys_assets.serving.generation import Generation
from recsys_assets.serving.generations import READ_ATTEMPTS, PublicationError, current
from recsys_assets.serving.keys import CURRENT, known_key, list_key, overlay_key, popular_key
from recsys_assets.serving.overlay import bought, decoded
from resources.online_store import Client

LONGEST_ARM_BYTES = b"63"
"""What the arm of a known user takes at most, at the beginning of what is known."""


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


class StoredLists:
    """Reads lists of the generation in use.

    Args:
        guard: The online store.
        refunds_take_back: As in the rules.
        owned_is_excluded: As in the rules: if not, what was bought stays on the list.
    """

    def __init__(self, guard: StoreGuard, *, refunds_take_back: bool, owned_is_excluded: bool) -> None:
        self._guard = guard
        self._refunds_take_back, self._owned_is_excluded = refunds_take_back, owned_is_excluded
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
        with self._guard.asking() as client:
            for _ in range(READ_ATTEMPTS):
                in_use = self._in_use
                if in_use is not None:
                    *answers, name = self._ask(client, in_use.generation, user_ids)
                    if name == in_use.generation.name.encode():
                        return [*self._lists(in_use, user_ids, answers)]
                self._in_use = _read_in_use(client)
                if self._in_use is None:
                    return [None] * len(user_ids)
        raise PublicationError("publications follow each other too quickly to read from one")

    def look(self) -> Generation | None:
        """The generation in use now.

        Raises:
            StoreGoneError: The store does not answer.
        """
        self.read(())
        return None if self._in_use is None else self._in_use.generation

    def _ask(self, client: Client, generation: Generation, user_ids: Sequence[str]) -> list[Any]:
        """For each user the list, the overlay and, where there are several, the arm; then the generation in use."""
        commands: list[tuple[bytes, ...]] = []
        for user_id in user_ids:
            commands.append((b"GET", list_key(generation.name, user_id).encode()))
            if self._owned_is_excluded:
                commands.append((b"ZRANGE", overlay_key(user_id).encode(), b"0", b"-1", b"WITHSCORES"))
            if len(generation.arms) > 1:
                known = known_key(generation.name, user_id).encode()
                commands.append((b"GETRANGE", known, b"0", LONGEST_ARM_BYTES))
        return ask(client, [*commands, (b"GET", CURRENT.encode())])

    def _lists(self, in_use: InUse, user_ids: Sequence[str], answers: Sequence[Any]) -> list[StoredList]:
        remaining = iter(answers)
        lists = []
        only_arm = next(iter(in_use.generation.arms), DEFAULT_ARM)
        for user_id in user_ids:
            own = next(remaining)
            overlay = next(remaining) if self._owned_is_excluded else ()
            arm = _arm_in(next(remaining), only_arm) if len(in_use.generation.arms) > 1 else only_arm
            item_ids = in_use.popular if own is None else msgpack.unpackb(own)
            if overlay:
                hidden = bought(decoded(user_id, _scored(overlay)), refunds_take_back=self._refunds_take_back)
                item_ids = [item for item in item_ids if item not in hidden]
            lists.append(StoredList(in_use, item_ids, own is not None, arm))
        return lists


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
    if isinstance(members[0], list):
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
