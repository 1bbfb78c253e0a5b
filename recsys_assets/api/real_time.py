"""Ranking for one user now: the same `rank` and the same composition as the daily lists, on the snapshot in memory.

Who the user is, and what the online store knows of them, is put together in `viewers`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.api.live_models import Snapshot
from recsys_assets.columns import EXCLUSIONS
from recsys_assets.composing import Composition
from recsys_assets.models.assortment import NO_ASSORTMENT, OWNED, Assortment, assortment_of
from recsys_assets.models.composition import PLAIN, final_lists
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.ranking import RANKED_SCHEMA
from recsys_assets.platform import FALLBACK_FAMILY, Platform

ATTEMPTS = 3
"""Rankings of a user of whom the published filter hides more than is known; each leaves out what the last one met.

An item that is left out moves the others up in the list of its family, so leaving it out afterwards is not the same.
"""
_NOBODY = pl.DataFrame(schema=RANKED_SCHEMA)
_EXCLUSIONS = {name: dtype for name, dtype in EXCLUSIONS.schema.items() if name != "ds"}
Hidden = Callable[[list[str]], Collection[str]]


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
    hidden: Hidden | None = None


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
    recommendations = platform.recommendations
    users = pl.Series("user_id", [viewer.user_id], pl.String)
    exclusions = _exclusions(viewer, excluded)
    known = Interactions(viewer.history, viewer.as_of)
    lists = {}
    for family, live in snapshot.models_of(viewer.arm).items():
        history = known.within(platform.families[family].ranked_days)
        blocks = live.ranker.blocks(history, users, exclusions, n=recommendations.list_length)
        rows = pl.concat([_NOBODY, *blocks])
        lists[family] = rows.with_columns(is_fallback=pl.lit(value=False))
    final = final_lists(
        lists,
        snapshot.blend_of(viewer.arm),
        FALLBACK_FAMILY,
        recommendations.list_length,
        rule=snapshot.rule,
        composition=recommendations.composition,
        assortment=_assortment(snapshot, recommendations.composition, exclusions),
    )
    item_ids, sources, is_fallback = final.select("item_ids", "sources", "is_fallback").row(0)
    return Ranked(item_ids, sources, is_fallback)


def _exclusions(viewer: Viewer, excluded: Collection[str]) -> pl.DataFrame:
    """The user's row of `features/exclusions`, as far as is known here."""
    others = [item for item in excluded if item not in viewer.owned]
    row = {
        "user_id": viewer.user_id,
        "item_ids": [*viewer.owned, *others],
        "reasons": [OWNED] * len(viewer.owned) + ["blocked"] * len(others),
        "blocked_creators": list(viewer.blocked_creators),
        "blocked_categories": list(viewer.blocked_categories),
        "may_see_adult": viewer.may_see_adult,
    }
    return pl.DataFrame([row], schema=_EXCLUSIONS)


def _assortment(snapshot: Snapshot, composition: Composition, exclusions: pl.DataFrame) -> Assortment:
    if composition == PLAIN or snapshot.as_of is None:
        return NO_ASSORTMENT
    return assortment_of(composition, snapshot.catalogue, snapshot.eligible, exclusions, snapshot.as_of)
