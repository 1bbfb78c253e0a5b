"""The accounts of the shop: readers with tastes, test accounts and bots, and how they change from day to day.

What they do with books stays out.
"""

from dataclasses import dataclass, replace

import numpy as np

from recsys_assets.simulation.draw import GroupedDraw
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.rows import Flags, Floats, Ints, Rows

TASTES = 3
"""Shelves that a reader likes."""
FAVOURITES = 4
"""Authors that a reader likes."""
_OLDEST_ACCOUNT_DAYS = 700
_ACTIVITY_SIGMA = 1.0
_VERIFIED_PER_DAY = 0.001
_LAPSED_PER_DAY = 0.0002


@dataclass(frozen=True)
class People(Rows):
    """Every account that was ever opened; a user's number is the place here.

    Attributes:
        signed_up: Day of the registration, counted from the first simulated day.
        is_verified: Whether the user is a verified adult.
        is_test: Whether the shop's staff click around with the account.
        is_bot: Whether a machine uses the account.
        activity: Views on a day relative to the mean reader; a heavy tail.
        tastes: Shape (users, TASTES), the shelves that the reader likes, the dearest first.
        favourites: Shape (users, FAVOURITES), the authors that the reader likes, from those shelves.
    """

    signed_up: Ints
    is_verified: Flags
    is_test: Flags
    is_bot: Flags
    activity: Floats
    tastes: Ints
    favourites: Ints

    @property
    def is_reader(self) -> Flags:
        """Shape (users,): neither a bot nor a test account."""
        return ~(self.is_bot | self.is_test)


@dataclass(frozen=True)
class Fashion:
    """The books among which a newcomer's tastes are formed.

    Attributes:
        of_all: Draws from all books; it has one group.
        of_shelf: Draws from the books of a shelf.
        shelf: Shape (books,).
        author: Shape (books,).
    """

    of_all: GroupedDraw
    of_shelf: GroupedDraw
    shelf: Ints
    author: Ints


def first_people(parameters: StoreParameters, fashion: Fashion, rng: np.random.Generator) -> People:
    """The accounts that exist on the first day, opened during the two years before."""
    signed_up = np.sort(-rng.integers(1, _OLDEST_ACCOUNT_DAYS, size=parameters.users))
    people = _newcomers(signed_up, parameters, fashion, rng)
    is_bot = np.isin(np.arange(len(people)), rng.permutation(len(people))[: parameters.bots])
    return replace(people, is_bot=is_bot, is_test=people.is_test & ~is_bot)


def next_people(
    people: People, today: int, parameters: StoreParameters, fashion: Fashion, rng: np.random.Generator
) -> tuple[People, Ints]:
    """Let one day pass for the accounts.

    Args:
        people: As of the day before.
        today: The day that begins.
        parameters: The store's size and habits.
        fashion: What newcomers may come to like.
        rng: The day's source of chance for the accounts.

    Returns:
        The accounts as of today, and those that changed or are new, ascending.
    """
    chance = rng.random(len(people))
    is_changed = chance < np.where(people.is_verified, _LAPSED_PER_DAY, _VERIFIED_PER_DAY)
    kept = replace(people, is_verified=people.is_verified ^ is_changed)
    newcomers = _newcomers(np.full(parameters.new_users_per_day, today), parameters, fashion, rng)
    grown = kept.followed_by(newcomers)
    return grown, np.concatenate((np.flatnonzero(is_changed), np.arange(len(people), len(grown))))


def _newcomers(signed_up: Ints, parameters: StoreParameters, fashion: Fashion, rng: np.random.Generator) -> People:
    count = len(signed_up)
    loved = fashion.of_all.one_of_each(np.zeros(count * TASTES, dtype=np.int64), rng)
    tastes = fashion.shelf[loved].reshape(count, TASTES)
    # Half of the favourites come from the dearest shelf, the others from the next ones.
    shelves_of_favourites = tastes[:, [0, 0, 1, 2]]
    favourites = fashion.author[fashion.of_shelf.one_of_each(shelves_of_favourites.ravel(), rng)]
    return People(
        signed_up=signed_up,
        is_verified=rng.random(count) < parameters.verified_share,
        is_test=rng.random(count) < parameters.test_account_share,
        is_bot=np.zeros(count, dtype=bool),
        activity=rng.lognormal(mean=-(_ACTIVITY_SIGMA**2) / 2, sigma=_ACTIVITY_SIGMA, size=count),
        tastes=tastes,
        favourites=favourites.reshape(count, FAVOURITES),
    )
