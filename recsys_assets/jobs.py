"""Named selections of the graph: what is started together. When they are started is the business of `sensors`."""

from typing import Any

import dagster as dg

from recsys_assets.columns import INTERACTIONS, PAST_STATES, REJECTED_ROWS, TRAINING_SET
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.platform import Platform

MODEL_GROUPS = ("models", "validation", "releases", "approved")
"""The groups that a training slot runs through, in this order."""


def build_jobs(platform: Platform) -> list[Any]:  # Dagster does not export the type of an asset job
    """The things that the platform does.

    - `ingest`: the landed files of some days, down to `features/interactions`; only mapped tables take part.
    - `refresh`: views of some days; what changed late is computed again, and anybody may backfill days.
    - `train`: one slot: training set, candidates, reports, releases, approvals.
    - `recommend`: one day: snapshot views, lists, publication.
    - `decide`: the versions of one family: approve, refuse, go back, or record what somebody did in MLflow.
    """
    sources = [dg.AssetKey(["sources", name]) for name in platform.sources]
    folded = [dg.AssetKey(table.key) for table in (REJECTED_ROWS, INTERACTIONS, PAST_STATES)]
    snapshots = dg.AssetSelection.assets(*(dg.AssetKey(view.table.key) for view in SNAPSHOTS))
    interactions = dg.AssetSelection.assets(dg.AssetKey(INTERACTIONS.key))
    return [
        dg.define_asset_job(
            "ingest",
            dg.AssetSelection.assets(*sources, *folded),
            description="Bring landed days into the lake and fold them into interactions.",
        ),
        dg.define_asset_job(
            "refresh", interactions | snapshots, description="Compute views of some days, because they changed late."
        ),
        dg.define_asset_job(
            "train",
            dg.AssetSelection.assets(dg.AssetKey(TRAINING_SET.key)) | dg.AssetSelection.groups(*MODEL_GROUPS),
            description="Train, judge, release and approve the models of one slot.",
        ),
        dg.define_asset_job(
            "recommend",
            snapshots | dg.AssetSelection.groups("recommendations", "serving"),
            description="Compute and publish the lists of one day with the approved versions.",
        ),
        dg.define_asset_job(
            "decide",
            dg.AssetSelection.groups("approved"),
            description="Approve, refuse or go back to a version of a family, or record what was done in MLflow.",
        ),
    ]
