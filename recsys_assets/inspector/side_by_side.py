"""The lists of a user side by side: for every item its title, why it is there, and its place in the other lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from recsys_assets.inspector.catalogue import Catalogue, Item
from recsys_assets.inspector.readings import MODEL_ERRORS, Readings
from recsys_assets.inspector.stored_lists import FamilyList, FinalList
from recsys_assets.models.family import Interactions
from recsys_assets.serving.explanation import strongest_reasons


@dataclass(frozen=True)
class Entry:
    """One place of a list.

    Attributes:
        place: Counted from 1.
        item: What is there.
        because_of: The bought item that speaks most for it; None where the family cannot tell.
        brought_by: In the final list, the family with the largest share in it.
        rule: In the final list, the rule that put it there; empty where none is recorded.
        is_left_out: Whether it is left out when the list is served, because the user bought it since.
        elsewhere: Place of the item in other lists: of a family in the final list, of the final list in a family's.
    """

    place: int
    item: Item
    because_of: Item | None
    brought_by: str
    rule: str
    is_left_out: bool
    elsewhere: Mapping[str, int]


@dataclass(frozen=True)
class ShownList:
    """One list.

    Attributes:
        name: The family, or final.
        version: The registry version that ranked; empty for the final list.
        is_fallback: Whether it says nothing about the user.
        entries: The first places.
        length: How many places there are.
    """

    name: str
    version: str
    is_fallback: bool
    entries: tuple[Entry, ...]
    length: int


@dataclass(frozen=True)
class Reasons:
    """Which bought item speaks most for which recommended one.

    Attributes:
        because: (family, version) to recommended item to bought item.
        trouble: Why a model could not be asked; empty where all could.
    """

    because: Mapping[tuple[str, str], Mapping[str, str]]
    trouble: str = ""


def ask_models(
    readings: Readings,
    user_id: str,
    asked: Mapping[tuple[str, str], Sequence[str]],
    history: Interactions,
    bought: Sequence[str],
) -> Reasons:
    """Ask each version why it recommends what it recommends; one that cannot be loaded gives no reasons.

    Args:
        readings: Where the models are.
        user_id: Who.
        asked: (family, version) to the recommended items.
        history: What the user did, as far back as any family looks.
        bought: Items that the user bought and kept.
    """
    because, trouble = {}, ""
    for (family, version), items in asked.items():
        try:
            model = readings.artifact(family, version).model
        except MODEL_ERRORS as error:
            trouble = f"{family} version {version} cannot say why: {error}"
            continue
        seen = history.within(readings.families[family].settings.ranked_days)
        because[family, version] = strongest_reasons(
            model, seen, user_id, list(items), pl.Series(bought, dtype=pl.String)
        )
    return Reasons(because, trouble)


def to_ask(final: FinalList | None, families: Sequence[FamilyList], shown: int) -> dict[tuple[str, str], list[str]]:
    """(family, version) to the items whose reasons are shown: the first ones of its list, and of the final list.

    A fallback list says nothing about the user, so there is nothing to ask.
    """
    asked = {(one.family, one.version): list(one.item_ids[:shown]) for one in families if not one.is_fallback}
    if final is not None:
        for item_id in final.item_ids[:shown]:
            asked.get(_source(final, item_id), []).append(item_id)
    return {version: list(dict.fromkeys(items)) for version, items in asked.items()}


def show_final(
    final: FinalList, families: Sequence[FamilyList], catalogue: Catalogue, reasons: Reasons, shown: int
) -> ShownList:
    """The final list, with the place of each item in the lists of the families that took part."""
    took_part = [one for one in families if not one.is_fallback and final.versions.get(one.family) == one.version]
    places = {one.family: _places(one.item_ids) for one in took_part}
    because = {one: reasons.because.get(_source(final, one), {}).get(one) for one in final.item_ids[:shown]}
    items = catalogue.items([*because, *(bought for bought in because.values() if bought)])
    entries = tuple(
        Entry(
            place=place,
            item=items[item_id],
            because_of=items[bought] if bought else None,
            brought_by=final.brought_by.get(item_id, ""),
            rule=final.rules.get(item_id, ""),
            is_left_out=item_id in final.left_out,
            elsewhere={family: of[item_id] for family, of in places.items() if item_id in of},
        )
        for place, (item_id, bought) in enumerate(because.items(), start=1)
    )
    return ShownList("final", "", final.is_fallback, entries, len(final.item_ids))


def show_family(
    one: FamilyList, final: FinalList | None, catalogue: Catalogue, reasons: Reasons, shown: int
) -> ShownList:
    """A family's list, with the place of each item in the final one."""
    in_final = _places(final.item_ids) if final is not None else {}
    because = reasons.because.get((one.family, one.version), {})
    first = one.item_ids[:shown]
    items = catalogue.items([*first, *(because[item_id] for item_id in first if item_id in because)])
    entries = tuple(
        Entry(
            place=place,
            item=items[item_id],
            because_of=items[because[item_id]] if item_id in because else None,
            brought_by="",
            rule="",
            is_left_out=False,
            elsewhere={"final": in_final[item_id]} if item_id in in_final else {},
        )
        for place, item_id in enumerate(first, start=1)
    )
    return ShownList(one.family, one.version, one.is_fallback, entries, len(one.item_ids))


def _source(final: FinalList, item_id: str) -> tuple[str, str]:
    family = final.brought_by.get(item_id, "")
    return family, final.versions.get(family, "")


def _places(item_ids: Sequence[str]) -> dict[str, int]:
    return {item_id: place for place, item_id in enumerate(item_ids, start=1)}
