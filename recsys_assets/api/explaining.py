"""Why items are on a list: what brought them, and the bought item that speaks most for each."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

import polars as pl

from recsys_assets.api.live_models import Snapshot
from recsys_assets.api.real_time import Viewer
from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.models.family import Interactions
from recsys_assets.platform import Platform
from recsys_assets.serving.explanation import strongest_reasons
from resources.lake import DeltaLake

UNKNOWN = "unknown"


class Sourced(Protocol):
    """A list of which it is known what brought each item."""

    @property
    def item_ids(self) -> Sequence[str]:
        """Best first."""

    @property
    def sources(self) -> Sequence[str] | None:
        """What brought each."""


def published_sources(lake: DeltaLake, day: date | None, user_id: str | None, item_ids: Sequence[str]) -> list[str]:
    """What brought each item of a published list, as the lake has it."""
    if day is None:
        return [UNKNOWN] * len(item_ids)
    mine = lake.scan(FINAL_RECOMMENDATIONS, (day, day)).filter(pl.col("user_id") == user_id)
    rows = mine.select("item_ids", "sources").collect()
    known = dict(zip(*rows.row(0), strict=True)) if rows.height else {}
    return [known.get(item, UNKNOWN) for item in item_ids]


def ranked_reasons(
    snapshot: Snapshot,
    viewer: Viewer,
    listed: Sourced,
    platform: Platform,
    versions: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Item to the item of the history that speaks most for it, as far as the family that brought it can tell.

    Args:
        snapshot: The models in memory.
        viewer: For whom the list is.
        listed: The list.
        platform: The configuration.
        versions: Family to the version that ranked; a family of which another one is in memory by now says nothing.
    """
    reasons: dict[str, str] = {}
    for family, live in snapshot.models_of(viewer.arm).items():
        if versions is not None and versions.get(family) != str(live.version.version):
            continue
        known = set(live.model.item_ids)
        sources = listed.sources or ()
        brought = [
            item for item, source in zip(listed.item_ids, sources, strict=True) if source == family and item in known
        ]
        history = Interactions(viewer.history, viewer.as_of).within(platform.families[family].ranked_days)
        if brought and history.rows.height:
            reasons |= strongest_reasons(live.model, history, viewer.user_id, brought, history.rows["item_id"])
    return reasons
