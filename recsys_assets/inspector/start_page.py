"""The start page, as data: what is published, which versions serve and how they were judged, and where to begin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.columns import FINAL_RECOMMENDATIONS, ITEM_PROFILE, USER_PROFILE
from recsys_assets.inspector.catalogue import Item
from recsys_assets.inspector.readings import InUse, Readings, answering
from resources.model_registry import ModelVersion, RegistryError

EXAMPLES = 8
SEGMENTS = ("heavy", "middle", "light", "none")


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FamilyInUse:
    """A family, and the version of it that serves.

    Attributes:
        family: Which family.
        published: The version in the generation in use; empty where it has none.
        in_arms: Experiment arm to the version that it has there, where that is another one.
        approved: The version that is approved by now; the next lists are made with it. Empty where none is.
        slot: The training slot of the version that is shown.
        ndcg_at_10: How it was judged; None where no figure is recorded.
        weight: The family's configured weight in the blend.
    """

    family: str
    published: str
    in_arms: Mapping[str, str]
    approved: str
    slot: date | None
    ndcg_at_10: Interval | None
    weight: float


@dataclass(frozen=True)
class ExampleUser:
    """A user to click on."""

    user_id: str
    segment: str
    purchases: int
    favourite_category: str | None


@dataclass(frozen=True)
class StartPage:
    """Everything on the page.

    Attributes:
        in_use: What serves.
        families: In the order of `recsys.yaml`.
        users: Some users of every segment.
        items: The items that sell best.
        trouble: What could not be read; empty where nothing is missing.
    """

    in_use: InUse
    families: tuple[FamilyInUse, ...]
    users: tuple[ExampleUser, ...]
    items: tuple[Item, ...]
    trouble: str


def read_start_page(readings: Readings) -> StartPage:
    """Read the start page; what cannot be read is left out and named."""
    in_use = readings.in_use()
    trouble = in_use.trouble
    try:
        with answering():
            families = tuple(_families(readings, in_use))
    except RegistryError as error:
        families, trouble = (), f"{trouble} {error}".strip()
    day = in_use.as_of
    return StartPage(
        in_use=in_use,
        families=families,
        users=() if day is None else tuple(_example_users(readings, day)),
        items=() if day is None else _example_items(readings, day),
        trouble=trouble,
    )


def _families(readings: Readings, in_use: InUse) -> Iterator[FamilyInUse]:
    published = {} if in_use.generation is None else in_use.generation.versions
    arms = {} if in_use.generation is None else in_use.generation.arms
    for name, family in readings.families.items():
        approved = readings.registry.approved(name)
        number = published.get(name)
        shown = readings.registry.version(name, int(number)) if number is not None else approved
        yield FamilyInUse(
            family=name,
            published=number or "",
            in_arms={arm: of[name] for arm, of in arms.items() if of.get(name, number) != number},
            approved="" if approved is None else str(approved.version),
            slot=None if shown is None else shown.slot,
            ndcg_at_10=None if shown is None else _ndcg(readings, shown),
            weight=family.settings.weight,
        )


def _ndcg(readings: Readings, version: ModelVersion) -> Interval | None:
    figures = readings.registry.metrics(version)
    found = [figures.get(f"ndcg_at_10{end}") for end in ("", "_low", "_high")]
    known = [one for one in found if one is not None]
    return Interval(*known) if len(known) == len(found) else None


def _example_users(readings: Readings, day: date) -> Iterator[ExampleUser]:
    """Of every segment the users who bought most and have a list, heavy ones first."""
    with_list = readings.lake.scan(FINAL_RECOMMENDATIONS, (day, day)).select("user_id")
    profiles = readings.lake.scan(USER_PROFILE, (day, day)).join(with_list, on="user_id", how="semi")
    columns = ("user_id", "segment", "purchases", "favourite_category")
    per_segment = -(-EXAMPLES // len(SEGMENTS))
    best = profiles.select(columns).sort("purchases", "user_id", descending=[True, False])
    rows = best.group_by("segment", maintain_order=True).head(per_segment).select(columns).collect()
    for segment in SEGMENTS:
        yield from (ExampleUser(*row) for row in rows.filter(pl.col("segment") == segment).iter_rows())


def _example_items(readings: Readings, day: date) -> tuple[Item, ...]:
    profiles = readings.lake.scan(ITEM_PROFILE, (day, day)).sort("purchases", "item_id", descending=[True, False])
    ids = profiles.select("item_id").head(EXAMPLES).collect()["item_id"].to_list()
    items = readings.catalogue(day).items(ids)
    return tuple(items[one] for one in ids)
