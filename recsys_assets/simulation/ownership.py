"""Which user owns which book: a set of pairs that grows to millions and is asked about every day.

The pairs are packed into one sorted array of integers; how they are packed stays in here.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.rows import Flags, Ints

_BITS = np.int64(32)


def packed(first: Ints, second: Ints) -> Ints:
    """One integer for each pair of numbers below 2^31; it sorts like the pair."""
    return (first << _BITS) | second


@dataclass(frozen=True)
class Ownership:
    """Who owns what.

    Attributes:
        pairs: Shape (pairs,), users and books packed, ascending and without repetition.
    """

    pairs: Ints

    @classmethod
    def none(cls) -> "Ownership":
        """Nobody owns anything."""
        return cls(np.zeros(0, dtype=np.int64))

    def includes(self, user: Ints, book: Ints) -> Flags:
        """Whether each user owns the book beside it, shape (len(user),)."""
        wanted = packed(user, book)
        if not len(self.pairs):
            return np.zeros(len(wanted), dtype=bool)
        place = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        is_owned: Flags = self.pairs[place] == wanted
        return is_owned

    def owners(self, is_asked: Flags) -> tuple[Ints, Ints]:
        """The owners of some books.

        Args:
            is_asked: Shape (books,), the books in question.

        Returns:
            Users and their books, both of shape (owners,).
        """
        book = self.pairs & ((np.int64(1) << _BITS) - 1)
        is_found = is_asked[book]
        return self.pairs[is_found] >> _BITS, book[is_found]

    def plus(self, user: Ints, book: Ints) -> "Ownership":
        """With these pairs, none of which is owned yet."""
        new = np.sort(packed(user, book))
        return Ownership(np.insert(self.pairs, np.searchsorted(self.pairs, new), new))

    def minus(self, user: Ints, book: Ints) -> "Ownership":
        """Without these pairs, all of which are owned."""
        return Ownership(np.delete(self.pairs, np.searchsorted(self.pairs, packed(user, book))))
