"""The books of the shop and how they change from day to day: releases, prices, withdrawals, returns to sale.

Days are counted from the first simulated day, which is 0; earlier ones are negative. Who looks at a
book, and what it is called in a file, stays out.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from recsys_assets.simulation.names import GENRES, series_ids, volume_title, work_titles
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.rows import Flags, Floats, Ints, Rows, Texts

NEVER = np.int64(1_000_000)
"""A day that never comes."""
NO_BOOK = np.int64(-1)

_BOOKS_PER_AUTHOR = 10
# A genre has a shelf more for each square root of so many books: three in a shop of 1,500.
_BOOKS_PER_SQUARED_SHELF = 350
_NEW_AUTHOR_SHARE = 0.2
_SERIES_SHARE = 0.4
_LONGEST_SERIES = 12
_NEXT_VOLUME_SHARE = 0.45
_DAYS_BETWEEN_VOLUMES = 28
_MEAN_AGE_DAYS = 250.0
_WITHDRAWN_AT_FIRST = 0.01
_WITHDRAWN_PER_DAY = 0.0006
_BACK_ON_SALE_PER_DAY = 0.04
_REPRICED_PER_DAY = 0.004
_LONGEST_ANNOUNCEMENT_DAYS = 7
_ANNOUNCED_SHARE = 0.3
_LIST_PRICES = np.array([2.99, 3.99, 4.99, 5.99, 6.99, 8.99, 11.99, 14.99])
_PRICE_FACTORS = np.array([0.5, 0.7, 0.9, 1.0])


@dataclass(frozen=True)
class Works(Rows):
    """Novels (works of one volume) and series.

    Attributes:
        title: What all volumes are called.
        author: Number of the author.
        quality: How much attention the work draws, relative to 1; a long tail.
        is_adult: Whether only verified adults may see it.
        planned: Volumes that the author has in mind.
        written: Volumes that exist.
        latest: The newest volume's book.
    """

    title: Texts
    author: Ints
    quality: Floats
    is_adult: Flags
    planned: Ints
    written: Ints
    latest: Ints


@dataclass(frozen=True)
class Books(Rows):
    """Every book that was ever announced; a book's number is its place here.

    Attributes:
        work: The work that it is a volume of.
        volume: Which volume, from 1.
        released: First day on sale.
        withdrawn: First day no longer on sale, or NEVER.
        list_price: Price without any offer, in the shop's currency.
        price: Price today, in the shop's currency.
        next_volume: The book that follows in the series, or NO_BOOK.
    """

    work: Ints
    volume: Ints
    released: Ints
    withdrawn: Ints
    list_price: Floats
    price: Floats
    next_volume: Ints


@dataclass(frozen=True)
class Catalogue:
    """All that the shop offers, and the hidden shelf of each author.

    A shelf is a corner of a genre that its readers share and that no file names: it is what a
    collaborative model can find and a table of genres cannot.

    Attributes:
        books: The books.
        works: The works that they are volumes of.
        author_shelf: Shape (authors,).
        shelves: How many shelves there are; some may be empty.
    """

    books: Books
    works: Works
    author_shelf: Ints
    shelves: int

    @property
    def author(self) -> Ints:
        """Shape (books,)."""
        return self.works.author[self.books.work]

    @property
    def shelf(self) -> Ints:
        """Shape (books,)."""
        return self.author_shelf[self.author]

    @property
    def is_adult(self) -> Flags:
        """Shape (books,)."""
        return self.works.is_adult[self.books.work]

    def titles(self, books: Ints) -> list[str]:
        """The titles of the given books."""
        works = self.books.work[books]
        volumes = zip(self.works.title[works], self.works.planned[works], self.books.volume[books], strict=True)
        return [title if planned == 1 else volume_title(title, volume) for title, planned, volume in volumes]

    def series(self, books: Ints) -> pl.Series:
        """The ids of the series of the given books; null for a novel."""
        works = self.books.work[books]
        return pl.Series(series_ids(works)).set(pl.Series(self.works.planned[works] == 1), None)


def genre_of(shelf: Ints) -> Ints:
    """The genre that each shelf belongs to, as a place in GENRES."""
    return shelf % len(GENRES)


def first_catalogue(parameters: StoreParameters, rng: np.random.Generator) -> Catalogue:
    """The catalogue as it stands on the first day: books of the years before, some of them withdrawn."""
    per_genre = 1 + int(np.sqrt(parameters.items / _BOOKS_PER_SQUARED_SHELF))
    shelves = len(GENRES) * per_genre
    author_shelf = _shelves_of_authors(1 + parameters.items // _BOOKS_PER_AUTHOR, shelves, rng)
    works = _new_works(rng.integers(len(author_shelf), size=parameters.items), parameters, rng)
    written = rng.integers(1, works.planned + 1)
    before = np.cumsum(written) - written
    written = np.minimum(written, parameters.items - before)
    works = replace(works, written=written, latest=before + written - 1).take(before < parameters.items)
    return Catalogue(_backlist(works, rng), works, author_shelf, shelves)


def next_catalogue(
    catalogue: Catalogue, today: int, parameters: StoreParameters, rng: np.random.Generator
) -> tuple[Catalogue, Ints]:
    """Let one day pass for the catalogue.

    Args:
        catalogue: As of the day before.
        today: The day that begins.
        parameters: The store's size and habits.
        rng: The day's source of chance for the catalogue.

    Returns:
        The catalogue as of today, and the books that changed or are new, ascending.
    """
    books = catalogue.books
    chance = rng.random((3, len(books)))
    is_sold = books.withdrawn == NEVER
    is_leaving = is_sold & (books.released <= today) & (chance[0] < _WITHDRAWN_PER_DAY)
    is_returning = ~is_sold & (chance[0] < _BACK_ON_SALE_PER_DAY)
    withdrawn = np.where(is_leaving, today, np.where(is_returning, NEVER, books.withdrawn))
    offer = np.round(books.list_price * _PRICE_FACTORS[(chance[1] * len(_PRICE_FACTORS)).astype(int)], 2)
    price = np.where(is_sold & (chance[2] < _REPRICED_PER_DAY), offer, books.price)
    is_changed = is_leaving | is_returning | (price != books.price)
    kept = replace(catalogue, books=replace(books, withdrawn=withdrawn, price=price))
    grown = _with_releases(kept, today, parameters, rng)
    return grown, np.concatenate((np.flatnonzero(is_changed), np.arange(len(books), len(grown.books))))


def _with_releases(
    catalogue: Catalogue, today: int, parameters: StoreParameters, rng: np.random.Generator
) -> Catalogue:
    books, works, count = catalogue.books, catalogue.works, parameters.new_items_per_day
    is_due = (works.written < works.planned) & (books.released[works.latest] <= today - _DAYS_BETWEEN_VOLUMES)
    due = np.flatnonzero(is_due)
    continued = rng.choice(due, size=min(len(due), int(rng.binomial(count, _NEXT_VOLUME_SHARE))), replace=False)
    debuts = count - len(continued)
    is_new_author = rng.random(debuts) < _NEW_AUTHOR_SHARE
    new_shelves = _shelves_of_authors(int(is_new_author.sum()), catalogue.shelves, rng)
    author = rng.integers(len(catalogue.author_shelf), size=debuts)
    author[is_new_author] = len(catalogue.author_shelf) + np.arange(len(new_shelves))
    works = works.followed_by(_new_works(author, parameters, rng))

    work = np.concatenate((continued, np.arange(len(works) - debuts, len(works))))
    wait = rng.integers(1, _LONGEST_ANNOUNCEMENT_DAYS + 1, size=count) * (rng.random(count) < _ANNOUNCED_SHARE)
    volumes = _volumes(work, works.written[work] + 1, today + wait, rng)
    next_volume, written, latest = books.next_volume.copy(), works.written.copy(), works.latest.copy()
    next_volume[works.latest[continued]] = np.arange(len(books), len(books) + len(continued))
    written[work] += 1
    latest[work] = np.arange(len(books), len(books) + count)
    all_books = replace(books, next_volume=next_volume).followed_by(volumes)
    return replace(
        catalogue,
        books=all_books,
        works=replace(works, written=written, latest=latest),
        author_shelf=np.concatenate((catalogue.author_shelf, new_shelves)),
    )


def _shelves_of_authors(count: int, shelves: int, rng: np.random.Generator) -> Ints:
    """Shape (count,); genres are listed in falling order of size, and so are the shelves in each."""
    size = 1 / np.sqrt(1 + np.arange(shelves))
    return rng.choice(shelves, size=count, p=size / size.sum())


def _new_works(author: Ints, parameters: StoreParameters, rng: np.random.Generator) -> Works:
    """Works without any volume yet, one for each author given."""
    count = len(author)
    is_series = rng.random(count) < _SERIES_SHARE
    return Works(
        title=work_titles(count, rng),
        author=author,
        quality=rng.lognormal(sigma=1.0, size=count),
        is_adult=rng.random(count) < parameters.adult_share,
        planned=np.where(is_series, rng.integers(2, _LONGEST_SERIES + 1, size=count), 1),
        written=np.zeros(count, dtype=np.int64),
        latest=np.full(count, NO_BOOK),
    )


def _volumes(work: Ints, volume: Ints, released: Ints, rng: np.random.Generator) -> Books:
    """Books at their list price that nothing follows yet."""
    count = len(work)
    price = rng.choice(_LIST_PRICES, size=count)
    return Books(work, volume, released, np.full(count, NEVER), price, price, np.full(count, NO_BOOK))


def _backlist(works: Works, rng: np.random.Generator) -> Books:
    """All written volumes of the works, with a history of releases that ends before the first day."""
    work = np.repeat(np.arange(len(works)), works.written)
    place = np.arange(len(work))
    newer = works.latest[work] - place
    latest_release = -1 - rng.exponential(_MEAN_AGE_DAYS, size=len(works)).astype(np.int64)
    released = latest_release[work] - newer * _DAYS_BETWEEN_VOLUMES
    books = _volumes(work, works.written[work] - newer, released, rng)
    is_withdrawn = (rng.random(len(work)) < _WITHDRAWN_AT_FIRST) & (released < -1)
    withdrawn = np.where(is_withdrawn, rng.integers(released, 0), books.withdrawn)
    return replace(books, withdrawn=withdrawn, next_volume=np.where(newer > 0, place + 1, NO_BOOK))
