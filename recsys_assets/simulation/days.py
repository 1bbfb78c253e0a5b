"""The days of a simulated store, one after the other, each from the state that the day before left.

Only the order of things belongs here: each part of the store's life has its own module, and files are
written elsewhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from recsys_assets.simulation.blocks import BlockChanges, Blocks, next_blocks
from recsys_assets.simulation.catalogue import Catalogue, first_catalogue, next_catalogue
from recsys_assets.simulation.clock import moved_out_of_gap
from recsys_assets.simulation.outcomes import Events, events_of_day, in_order, purchases_among
from recsys_assets.simulation.ownership import Ownership
from recsys_assets.simulation.parameters import StoreParameters
from recsys_assets.simulation.people import People, first_people, next_people
from recsys_assets.simulation.plans import NEXT_VOLUME, RATING, REFUND, Plans, plans_after, plans_of_fans
from recsys_assets.simulation.responses import Impressions, Shown, responses_of_day
from recsys_assets.simulation.rows import Ints
from recsys_assets.simulation.storefront import Storefront, fashion, storefront
from recsys_assets.simulation.visits import WEEK, Visits, visits_of_day


@dataclass(frozen=True)
class Chance:
    """A day's sources of chance, one per part of the store: no part's draws move another's."""

    catalogue: np.random.Generator
    people: np.random.Generator
    blocks: np.random.Generator
    fans: np.random.Generator
    visits: np.random.Generator
    outcomes: np.random.Generator
    plans: np.random.Generator
    dirt: np.random.Generator
    responses: np.random.Generator

    @classmethod
    def of_day(cls, seed: int, today: int) -> "Chance":
        """The sources of one day; they depend on the seed and the day alone."""
        return cls(*np.random.default_rng([seed, today]).spawn(9))


@dataclass(frozen=True)
class State:
    """All that the past means for the next day."""

    catalogue: Catalogue
    people: People
    blocks: Blocks
    plans: Plans
    owned: Ownership


@dataclass(frozen=True)
class Day:
    """One simulated day.

    Attributes:
        state: The store when the day ends.
        changed_books: Numbers of the books that changed or are new.
        changed_users: Numbers of the accounts that changed or are new.
        block_changes: Blocks set and lifted.
        events: What users did.
        shown: The lists of the day.
        impressions: What users were shown of them.
    """

    state: State
    changed_books: Ints
    changed_users: Ints
    block_changes: BlockChanges
    events: Events
    shown: Shown
    impressions: Impressions


def simulated_days(parameters: StoreParameters, lists_of: Callable[[int], Shown] | None = None) -> Iterator[Day]:
    """The days of a store, one after the other.

    Args:
        parameters: The store's size, length and habits.
        lists_of: Day to the lists that the shop shows on it; asked when the day begins, so that they may depend on
            the days before. None: it never shows any.
    """
    state = None
    for today in range(parameters.days):
        chance = Chance.of_day(parameters.seed, today)
        shown = Shown.nothing() if lists_of is None else lists_of(today)
        morning = (
            _first_morning(parameters, chance) if state is None else _next_morning(state, today, parameters, chance)
        )
        day = _lived(morning, shown, today, parameters, chance)
        state = day.state
        yield day


@dataclass(frozen=True)
class _Morning:
    """A day whose catalogue and accounts have changed already, and nobody has done anything yet."""

    state: State
    changed_books: Ints
    changed_users: Ints


def _first_morning(parameters: StoreParameters, chance: Chance) -> _Morning:
    catalogue = first_catalogue(parameters, chance.catalogue)
    people = first_people(parameters, fashion(catalogue), chance.people)
    opened = State(catalogue, people, Blocks.none(), Plans.none(), Ownership.none())
    return _Morning(opened, np.arange(len(catalogue.books)), np.arange(len(people)))


def _next_morning(state: State, today: int, parameters: StoreParameters, chance: Chance) -> _Morning:
    catalogue, changed_books = next_catalogue(state.catalogue, today, parameters, chance.catalogue)
    people, changed_users = next_people(state.people, today, parameters, fashion(catalogue), chance.people)
    return _Morning(replace(state, catalogue=catalogue, people=people), changed_books, changed_users)


def _lived(morning: _Morning, shown: Shown, today: int, parameters: StoreParameters, chance: Chance) -> Day:
    """Let users do what they do on a day, once the catalogue and the accounts have changed."""
    day, zone, opened = parameters.day(today), parameters.zone, morning.state
    blocks = next_blocks(opened.blocks, opened.people, opened.catalogue, parameters, chance.blocks)
    store = storefront(opened.catalogue, today)
    plans = opened.plans.followed_by(plans_of_fans(opened.owned, store, today, chance.fans))
    visits = visits_of_day(
        people=opened.people,
        store=store,
        blocks=blocks.at_some_time,
        continuations=plans.due_on(today, NEXT_VOLUME),
        mean_views=parameters.views_per_user_day * WEEK[day.weekday()],
        rng=chance.visits,
    )
    impressions, looks = responses_of_day(shown, opened.people, store, opened.owned, today, chance.responses)
    is_seen = store.may_be_seen(opened.people, blocks.at_some_time, looks.user, looks.book)
    at_work = replace(opened, plans=plans)
    events, plans, owned = _shopped(at_work, store, visits.followed_by(looks.take(is_seen)), today, parameters, chance)
    block_times = moved_out_of_gap(blocks.changes.second, day, zone)
    return Day(
        state=replace(opened, blocks=blocks.at_the_end, plans=plans, owned=owned),
        changed_books=morning.changed_books,
        changed_users=morning.changed_users,
        block_changes=replace(blocks.changes, second=block_times),
        events=in_order(events, day, zone),
        shown=shown,
        impressions=replace(impressions, second=moved_out_of_gap(impressions.second, day, zone)),
    )


def _shopped(
    opened: State, store: Storefront, visits: Visits, today: int, parameters: StoreParameters, chance: Chance
) -> tuple[Events, Plans, Ownership]:
    """The day's events, and with which plans and books they leave the users."""
    bought, looks = purchases_among(visits, store, opened.owned, chance.outcomes)
    plans = opened.plans.followed_by(plans_after(bought, store, today, parameters, chance.plans))
    refunded = plans.due_on(today, REFUND)
    events = events_of_day(
        visits=visits,
        bought=bought,
        looks=looks,
        due=refunded.followed_by(plans.due_on(today, RATING)),
        store=store,
        rng=chance.outcomes,
    )
    owned = opened.owned.plus(bought.user, bought.book).minus(refunded.user, refunded.book)
    return events, plans.after(today), owned
