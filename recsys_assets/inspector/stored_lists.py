"""The lists of one user as they are stored: each family's for the day in use, and the final one that is served."""

from dataclasses import dataclass
from datetime import date

from recsys_assets.columns import FINAL_RECOMMENDATIONS, recommendations_table
from recsys_assets.inspector.readings import Readings, Served

FINAL = "final"


@dataclass(frozen=True)
class FamilyList:
    """What one family recommends to the user.

    Attributes:
        family: Which family.
        version: The registry version that ranked.
        item_ids: Best first.
        is_fallback: Whether it is the fallback's list, because the family knows nothing of the user.
    """

    family: str
    version: str
    item_ids: tuple[str, ...]
    is_fallback: bool


@dataclass(frozen=True)
class FinalList:
    """What is served to the user.

    Attributes:
        item_ids: As published, best first.
        left_out: Items of it that are left out when it is served, because the user bought them since.
        brought_by: Item to the family with the largest share in it, as far as the lake tells.
        rules: Item to the rule that put it there, as far as the lake tells.
        versions: Family to the version that took part.
        arm: The experiment arm of the user.
        is_fallback: Whether no family took part.
        is_own: Whether the user has a list; if not, it is the one for unknown users.
    """

    item_ids: tuple[str, ...]
    left_out: frozenset[str]
    brought_by: dict[str, str]
    rules: dict[str, str]
    versions: dict[str, str]
    arm: str
    is_fallback: bool
    is_own: bool


def family_lists(readings: Readings, day: date, user_id: str) -> list[FamilyList]:
    """The user's list of every family, one each for several versions in service.

    Families that only fill up, because they have no weight, come last; else it is the order of `recsys.yaml`.
    """
    found = []
    for family in sorted(readings.families, key=lambda one: not readings.families[one].settings.weight):
        rows = readings.of_user(recommendations_table(family), day, user_id).sort("version")
        for version, item_ids, is_fallback in rows.select("version", "item_ids", "is_fallback").iter_rows():
            found.append(FamilyList(family, version, tuple(item_ids), is_fallback))
    return found


def final_list(readings: Readings, day: date, user_id: str, served: Served) -> FinalList | None:
    """The list that the online store serves; where it cannot be asked, the one that the lake has.

    Returns:
        The list; None where there is neither.
    """
    rows = readings.of_user(FINAL_RECOMMENDATIONS, day, user_id)
    row = rows.row(0, named=True) if rows.height else {}
    stored = tuple(row.get("item_ids", ()))
    item_ids = served.item_ids or stored
    if not item_ids:
        return None
    return FinalList(
        item_ids=item_ids,
        left_out=served.bought,
        brought_by=dict(zip(stored, row.get("sources", ()), strict=True)),
        rules=dict(zip(stored, row.get("rules") or (), strict=False)),
        versions={one["family"]: one["version"] for one in row.get("versions", ())},
        arm=row.get("arm", ""),
        is_fallback=row.get("is_fallback", True),
        is_own=served.is_own or not served.item_ids,
    )
