"""The page of a user, as data: who they are to the platform, what they did, what they get and why."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Literal

import polars as pl

from recsys_assets.columns import EXCLUSIONS, INTERACTIONS, PURCHASE_SEQUENCE, USER_PROFILE, USERS, USERS_SEEN
from recsys_assets.features import rules
from recsys_assets.inspector.catalogue import Catalogue, Item
from recsys_assets.inspector.one_user import seen_through
from recsys_assets.inspector.readings import InUse, Readings, Served
from recsys_assets.inspector.side_by_side import ShownList, ask_models, show_family, show_final, to_ask
from recsys_assets.inspector.stored_lists import family_lists, final_list

FEW_PLACES, FEW_EVENTS = 12, 12
"""How much is shown unless everything is asked for."""
MOST_EVENTS = 2_000
Kind = Literal["customer", "test account", "machine"]
Chosen = Literal["newest", "all", "bought"]


@dataclass(frozen=True)
class Profile:
    """What a user did in the window of `features/user_profile`; see there."""

    views: int
    purchases: int
    items: int
    active_days: int
    value: float
    last_at: datetime | None
    favourite_category: str | None
    favourite_creator: str | None
    segment: str


@dataclass(frozen=True)
class Hidden:
    """What may not be recommended to the user.

    Attributes:
        owned: How many items the user owns.
        blocked_items: Items that the user blocked.
        blocked_creators: Their names.
        blocked_categories: Their names.
        may_see_adult: Whether adult titles may be shown to the user.
    """

    owned: int
    blocked_items: tuple[Item, ...]
    blocked_creators: tuple[str, ...]
    blocked_categories: tuple[str, ...]
    may_see_adult: bool


@dataclass(frozen=True)
class Deed:
    """What a user did with an item on a day.

    Attributes:
        item: Which item.
        day: The day.
        last_at: The last moment, in the configured time zone.
        events: Event type to how often.
        is_since: Whether it came after the day that the lists know.
    """

    item: Item
    day: date
    last_at: datetime
    events: dict[str, int]
    is_since: bool = False


@dataclass(frozen=True)
class UserPage:
    """Everything on the page.

    Attributes:
        user_id: Who.
        in_use: What serves.
        kind: Whether they count as a customer.
        profile: None where the day has none: for who does not count, and before it was computed.
        hidden: What may not be recommended.
        arm: The experiment arm; empty without a list.
        since: Deeds since the day that the lists know, the newest first.
        history: The newest deeds up to it, the newest first.
        deeds: How many there are within `history_days`, of those that were chosen.
        history_days: How far back a list can look.
        lists: The final list first, then each family's.
        is_own: Whether the final list is the user's own.
        trouble: What could not be read; empty where nothing is missing.
    """

    user_id: str
    in_use: InUse
    kind: Kind
    profile: Profile | None
    hidden: Hidden
    arm: str
    since: tuple[Deed, ...]
    history: tuple[Deed, ...]
    deeds: int
    history_days: int
    lists: tuple[ShownList, ...]
    is_own: bool
    trouble: str


def read_user_page(
    readings: Readings, user_id: str, *, all_places: bool = False, history: Chosen = "newest"
) -> UserPage | None:
    """Read the page of a user.

    Args:
        readings: Where to read.
        user_id: Who.
        all_places: Whether to show the lists to their end.
        history: Which deeds to show: the newest, all as far back as lists look, or of those purchases and refunds.

    Returns:
        The page; None where nobody is known by that id on the day in use.
    """
    served = readings.served(user_id)
    day = served.in_use.as_of
    if day is None:
        return None
    excluded = readings.of_user(EXCLUSIONS, day, user_id)
    if excluded.is_empty() and not served.is_own:
        return None
    catalogue = readings.catalogue(day)
    shown = max(readings.platform.recommendations.list_length if all_places else FEW_PLACES, 1)
    final, families = final_list(readings, day, user_id, served), family_lists(readings, day, user_id)
    bought = readings.of_user(PURCHASE_SEQUENCE, day, user_id)
    reasons = ask_models(
        readings,
        user_id,
        to_ask(final, families, shown),
        readings.history(user_id, day),
        bought["item_ids"].item(0).to_list() if bought.height else [],
    )
    lists = [show_final(final, families, catalogue, reasons, shown)] if final is not None else []
    profile, deeds = _profile(readings, user_id, day), _deeds(readings, user_id, day, history)
    return UserPage(
        user_id=user_id,
        in_use=served.in_use,
        kind="customer" if profile is not None else _kind(readings, user_id, day),
        profile=profile,
        hidden=_hidden(excluded, catalogue),
        arm=final.arm if final is not None else "",
        since=_since(readings, served, catalogue),
        history=_shown_deeds(readings, deeds.head(FEW_EVENTS if history == "newest" else MOST_EVENTS), catalogue),
        deeds=deeds.height,
        history_days=readings.history_days,
        lists=(*lists, *(show_family(one, final, catalogue, reasons, shown) for one in families)),
        is_own=final is not None and final.is_own,
        trouble=reasons.trouble,
    )


def _kind(readings: Readings, user_id: str, day: date) -> Kind:
    """Ask the rules themselves whether the user counts."""
    store = seen_through(readings.store, user_id)
    known, configured = store.known(day), readings.platform.rules
    user = known.total(USERS_SEEN).select("user_id")
    without_tests = rules.without_test_accounts(user, known.state(USERS), configured)
    without_bots = rules.without_bots(user, known.total(USERS_SEEN), configured.bots)
    if store.engine.collect(user).is_empty():
        return "customer"
    if store.engine.collect(without_tests).is_empty():
        return "test account"
    return "machine" if store.engine.collect(without_bots).is_empty() else "customer"


def _profile(readings: Readings, user_id: str, day: date) -> Profile | None:
    rows = readings.of_user(USER_PROFILE, day, user_id)
    if rows.is_empty():
        return None
    local = rows.with_columns(pl.col("last_at").dt.convert_time_zone(readings.platform.time_zone))
    return Profile(**local.select(field.name for field in fields(Profile)).row(0, named=True))


def _hidden(excluded: pl.DataFrame, catalogue: Catalogue) -> Hidden:
    if excluded.is_empty():
        return Hidden(0, (), (), (), may_see_adult=False)
    row = excluded.row(0, named=True)
    blocked = [item for item, reason in zip(row["item_ids"], row["reasons"], strict=True) if reason == "blocked"]
    return Hidden(
        owned=len(row["item_ids"]) - len(blocked),
        blocked_items=tuple(catalogue.items(blocked).values()),
        blocked_creators=tuple(row["blocked_creators"]),
        blocked_categories=tuple(row["blocked_categories"]),
        may_see_adult=row["may_see_adult"],
    )


def _deeds(readings: Readings, user_id: str, day: date, chosen: Chosen) -> pl.DataFrame:
    """Rows of `features/interactions` of a user, the newest first, as far back as any list looks."""
    first = day - timedelta(days=readings.history_days - 1)
    rows = readings.lake.scan(INTERACTIONS, (first, day)).filter(pl.col("user_id") == user_id)
    if chosen == "bought":
        rows = rows.filter((pl.col("purchases") > 0) | (pl.col("refunds") > 0))
    return rows.sort("last_at", "item_id", descending=[True, False]).collect()


def _shown_deeds(readings: Readings, rows: pl.DataFrame, catalogue: Catalogue) -> tuple[Deed, ...]:
    items = catalogue.items(rows["item_id"])
    local = rows.with_columns(pl.col("last_at").dt.convert_time_zone(readings.platform.time_zone))
    return tuple(
        Deed(items[row["item_id"]], row["ds"], row["last_at"], _events(row)) for row in local.iter_rows(named=True)
    )


def _since(readings: Readings, served: Served, catalogue: Catalogue) -> tuple[Deed, ...]:
    newest = sorted(served.since, key=lambda event: event.occurred_at, reverse=True)[:FEW_EVENTS]
    items = catalogue.items(event.item_id for event in newest)
    moments = [event.occurred_at.astimezone(readings.platform.zone) for event in newest]
    return tuple(
        Deed(items[event.item_id], moment.date(), moment, {event.event_type: 1}, is_since=True)
        for event, moment in zip(newest, moments, strict=True)
    )


def _events(row: dict[str, int]) -> dict[str, int]:
    counts = {event_type: row[column] for event_type, column in rules.COUNTS.items()}
    order: Sequence[str] = sorted(counts, key=lambda one: one not in ("purchase", "refund"))
    return {event_type: counts[event_type] for event_type in order if counts[event_type]}
