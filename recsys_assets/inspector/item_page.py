"""The page of an item, as data: its catalogue entry, whether it may be recommended, its sales, and its neighbours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

import narwhals as nw
import polars as pl

from recsys_assets.columns import EXCLUSIONS, ITEM_PROFILE
from recsys_assets.features import rules
from recsys_assets.inspector.catalogue import Catalogue, Item
from recsys_assets.inspector.readings import MODEL_ERRORS, InUse, Readings
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Model
from recsys_assets.models.ranking import rank
from resources.model_registry import RegistryError

NEIGHBOURS = 10
SOMEBODY = "somebody"
"""Whose only deed is the item; it never leaves this module."""
HIDING_RULES = {"not released yet": rules.without_unreleased, "withdrawn from sale": rules.without_withdrawn}


@dataclass(frozen=True)
class Sales:
    """What users did with an item in the window of `features/item_profile`; see there."""

    views: int
    purchases: int
    buyers: int
    value: float
    last_at: datetime | None
    purchase_share: float
    novelty: float | None
    first_seen_on: date | None


@dataclass(frozen=True)
class Neighbours:
    """What a family recommends to somebody of whom it knows this item alone.

    Attributes:
        family: Which family.
        version: The registry version.
        items: Best first.
        silence: Why there are none; empty where there are some.
    """

    family: str
    version: str
    items: tuple[Item, ...]
    silence: str


@dataclass(frozen=True)
class ItemPage:
    """Everything on the page.

    Attributes:
        item: The catalogue entry.
        in_use: What serves.
        is_in_catalogue: Whether the catalogue has it.
        hidden_because: Why nobody is recommended it; empty where it may be recommended.
        sales: None where the day has none.
        place_by_purchases: Its place among all items by purchases in the window; None without a purchase.
        neighbours: By family, those that look at what users did.
        trouble: What could not be read; empty where nothing is missing.
    """

    item: Item
    in_use: InUse
    is_in_catalogue: bool
    hidden_because: tuple[str, ...]
    sales: Sales | None
    place_by_purchases: int | None
    neighbours: tuple[Neighbours, ...]
    trouble: str


def read_item_page(readings: Readings, item_id: str) -> ItemPage | None:
    """Read the page of an item; None where nothing is known by that id on the day in use."""
    in_use = readings.in_use()
    if in_use.as_of is None:
        return None
    catalogue = readings.catalogue(in_use.as_of)
    profiles = readings.lake.scan(ITEM_PROFILE, (in_use.as_of, in_use.as_of))
    profile = profiles.filter(pl.col("item_id") == item_id).collect()
    if item_id not in catalogue and profile.is_empty():
        return None
    local = profile.with_columns(pl.col("last_at").dt.convert_time_zone(readings.platform.time_zone))
    sales = Sales(**local.select(field.name for field in fields(Sales)).row(0, named=True)) if local.height else None
    try:
        found, trouble = tuple(_neighbours(readings, catalogue, in_use, in_use.as_of, item_id)), in_use.trouble
    except RegistryError as error:
        found, trouble = (), f"{in_use.trouble} {error}".strip()
    more = profiles.select((pl.col("purchases") > (sales.purchases if sales else 0)).sum()).collect().item()
    return ItemPage(
        item=catalogue.item(item_id),
        in_use=in_use,
        is_in_catalogue=item_id in catalogue,
        hidden_because=hidden_from_everybody(readings, catalogue, in_use.as_of, item_id),
        sales=sales,
        place_by_purchases=more + 1 if sales and sales.purchases else None,
        neighbours=found,
        trouble=trouble,
    )


def hidden_from_everybody(readings: Readings, catalogue: Catalogue, day: date, item_id: str) -> tuple[str, ...]:
    """Ask the rules themselves why an item is recommended to nobody; nothing where it may be recommended."""
    if item_id in readings.eligible(day)["item_id"]:
        return ()
    row = catalogue.rows.filter(pl.col("item_id") == item_id)
    if row.is_empty():
        return ("not in the catalogue",)
    one = nw.from_native(row.lazy())
    reasons = tuple(
        why for why, rule in HIDING_RULES.items() if rule(one, day, readings.platform.rules).collect().is_empty()
    )
    return reasons or ("not among the eligible items of the day",)


def neighbours(model: Model, item_id: str, day: date, eligible: pl.DataFrame, most: int) -> list[str]:
    """What a model recommends to somebody of whom it knows one item alone, without that item.

    Args:
        model: Which model.
        item_id: The item.
        day: The last day that is known.
        eligible: Rows of `features/eligible_items`; neighbours of an adult title may be adult titles.
        most: How many.

    Returns:
        Item ids, best first; none where the model does not know the item.
    """
    history = pl.DataFrame([(SOMEBODY, item_id, day, 1.0)], schema=HISTORY_SCHEMA, orient="row")
    is_adult = eligible.filter(pl.col("item_id") == item_id)["is_adult"].any()
    without = {"user_id": [SOMEBODY], "item_ids": [[item_id]], "may_see_adult": [is_adult]}
    schema = EXCLUSIONS.schema
    exclusions = pl.DataFrame({name: without.get(name, [None]) for name in schema.names()}, schema=schema)
    ranked = rank(model, Interactions(history, day), exclusions["user_id"], exclusions, eligible, n=most)
    return ranked["item_ids"].item(0).to_list() if ranked.height else []


def _neighbours(
    readings: Readings, catalogue: Catalogue, in_use: InUse, day: date, item_id: str
) -> Iterator[Neighbours]:
    """By family, in the order of `recsys.yaml`; a family that looks at no history has no neighbours."""
    eligible, versions = readings.eligible(day), readings.versions(in_use)
    for family in (one for one in readings.families if one in versions):
        version = versions[family]
        try:
            model = readings.artifact(family, version).model
        except MODEL_ERRORS as error:
            yield Neighbours(family, version, (), f"the model cannot be loaded: {error}")
            continue
        if model.is_personal:
            ids = neighbours(model, item_id, day, eligible, NEIGHBOURS)
            yield Neighbours(family, version, _named(catalogue, ids), _silence(model, item_id, ids))


def _silence(model: Model, item_id: str, found: Sequence[str]) -> str:
    if found:
        return ""
    knows = item_id in model.item_ids
    return "nothing may be recommended beside it" if knows else "it was trained before anybody took the item"


def _named(catalogue: Catalogue, ids: Sequence[str]) -> tuple[Item, ...]:
    items = catalogue.items(ids)
    return tuple(items[one] for one in ids)
