"""What users do not want to see: books, authors and genres that they block, and blocks that they lift."""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.catalogue import Catalogue, genre_of
from recsys_assets.simulation.clock import times_of_day
from recsys_assets.simulation.names import GENRES
from recsys_assets.simulation.ownership import packed
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.people import People
from recsys_assets.simulation.rows import Flags, Ints, Rows

ITEM, CREATOR, CATEGORY = range(3)
_TARGET_SHARES = (0.5, 0.35, 0.15)
_LIFTED_PER_DAY = 0.01


@dataclass(frozen=True)
class Blocks(Rows):
    """Blocks in force.

    Attributes:
        user: Who blocks.
        target: ITEM, CREATOR or CATEGORY.
        which: Number of the book, of the author, or of the genre.
    """

    user: Ints
    target: Ints
    which: Ints

    @classmethod
    def none(cls) -> "Blocks":
        """Nobody blocks anything."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing)

    def keys(self) -> Ints:
        """One integer per block, equal for equal blocks, shape (blocks,)."""
        return packed(self.user, self.which * 3 + self.target)

    def hide(self, user: Ints, book: Ints, author: Ints, shelf: Ints) -> Flags:
        """Whether each user blocks the book beside it, itself or by its author or genre.

        Args:
            user: Shape (pairs,).
            book: Shape (pairs,).
            author: Shape (pairs,), of the book.
            shelf: Shape (pairs,), of the book.

        Returns:
            Shape (pairs,).
        """
        keys, is_hidden = self.keys(), np.zeros(len(user), dtype=bool)
        for target, which in ((ITEM, book), (CREATOR, author), (CATEGORY, genre_of(shelf))):
            is_hidden |= np.isin(Blocks(user, np.full(len(user), target), which).keys(), keys)
        return is_hidden


@dataclass(frozen=True)
class BlockChanges(Rows):
    """What changed about the blocks on one day.

    Attributes:
        user: Who changed it.
        target: ITEM, CREATOR or CATEGORY.
        which: Number of the book, of the author, or of the genre.
        is_blocked: True when blocked, false when the block was lifted.
        second: Time of day, in seconds since midnight.
    """

    user: Ints
    target: Ints
    which: Ints
    is_blocked: Flags
    second: Ints


@dataclass(frozen=True)
class BlocksOfDay:
    """The blocks around one day.

    Attributes:
        at_some_time: Blocks that were in force at some time of the day: nobody buys against them.
        at_the_end: Blocks in force when the day ends.
        changes: What changed, in order of time; one row at most for each user and target.
    """

    at_some_time: Blocks
    at_the_end: Blocks
    changes: BlockChanges


def next_blocks(
    blocks: Blocks,
    people: People,
    catalogue: Catalogue,
    parameters: StoreParameters,
    rng: np.random.Generator,
) -> BlocksOfDay:
    """Let one day pass for the blocks.

    Args:
        blocks: In force when the day begins.
        people: As of the day.
        catalogue: As of the day.
        parameters: The store's habits.
        rng: The day's source of chance for blocks.
    """
    is_lifted = rng.random(len(blocks)) < _LIFTED_PER_DAY
    lifted, kept = blocks.take(is_lifted), blocks.take(~is_lifted)
    new = _new_blocks(people, catalogue, parameters, rng)
    _, first = np.unique(new.keys(), return_index=True)
    new = new.take(first)
    new = new.take(~np.isin(new.keys(), blocks.keys()))
    changed = new.followed_by(lifted)
    is_blocked, second = np.arange(len(changed)) < len(new), times_of_day(len(changed), rng)
    changes = BlockChanges(changed.user, changed.target, changed.which, is_blocked, second)
    in_order = changes.take(np.argsort(changes.second, kind="stable"))
    return BlocksOfDay(blocks.followed_by(new), kept.followed_by(new), in_order)


def _new_blocks(people: People, catalogue: Catalogue, parameters: StoreParameters, rng: np.random.Generator) -> Blocks:
    """Blocks of readers against things outside their own tastes."""
    readers = np.flatnonzero(people.is_reader)
    mean = parameters.blocks_per_thousand_users * len(people) / 1_000
    count = int(rng.poisson(mean)) if len(readers) else 0
    user = rng.choice(readers, size=count) if count else np.zeros(0, dtype=np.int64)
    target = rng.choice(3, size=count, p=_TARGET_SHARES)
    book = rng.integers(len(catalogue.books), size=count)
    author, genre = catalogue.author[book], rng.integers(len(GENRES), size=count)
    which = np.choose(target, [book, author, genre])
    shelf = catalogue.shelf[book]
    is_liked_genre = (genre_of(people.tastes[user]) == genre[:, None]).any(axis=1)
    is_liked_author = (people.favourites[user] == author[:, None]).any(axis=1)
    is_liked_shelf = (people.tastes[user] == shelf[:, None]).any(axis=1)
    is_liked = np.choose(target, [is_liked_shelf, is_liked_author, is_liked_genre])
    return Blocks(user, target, which).take(~is_liked)
