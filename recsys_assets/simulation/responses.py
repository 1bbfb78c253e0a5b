"""What readers do with the lists that the shop shows them: who comes by, and which of the shown books they look at.

Which lists are shown is the caller's; what comes of a look is decided in `outcomes`, as of every other look.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.simulation.clock import times_of_day
from recsys_assets.simulation.ownership import Ownership
from recsys_assets.simulation.people import People
from recsys_assets.simulation.rows import Floats, Ints, Rows, Texts
from recsys_assets.simulation.storefront import Storefront
from recsys_assets.simulation.visits import LATEST_LOOK, Visits

_COMES = 0.3
_COMES_AT_MOST = 0.9
_SECONDS_PER_PLACE = 12
# How likely a book at some place is noticed at all: the position bias.
_NOTICED_LESS_PER_PLACE = 0.25
# How likely a noticed book is looked at, by what speaks for it, and how likely the look becomes a purchase.
_BY_NOTHING, _BY_TASTE, _BY_FAVOURITE, _BY_SERIES = 0.015, np.array([0.30, 0.20, 0.12]), 0.40, 0.60
_BUYS, _BUYS_TASTE, _BUYS_FAVOURITE, _BUYS_SERIES = 0.03, 0.16, 0.22, 0.75
_NEW_FOR_DAYS = 14
_NOVELTY = 1.5


@dataclass(frozen=True)
class Shown(Rows):
    """The lists that the shop would show today: one row per user and place.

    Attributes:
        user: Whose list.
        book: The book at the place.
        position: The place, from 1.
        family: The model family with the largest share in the book's place.
        version: Its registry version.
        arm: The experiment arm of the user.
    """

    user: Ints
    book: Ints
    position: Ints
    family: Texts
    version: Texts
    arm: Texts

    @classmethod
    def nothing(cls) -> "Shown":
        """No list is shown."""
        numbers, words = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=object)
        return cls(numbers, numbers, numbers, words, words, words)


@dataclass(frozen=True)
class Impressions(Rows):
    """Places of lists that a user was really shown.

    Attributes:
        shown: Place in the lists of the day.
        second: Time of day, in seconds since midnight; of one list, one moment.
    """

    shown: Ints
    second: Ints


def responses_of_day(
    shown: Shown, people: People, store: Storefront, owned: Ownership, today: int, rng: np.random.Generator
) -> tuple[Impressions, Visits]:
    """Who comes and is shown their list, and what they look at there.

    A reader notices a place the less the further down it is (the position-based model of Craswell et al., "An
    Experimental Comparison of Click Position-Bias Models", WSDM 2008), and looks at a noticed book for its shelf, its
    author, as the next volume of a series, and the more if it is new.

    Args:
        shown: The lists of the day.
        people: The accounts as of the day.
        store: The shop today.
        owned: Who owns what when the day begins.
        today: The day.
        rng: The day's source of chance for responses.
    """
    comes = (rng.random(len(people)) < np.minimum(_COMES_AT_MOST, _COMES * people.activity)) & people.is_reader
    arrival = np.minimum(times_of_day(len(people), rng), LATEST_LOOK - 3_600)
    # Files of a larger store may lie in the landing; whom and what this one does not have, it cannot show.
    exists = (shown.user < len(people)) & (shown.book < len(store.shelf))
    seen = np.flatnonzero(exists & comes[np.where(exists, shown.user, 0)])
    rows = shown.take(seen)
    appeal, buys = _appeal(rows, people, store, owned, today)
    noticed = 1 / (1 + _NOTICED_LESS_PER_PLACE * (rows.position - 1))
    is_looked_at = rng.random(len(rows)) < noticed * appeal
    looked = rows.take(is_looked_at)
    second = arrival[looked.user] + looked.position * _SECONDS_PER_PLACE
    looks = Visits(looked.user, looked.book, second, buys[is_looked_at])
    return Impressions(seen, arrival[rows.user]), looks


def _appeal(rows: Shown, people: People, store: Storefront, owned: Ownership, today: int) -> tuple[Floats, Floats]:
    """How likely each shown book is looked at once noticed, and how likely that look becomes a purchase."""
    appeal, buys = np.full(len(rows), _BY_NOTHING), np.full(len(rows), _BUYS)
    shelf, author = store.shelf[rows.book], store.author[rows.book]
    for place in reversed(range(people.tastes.shape[1])):
        is_liked = people.tastes[rows.user, place] == shelf
        appeal[is_liked], buys[is_liked] = _BY_TASTE[place], _BUYS_TASTE
    is_favourite = (people.favourites[rows.user] == author[:, np.newaxis]).any(axis=1)
    appeal[is_favourite], buys[is_favourite] = _BY_FAVOURITE, _BUYS_FAVOURITE
    before = _volume_before(store.books.next_volume)[rows.book]
    reads_on = (before >= 0) & owned.includes(rows.user, before)
    appeal[reads_on], buys[reads_on] = _BY_SERIES, _BUYS_SERIES
    is_new = store.books.released[rows.book] > today - _NEW_FOR_DAYS
    appeal = np.where(is_new, np.minimum(1.0, appeal * _NOVELTY), appeal)
    return np.where(owned.includes(rows.user, rows.book), 0.0, appeal), buys


def _volume_before(next_volume: Ints) -> Ints:
    """Shape (books,): the volume that a book continues, or NO_BOOK."""
    before = np.full(len(next_volume), -1)
    has_next = np.flatnonzero(next_volume >= 0)
    before[next_volume[has_next]] = has_next
    return before
