"""What comes of the day's looks and plans: carts, wishes, purchases, refunds and ratings.

This is where a purchase is allowed or not. How events are written down is said in `landing_files`.
"""

from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from recsys_assets.columns import EVENT_TYPES
from recsys_assets.simulation.clock import SECONDS_PER_DAY, moved_out_of_gap, times_of_day
from recsys_assets.simulation.ownership import Ownership, packed
from recsys_assets.simulation.plans import RATING, REFUND, Plans, Purchases
from recsys_assets.simulation.rows import Floats, Ints, Rows
from recsys_assets.simulation.storefront import Storefront
from recsys_assets.simulation.visits import Visits

_CARTED_BEFORE_PURCHASE = 0.6
_CARTED_ONLY = 0.04
_WISHED = 0.03
_WISHED_WHEN_ANNOUNCED = 0.2
# A cart or wish follows its look, a purchase follows the cart; in seconds.
_UNTIL_CART = (10, 120)
_UNTIL_PURCHASE = (150, 900)
_UNTIL_REFUND = 120


@dataclass(frozen=True)
class Events(Rows):
    """What users did on one day.

    Attributes:
        user: Who.
        book: With what.
        action: Place in EVENT_TYPES.
        second: Time of day, in seconds since midnight.
        price: Paid or given back, in the shop's currency; NaN where no money moved.
    """

    user: Ints
    book: Ints
    action: Ints
    second: Ints
    price: Floats


def purchases_among(
    visits: Visits, store: Storefront, owned: Ownership, rng: np.random.Generator
) -> tuple[Purchases, Ints]:
    """Decide which looks become purchases.

    Nobody buys what is not on sale today, or what they own already; what a user may not see is not among
    the looks.

    Args:
        visits: The day's looks.
        store: The shop today.
        owned: Who owns what when the day begins.
        rng: The day's source of chance for outcomes.

    Returns:
        The purchases, and the look that each came of.
    """
    is_wanted = rng.random(len(visits)) < visits.buys
    is_allowed = store.is_on_sale[visits.book] & ~owned.includes(visits.user, visits.book)
    wanted = np.flatnonzero(is_wanted & is_allowed)
    in_order = wanted[np.argsort(visits.second[wanted], kind="stable")]
    _, first = np.unique(packed(visits.user[in_order], visits.book[in_order]), return_index=True)
    looks = in_order[first]
    bought = visits.take(looks)
    second = bought.second + rng.integers(*_UNTIL_PURCHASE, size=len(looks))
    return Purchases(bought.user, bought.book, second, store.books.price[bought.book]), looks


def events_of_day(
    *,
    visits: Visits,
    bought: Purchases,
    looks: Ints,
    due: Plans,
    store: Storefront,
    rng: np.random.Generator,
) -> Events:
    """All events of the day, in no order yet.

    Args:
        visits: The day's looks.
        bought: The day's purchases.
        looks: Shape (purchases,), the look that each purchase came of.
        due: Refunds and ratings that are carried out today.
        store: The shop today.
        rng: The day's source of chance for outcomes.
    """
    is_bought = np.zeros(len(visits), dtype=bool)
    is_bought[looks] = True
    is_carted = rng.random(len(visits)) < np.where(is_bought, _CARTED_BEFORE_PURCHASE, _CARTED_ONLY)
    wishing = np.where(store.is_announced[visits.book], _WISHED_WHEN_ANNOUNCED, _WISHED)
    is_wished = ~is_bought & (rng.random(len(visits)) < wishing * (visits.buys > 0))
    carted = visits.take(is_carted & store.is_on_sale[visits.book] & (visits.buys > 0))
    wished = visits.take(is_wished)
    return _events("view", visits.user, visits.book, visits.second).followed_by(
        _events("cart", carted.user, carted.book, carted.second + rng.integers(*_UNTIL_CART, size=len(carted))),
        _events("wish", wished.user, wished.book, wished.second + rng.integers(*_UNTIL_CART, size=len(wished))),
        _events("purchase", bought.user, bought.book, bought.second, bought.price),
        _carried_out(due, rng),
    )


def in_order(events: Events, day: date, zone: ZoneInfo) -> Events:
    """The events sorted by time, moved to times that exist on the day; of equal ones, one is kept."""
    moved = replace(events, second=moved_out_of_gap(events.second, day, zone))
    ordered = moved.take(np.lexsort((moved.action, moved.book, moved.user, moved.second)))
    keys = np.stack((ordered.action, ordered.book, ordered.user, ordered.second))
    is_first = np.concatenate(([True], (keys[:, 1:] != keys[:, :-1]).any(axis=0)))[: len(ordered)]
    return ordered.take(is_first)


def _carried_out(due: Plans, rng: np.random.Generator) -> Events:
    """Refunds and ratings at some time of the day, a refund always after its purchase."""
    second = np.maximum(times_of_day(len(due), rng), due.not_before + _UNTIL_REFUND)
    second = np.minimum(second, SECONDS_PER_DAY - 1)
    refunds, ratings = due.kind == REFUND, due.kind == RATING
    return _events("refund", due.user[refunds], due.book[refunds], second[refunds], due.paid[refunds]).followed_by(
        _events("rating", due.user[ratings], due.book[ratings], second[ratings])
    )


def _events(action: str, user: Ints, book: Ints, second: Ints, price: Floats | None = None) -> Events:
    paid = np.full(len(user), np.nan) if price is None else price
    return Events(user, book, np.full(len(user), EVENT_TYPES.index(action)), second, paid)
