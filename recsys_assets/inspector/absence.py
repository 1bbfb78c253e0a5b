"""Why an item is not on the list of a user: what hides it, or where each family would have put it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import EXCLUSIONS
from recsys_assets.inspector.catalogue import Catalogue, Item
from recsys_assets.inspector.item_page import hidden_from_everybody
from recsys_assets.inspector.readings import MODEL_ERRORS, InUse, Readings, Served
from recsys_assets.inspector.stored_lists import FamilyList, family_lists, final_list
from recsys_assets.models.ranking import rank


@dataclass(frozen=True)
class Standing:
    """Where a family puts the item for the user.

    Attributes:
        family: Which family.
        version: The registry version.
        sentence: What is to be said.
        place: The place among all that the user may be recommended; None where it has none.
        of: How many those are.
    """

    family: str
    version: str
    sentence: str
    place: int | None = None
    of: int = 0


@dataclass(frozen=True)
class Absence:
    """The answer.

    Attributes:
        user_id: Whose list.
        item: Which item.
        in_use: What serves.
        is_known_item: Whether the catalogue has the item.
        place: Its place on the final list; None where it is not on it.
        hidden_because: Every rule that keeps it away; where there is one, no family is asked.
        standings: Where each family puts it.
    """

    user_id: str
    item: Item
    in_use: InUse
    is_known_item: bool
    place: int | None
    hidden_because: tuple[str, ...]
    standings: tuple[Standing, ...]


def read_absence(readings: Readings, user_id: str, item_id: str) -> Absence | None:
    """Answer why an item is, or is not, on the list of a user; None where nobody is known by that id."""
    served = readings.served(user_id)
    day = served.in_use.as_of
    if day is None:
        return None
    exclusions = readings.of_user(EXCLUSIONS, day, user_id)
    if exclusions.is_empty() and not served.is_own:
        return None
    catalogue = readings.catalogue(day)
    final, families = final_list(readings, day, user_id, served), family_lists(readings, day, user_id)
    is_served = final is not None and item_id in final.item_ids and item_id not in served.bought
    place = final.item_ids.index(item_id) + 1 if final is not None and is_served else None
    hidden = () if place else tuple(_hidden(readings, catalogue, served, exclusions, item_id))
    is_known = item_id in catalogue or item_id in readings.eligible(day)["item_id"]
    standings = () if place or hidden else tuple(_standings(readings, day, user_id, exclusions, families, item_id))
    return Absence(user_id, catalogue.item(item_id), served.in_use, is_known, place, hidden, standings)


def _hidden(
    readings: Readings, catalogue: Catalogue, served: Served, exclusions: pl.DataFrame, item_id: str
) -> Iterator[str]:
    """Every rule that keeps the item away from the user, in words."""
    day = served.in_use.as_of
    if day is None:
        return
    if item_id in served.bought:
        yield "The user has bought it since the lists were computed."
    yield from (f"It is {why}." for why in hidden_from_everybody(readings, catalogue, day, item_id))
    if exclusions.is_empty():
        return
    row, item = exclusions.row(0, named=True), catalogue.item(item_id)
    reason = dict(zip(row["item_ids"], row["reasons"], strict=True)).get(item_id)
    if reason is not None:
        yield "The user owns it." if reason == "owned" else "The user blocked it."
    if item.creator in row["blocked_creators"]:
        yield f"The user blocked its creator, {item.creator}."
    if item.category in row["blocked_categories"]:
        yield f"The user blocked its category, {item.category}."
    is_adult = readings.eligible(day).filter(pl.col("item_id") == item_id)["is_adult"].any()
    if is_adult and not row["may_see_adult"]:
        yield "It is an adult title, and the user is not verified as an adult."


def _standings(
    readings: Readings, day: date, user_id: str, exclusions: pl.DataFrame, families: list[FamilyList], item_id: str
) -> Iterator[Standing]:
    history, eligible = readings.history(user_id, day), readings.eligible(day)
    for one in families:
        try:
            artifact = readings.artifact(one.family, one.version)
        except MODEL_ERRORS as error:
            yield Standing(one.family, one.version, f"The model cannot be loaded: {error}")
            continue
        model, through = artifact.model, artifact.provenance.trained_through
        if item_id not in model.item_ids:
            yield Standing(
                one.family, one.version, f"It has never seen the item taken; it knows the days up to {through}."
            )
            continue
        seen = history.within(readings.families[one.family].settings.ranked_days)
        everything = model.item_ids.len()
        ranked = rank(model, seen, pl.Series("user_id", [user_id]), exclusions, eligible, n=everything)
        if ranked.is_empty():
            yield Standing(one.family, one.version, "It knows nothing of the user's history, so it recommends nothing.")
        else:
            yield _placed(one, item_id, ranked["item_ids"].item(0).to_list())


def _placed(one: FamilyList, item_id: str, order: list[str]) -> Standing:
    place = order.index(item_id) + 1
    if item_id in one.item_ids:
        sentence = "It is on the family's own list; in the final one, others come before it."
    elif place > len(one.item_ids):
        sentence = f"The family's list ends at {len(one.item_ids)}."
    else:
        sentence = "It would come there now; the stored list was made when less was known."
    return Standing(one.family, one.version, sentence, place, len(order))
