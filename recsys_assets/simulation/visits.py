"""Who looks at which book today, and why: taste, favourite authors, the crowd, chance, or the next volume.

What comes of a look (a cart, a wish, a purchase) is decided in `outcomes`.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.blocks import Blocks
from recsys_assets.simulation.clock import SECONDS_PER_DAY, times_of_day
from recsys_assets.simulation.people import FAVOURITES, TASTES, People
from recsys_assets.simulation.plans import Plans
from recsys_assets.simulation.rows import Floats, Ints, Rows
from recsys_assets.simulation.storefront import Storefront

LATEST_LOOK = SECONDS_PER_DAY - 2_000
"""No look begins later, so that what comes of it belongs to the same day; in seconds since midnight."""

WEEK = (0.95, 0.92, 0.92, 0.95, 1.0, 1.12, 1.18)
"""Traffic of each day from Monday to Sunday, relative to the mean."""

_TASTE, _FAVOURITE, _CROWD, _CHANCE = range(4)
_MOTIVE_SHARES = (0.5, 0.2, 0.22, 0.08)
# How likely a look becomes a purchase, by motive.
_BUYS = np.array([0.16, 0.22, 0.08, 0.02])
_BUYS_THE_NEXT_VOLUME = 0.75
_STAFF_BUYS = 0.05
_TASTE_SHARES = (0.6, 0.28, 0.12)
# Few readers come on any day, and those who do look at several books.
_BURSTINESS = 0.35
_MOST_VIEWS_OF_READER = 80
_SECONDS_BETWEEN_LOOKS = (20, 140)
_STAFF_WORKS = 0.3
_STAFF_VIEWS = (20, 90)
_BOT_CRAWLS = 0.15
_BOT_VIEWS = (330, 2_000)


@dataclass(frozen=True)
class Visits(Rows):
    """Looks at books on one day.

    Attributes:
        user: Who looks.
        book: At what; NO_BOOK where the search found nothing.
        second: Time of day, in seconds since midnight.
        buys: Probability that the look becomes a purchase, if the user may buy the book.
    """

    user: Ints
    book: Ints
    second: Ints
    buys: Floats


def visits_of_day(
    *,
    people: People,
    store: Storefront,
    blocks: Blocks,
    continuations: Plans,
    mean_views: float,
    rng: np.random.Generator,
) -> Visits:
    """All looks of the day at books that the users may see; machines see everything.

    Args:
        people: The accounts as of the day.
        store: The shop today.
        blocks: Blocks that count today.
        continuations: Readers who come for the next volume today.
        mean_views: Mean views of a reader today.
        rng: The day's source of chance for visits.
    """
    of_people = _browsing(people, store, mean_views, rng).followed_by(
        _reading_on(continuations, rng), _staff_clicking(people, store, rng)
    )
    is_seen = store.may_be_seen(people, blocks, of_people.user, of_people.book)
    crawled = _crawling(people, store, rng)
    return of_people.take(is_seen).followed_by(crawled.take(crawled.book >= 0))


def _browsing(people: People, store: Storefront, mean_views: float, rng: np.random.Generator) -> Visits:
    mood = rng.gamma(_BURSTINESS, 1 / _BURSTINESS, size=len(people))
    views = rng.poisson(mean_views * people.activity * people.is_reader * mood)
    user = np.repeat(np.arange(len(people)), np.minimum(views, _MOST_VIEWS_OF_READER))
    motive = rng.choice(len(_MOTIVE_SHARES), size=len(user), p=_MOTIVE_SHARES)
    taste = rng.choice(TASTES, size=len(user), p=_TASTE_SHARES)
    favourite = rng.integers(FAVOURITES, size=len(user))
    anything = np.zeros(len(user), dtype=np.int64)
    found = [
        store.by_shelf.one_of_each(people.tastes[user, taste], rng),
        store.by_author.one_of_each(people.favourites[user, favourite], rng),
        store.by_attention.one_of_each(anything, rng),
        store.by_nothing.one_of_each(anything, rng),
    ]
    return Visits(user, np.choose(motive, found), _in_sessions(user, rng), _BUYS[motive])


def _reading_on(continuations: Plans, rng: np.random.Generator) -> Visits:
    count = len(continuations)
    second = np.minimum(times_of_day(count, rng), LATEST_LOOK)
    return Visits(continuations.user, continuations.book, second, np.full(count, _BUYS_THE_NEXT_VOLUME))


def _staff_clicking(people: People, store: Storefront, rng: np.random.Generator) -> Visits:
    user = _busy(people.is_test.nonzero()[0], _STAFF_WORKS, _STAFF_VIEWS, rng)
    book = store.by_nothing.one_of_each(np.zeros(len(user), dtype=np.int64), rng)
    return Visits(user, book, _in_sessions(user, rng), np.full(len(user), _STAFF_BUYS))


def _crawling(people: People, store: Storefront, rng: np.random.Generator) -> Visits:
    user = _busy(people.is_bot.nonzero()[0], _BOT_CRAWLS, _BOT_VIEWS, rng)
    book = store.by_nothing.one_of_each(np.zeros(len(user), dtype=np.int64), rng)
    return Visits(user, book, rng.integers(LATEST_LOOK, size=len(user)), np.zeros(len(user)))


def _busy(users: Ints, share: float, views: tuple[int, int], rng: np.random.Generator) -> Ints:
    """The users who are at work today, each repeated once per view; equal users lie together."""
    today = users[rng.random(len(users)) < share]
    return np.repeat(today, rng.integers(*views, size=len(today)))


def _in_sessions(user: Ints, rng: np.random.Generator) -> Ints:
    """Times of day such that each user's looks follow each other in one session.

    Args:
        user: Shape (looks,), equal users together.
        rng: Source of chance.
    """
    users, begin, looks = np.unique(user, return_index=True, return_counts=True)
    passed = np.cumsum(rng.integers(*_SECONDS_BETWEEN_LOOKS, size=len(user)))
    since_begin = passed - np.repeat(passed[begin], looks)
    length = since_begin[begin + looks - 1]
    start = np.minimum(times_of_day(len(users), rng), LATEST_LOOK - length)
    return np.repeat(start, looks) + since_begin
