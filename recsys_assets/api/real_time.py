"""Ranking for one user now: the same `rank` and the same composition as the daily lists, on the snapshot in memory.

Who the user is, and what the online store knows of them, is put together in `viewers`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.api.live_models import LiveModel, Snapshot
from recsys_assets.api.stored_lists import AskHidden
from recsys_assets.columns import EXCLUSIONS
from recsys_assets.composing import Composition
from recsys_assets.features.assortment import NO_ASSORTMENT, OWNED, Assortment, assortment_of
from recsys_assets.models.composition import PLAIN, final_lists
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.one_user import Hidden, OneList, rank_one
from recsys_assets.models.ranking import RANKED_SCHEMA
from recsys_assets.platform import FALLBACK_FAMILY, Platform
from recsys_assets.validation.weights import FIRST_RULE

ATTEMPTS = 3
"""Rankings of a user of whom the published filter hides more than is known; each leaves out what the last one met.

An item that is left out moves the others up in the list of its family, so leaving it out afterwards is not the same.
"""
NONE = OneList([], [])
_LISTS = {**RANKED_SCHEMA, "is_fallback": pl.Boolean()}
_EXCLUSIONS = {name: dtype for name, dtype in EXCLUSIONS.schema.items() if name != "ds"}


@dataclass(frozen=True)
class Viewer:
    """Whom to rank for, as far as ranking needs to know.

    Attributes:
        user_id: Who; empty for somebody unknown.
        history: Rows as in HISTORY_SCHEMA.
        as_of: The day up to which the history reaches.
        arm: The experiment arm.
        owned: Items that the user owns, as far as is known here, and that owning excludes.
        blocked_creators: Creators not to show.
        blocked_categories: Categories not to show.
        may_see_adult: Whether adult titles may be shown.
        hidden: Which of some items the published filter hides.
    """

    user_id: str
    history: pl.DataFrame
    as_of: date
    arm: str
    owned: frozenset[str] = frozenset()
    blocked_creators: tuple[str, ...] = ()
    blocked_categories: tuple[str, ...] = ()
    may_see_adult: bool = False
    hidden: AskHidden | None = None


@dataclass(frozen=True)
class Ranked:
    """A list that was ranked now.

    Attributes:
        item_ids: Best first.
        sources: What brought each.
        is_fallback: Whether nothing about the user could be used.
    """

    item_ids: list[str]
    sources: list[str]
    is_fallback: bool


def ranked(snapshot: Snapshot, viewer: Viewer, platform: Platform, limit: int) -> Ranked:
    """The best items for a viewer.

    Args:
        snapshot: What ranks; it must be able to.
        viewer: For whom.
        platform: The configuration.
        limit: How many.
    """
    excluded: set[str] = set()
    for _ in range(ATTEMPTS):
        found = _composed(snapshot, viewer, platform, excluded)
        hidden = set(viewer.hidden(found.item_ids) if viewer.hidden is not None else ())
        shown = [place for place, item in enumerate(found.item_ids) if item not in hidden][:limit]
        if not hidden:
            break
        excluded |= hidden
    return Ranked([found.item_ids[one] for one in shown], [found.sources[one] for one in shown], found.is_fallback)


def popular_list(snapshot: Snapshot, platform: Platform) -> list[str]:
    """What somebody gets of whom nothing is known; empty where there is nothing to rank with."""
    if not snapshot.can_rank or snapshot.as_of is None:
        return []
    nobody = Viewer("", pl.DataFrame(schema=HISTORY_SCHEMA), snapshot.as_of, next(iter(snapshot.arms)))
    return _composed(snapshot, nobody, platform, ()).item_ids


def _composed(snapshot: Snapshot, viewer: Viewer, platform: Platform, excluded: Collection[str]) -> Ranked:
    """The whole list, as the daily one would be, without some items that are hidden for another reason than owning."""
    hidden = Hidden(
        {*viewer.owned, *excluded}, viewer.blocked_creators, viewer.blocked_categories, viewer.may_see_adult
    )
    known = Interactions(viewer.history, viewer.as_of)
    length = platform.recommendations.list_length

    def list_of(family: str, live: LiveModel) -> OneList | None:
        return rank_one(live.ranker, known.within(platform.families[family].ranked_days), hidden, length)

    models, blend = snapshot.models_of(viewer.arm), snapshot.blend_of(viewer.arm)
    found = {family: list_of(family, live) for family, live in models.items() if family in blend}
    lists = {family: one for family, one in found.items() if one is not None}
    is_plain = platform.recommendations.composition == PLAIN and snapshot.rule == FIRST_RULE
    if len(lists) > 1 or not is_plain:
        lists[FALLBACK_FAMILY] = lists.get(FALLBACK_FAMILY) or list_of(FALLBACK_FAMILY, models[FALLBACK_FAMILY]) or NONE
        return _blended(snapshot, viewer, platform, lists, excluded)
    # Ranks alone decide, so a single list stays as it is: it need not become a frame, nor be filled up if it is full.
    family, first = next(iter(lists.items()), (FALLBACK_FAMILY, NONE))
    rest = NONE if len(first.item_ids) == length else list_of(FALLBACK_FAMILY, models[FALLBACK_FAMILY]) or NONE
    listed = set(first.item_ids)
    filling = [item for item in rest.item_ids if item not in listed][: length - len(listed)]
    sources = [family] * len(listed) + [FALLBACK_FAMILY] * len(filling)
    return Ranked([*first.item_ids, *filling], sources, is_fallback=not lists)


def _blended(
    snapshot: Snapshot,
    viewer: Viewer,
    platform: Platform,
    lists: Mapping[str, OneList],
    excluded: Collection[str],
) -> Ranked:
    """The composition of several lists."""
    recommendations = platform.recommendations
    frames = {
        family: pl.DataFrame(
            {"user_id": [viewer.user_id], "item_ids": [one.item_ids], "scores": [one.scores], "is_fallback": [False]},
            schema=_LISTS,
        )
        for family, one in lists.items()
    }
    final = final_lists(
        frames,
        snapshot.blend_of(viewer.arm),
        FALLBACK_FAMILY,
        recommendations.list_length,
        rule=snapshot.rule,
        composition=recommendations.composition,
        assortment=_assortment(snapshot, recommendations.composition, viewer, excluded),
    )
    item_ids, sources, is_fallback = final.select("item_ids", "sources", "is_fallback").row(0)
    return Ranked(item_ids, sources, is_fallback)


def _assortment(snapshot: Snapshot, composition: Composition, viewer: Viewer, excluded: Collection[str]) -> Assortment:
    """What the rules of composition must know of items, and of the user's row of `features/exclusions`."""
    if composition == PLAIN or snapshot.as_of is None:
        return NO_ASSORTMENT
    others = [item for item in excluded if item not in viewer.owned]
    row = {
        "user_id": viewer.user_id,
        "item_ids": [*viewer.owned, *others],
        "reasons": [OWNED] * len(viewer.owned) + ["blocked"] * len(others),
        "blocked_creators": list(viewer.blocked_creators),
        "blocked_categories": list(viewer.blocked_categories),
        "may_see_adult": viewer.may_see_adult,
    }
    exclusions = pl.DataFrame([row], schema=_EXCLUSIONS)
    return assortment_of(composition, snapshot.catalogue, snapshot.eligible, exclusions, snapshot.as_of)
