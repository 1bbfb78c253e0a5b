"""What the shop shows on one day: which books, how strongly each draws attention, and who may see it."""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.blocks import Blocks
from recsys_assets.simulation.catalogue import NEVER, Books, Catalogue
from recsys_assets.simulation.draw import GroupedDraw
from recsys_assets.simulation.people import Fashion, People
from recsys_assets.simulation.rows import Flags, Floats, Ints

_LASTING_ATTENTION = 0.4
_NOVELTY_ATTENTION = 2.0
_NOVELTY_FADES_DAYS = 12.0
_ANNOUNCED_ATTENTION = 0.3
_LATER_VOLUME_ATTENTION = 0.25


@dataclass(frozen=True)
class Storefront:
    """The shop on one day, ready for many draws.

    Attributes:
        books: The catalogue as of the day.
        author: Shape (books,).
        shelf: Shape (books,).
        is_adult: Shape (books,).
        is_announced: Shape (books,): may be looked at but not bought yet.
        is_on_sale: Shape (books,).
        by_shelf: Draws by attention from the books of a shelf.
        by_author: Draws by attention from the books of an author.
        by_attention: Draws by attention from all books; it has one group.
        by_nothing: Draws from all books alike; it has one group.
    """

    books: Books
    author: Ints
    shelf: Ints
    is_adult: Flags
    is_announced: Flags
    is_on_sale: Flags
    by_shelf: GroupedDraw
    by_author: GroupedDraw
    by_attention: GroupedDraw
    by_nothing: GroupedDraw

    def may_be_seen(self, people: People, blocks: Blocks, user: Ints, book: Ints) -> Flags:
        """Whether each user may look at the book beside it, shape (len(user),).

        Args:
            people: The accounts as of the day.
            blocks: Blocks that count on the day.
            user: Shape (pairs,).
            book: Shape (pairs,); NO_BOOK may not be seen.
        """
        is_shown = (book >= 0) & (self.is_on_sale[book] | self.is_announced[book])
        is_old_enough = people.is_verified[user] | ~self.is_adult[book]
        return is_shown & is_old_enough & ~blocks.hide(user, book, self.author[book], self.shelf[book])


def storefront(catalogue: Catalogue, today: int) -> Storefront:
    """Lay out the shop for one day."""
    books, author, shelf = catalogue.books, catalogue.author, catalogue.shelf
    is_announced, is_on_sale = books.released > today, (books.released <= today) & (books.withdrawn == NEVER)
    is_shown = is_announced | is_on_sale
    attention = _attention(catalogue, today) * is_shown
    everything = np.zeros(len(books), dtype=np.int64)
    return Storefront(
        books=books,
        author=author,
        shelf=shelf,
        is_adult=catalogue.is_adult,
        is_announced=is_announced & (books.withdrawn == NEVER),
        is_on_sale=is_on_sale,
        by_shelf=GroupedDraw.by(shelf, catalogue.shelves, attention),
        by_author=GroupedDraw.by(author, len(catalogue.author_shelf), attention),
        by_attention=GroupedDraw.by(everything, 1, attention),
        by_nothing=GroupedDraw.by(everything, 1, is_shown.astype(float)),
    )


def fashion(catalogue: Catalogue) -> Fashion:
    """The books that form tastes: all that were ever announced, the good ones more than the others."""
    quality = catalogue.works.quality[catalogue.books.work]
    return Fashion(
        of_all=GroupedDraw.by(np.zeros(len(quality), dtype=np.int64), 1, quality),
        of_shelf=GroupedDraw.by(catalogue.shelf, catalogue.shelves, quality),
        shelf=catalogue.shelf,
        author=catalogue.author,
    )


def _attention(catalogue: Catalogue, today: int) -> Floats:
    """Shape (books,): high at the release, falling with age; later volumes are found less."""
    books = catalogue.books
    age_days = today - books.released
    novelty = _NOVELTY_ATTENTION * np.exp(-np.maximum(age_days, 0) / _NOVELTY_FADES_DAYS)
    by_age = np.where(age_days < 0, _ANNOUNCED_ATTENTION, _LASTING_ATTENTION + novelty)
    by_volume = np.where(books.volume == 1, 1.0, _LATER_VOLUME_ATTENTION)
    return catalogue.works.quality[books.work] * by_age * by_volume
