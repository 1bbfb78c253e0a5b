"""Named selections of the graph: what is started together. When they are started is the business of `sensors`."""

from typing import Any

import dagster as dg

from recsys_assets.columns import INTERACTIONS, PAST_STATES, REJECTED_ROWS, TRAINING_SET
from recsys_assets.features.views import SNAPSHOTS
from recsys_assets.ingestion.api_files import fed_tables
from recsys_assets.monitoring.dashboard_assets import DASHBOARD_KEY
from recsys_assets.platform import Platform

MODEL_GROUPS = ("models", "validation", "releases", "approved")
"""The groups that a training slot runs through, in this order."""


def build_jobs(platform: Platform) -> list[Any]:  # Dagster does not export the type of an asset job
    """The things that the platform does.

    - `ingest`: the landed files of some days, down to `features/interactions`; only tables that are fed take part.
    - `refresh`: views of some days; what changed late is computed again, and anybody may backfill days.
    - `train`: one slot: training set, candidates, reports, releases, approvals.
    - `recommend`: one day: snapshot views, lists, publication.
    - `monitor`: some days: how what was shown did with users.
    - `dashboard`: one day: its page, which follows whatever else happens.
    - `maintain`: the upkeep of the lake.
    - `decide`: the versions of one family: approve, refuse, go back, or record what somebody did in MLflow.
    """
    sources = [dg.AssetKey(["sources", name]) for name in fed_tables(platform)]
    folded = [dg.AssetKey(table.key) for table in (REJECTED_ROWS, INTERACTIONS, PAST_STATES)]
    snapshots = dg.AssetSelection.assets(*(dg.AssetKey(view.table.key) for view in SNAPSHOTS))
    interactions = dg.AssetSelection.assets(dg.AssetKey(INTERACTIONS.key))
    page = dg.AssetSelection.assets(DASHBOARD_KEY)
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
            "monitor",
            dg.AssetSelection.groups("monitoring") - page,
            description="Measure how what was shown on some days did with users.",
        ),
        dg.define_asset_job(
            "dashboard", page, description="Write the page of a day: what serves, how it does, what needs somebody."
        ),
        dg.define_asset_job(
            "maintain",
            dg.AssetSelection.groups("maintenance"),
            description="Drop days that need not be kept, put small files together, remove unused ones.",
        ),
        dg.define_asset_job(
            "decide",
            dg.AssetSelection.groups("approved"),
            description="Approve, refuse or go back to a version of a family, or record what was done in MLflow.",
        ),
    ]
