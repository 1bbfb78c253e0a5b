"""What a purchase leads to on later days: a refund, a rating, or the wish to read the next volume.

Plans are made here and kept until they are due; carrying them out is the business of `visits` and `outcomes`.
"""

from dataclasses import dataclass, replace

import numpy as np

from recsys_assets.simulation.catalogue import NO_BOOK
from recsys_assets.simulation.ownership import Ownership
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.rows import Floats, Ints, Rows
from recsys_assets.simulation.storefront import Storefront

REFUND, RATING, NEXT_VOLUME = range(3)
LONGEST_REFUND_DAYS = 14
_REFUNDED_AT_ONCE = 0.4
_LONGEST_RATING_DAYS = 20
_READS_ON = 0.7
_READS_ON_PER_DAY = 0.35
_COMES_FOR_THE_NEW_VOLUME = 0.6
_LONGEST_COMING_DAYS = 4


@dataclass(frozen=True)
class Purchases(Rows):
    """Books bought on one day.

    Attributes:
        user: Who bought.
        book: What.
        second: Time of day, in seconds since midnight.
        price: What was paid, in the shop's currency.
    """

    user: Ints
    book: Ints
    second: Ints
    price: Floats


@dataclass(frozen=True)
class Plans(Rows):
    """What users will do.

    Attributes:
        kind: REFUND, RATING or NEXT_VOLUME.
        due: The day, counted from the first simulated day.
        user: Who will do it.
        book: With which book.
        not_before: The time of day before which it cannot happen, in seconds since midnight.
        paid: What a refund gives back, in the shop's currency.
    """

    kind: Ints
    due: Ints
    user: Ints
    book: Ints
    not_before: Ints
    paid: Floats

    @classmethod
    def none(cls) -> "Plans":
        """Nobody plans anything."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, nothing, nothing, np.zeros(0))

    def due_on(self, today: int, kind: int) -> "Plans":
        """The plans of one kind that are carried out today."""
        return self.take((self.due == today) & (self.kind == kind))

    def after(self, today: int) -> "Plans":
        """The plans that are left when the day ends."""
        return self.take(self.due > today)


def plans_after(
    bought: Purchases, store: Storefront, today: int, parameters: StoreParameters, rng: np.random.Generator
) -> Plans:
    """What today's purchases lead to; a book that is given back is neither rated nor read on.

    Args:
        bought: Today's purchases.
        store: The shop today.
        today: The day.
        parameters: The store's habits.
        rng: The day's source of chance for plans.
    """
    count = len(bought)
    mind = rng.random(count)
    is_refund = mind < parameters.refund_share
    is_rating = ~is_refund & (mind < parameters.refund_share + parameters.rating_share)
    refund_days = rng.integers(1, LONGEST_REFUND_DAYS + 1, size=count) * (rng.random(count) >= _REFUNDED_AT_ONCE)
    rating_days = rng.integers(1, _LONGEST_RATING_DAYS + 1, size=count)
    next_volume = store.books.next_volume[bought.book]
    reads_on = ~is_refund & (next_volume != NO_BOOK) & (rng.random(count) < _READS_ON)
    reading_days = rng.geometric(_READS_ON_PER_DAY, size=count)
    refunds = _planned(REFUND, bought, today + refund_days, bought.book).take(is_refund)
    ratings = _planned(RATING, bought, today + rating_days, bought.book).take(is_rating)
    continuations = _planned(NEXT_VOLUME, bought, today + reading_days, next_volume).take(reads_on)
    on_the_same_day = np.where(refunds.due == today, refunds.not_before, 0)
    return replace(refunds, not_before=on_the_same_day).followed_by(ratings, continuations)


def plans_of_fans(owned: Ownership, store: Storefront, today: int, rng: np.random.Generator) -> Plans:
    """Owners of a volume come back when the next one goes on sale.

    Args:
        owned: Who owns what when the day begins.
        store: The shop today.
        today: The day.
        rng: The day's source of chance for fans.
    """
    next_volume = store.books.next_volume
    has_news = (next_volume != NO_BOOK) & (store.books.released[next_volume] == today)
    user, book = owned.owners(has_news)
    is_coming = rng.random(len(user)) < _COMES_FOR_THE_NEW_VOLUME
    due = today + rng.integers(_LONGEST_COMING_DAYS + 1, size=len(user))
    fans = Purchases(user, book, np.zeros(len(user), dtype=np.int64), np.zeros(len(user)))
    return _planned(NEXT_VOLUME, fans, due, next_volume[book]).take(is_coming)


def _planned(kind: int, bought: Purchases, due: Ints, book: Ints) -> Plans:
    return Plans(np.full(len(bought), kind), due, bought.user, book, bought.second, bought.price)
