"""Named selections of the graph: what is started together. When they are started is the business of `sensors`."""

from typing import Any

import dagster as dg

from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EXCLUSIONS,
    INTERACTIONS,
    PURCHASE_SEQUENCE,
    REJECTED_ROWS,
    TRAINING_SET,
)
from recsys_assets.platform import Platform

MODEL_GROUPS = ("models", "validation", "releases", "approved")
"""The groups that a training slot runs through, in this order."""


def build_jobs(platform: Platform) -> list[Any]:  # Dagster does not export the type of an asset job
    """The three things that the platform does.

    - `ingest`: the landed files of some days, down to `features/interactions`; only mapped tables take part.
    - `train`: one slot: training set, candidates, reports, releases, approvals.
    - `recommend`: one day: snapshot views, lists, publication.
    """
    sources = [dg.AssetKey(["sources", name]) for name in platform.sources]
    snapshots = [dg.AssetKey(table.key) for table in (EXCLUSIONS, ELIGIBLE_ITEMS, PURCHASE_SEQUENCE)]
    return [
        dg.define_asset_job(
            "ingest",
            dg.AssetSelection.assets(*sources, dg.AssetKey(REJECTED_ROWS.key), dg.AssetKey(INTERACTIONS.key)),
            description="Bring landed days into the lake and fold them into interactions.",
        ),
        dg.define_asset_job(
            "train",
            dg.AssetSelection.assets(dg.AssetKey(TRAINING_SET.key)) | dg.AssetSelection.groups(*MODEL_GROUPS),
            description="Train, judge, release and approve the models of one slot.",
        ),
        dg.define_asset_job(
            "recommend",
            dg.AssetSelection.assets(*snapshots) | dg.AssetSelection.groups("recommendations", "serving"),
            description="Compute and publish the lists of one day with the approved versions.",
        ),
    ]
