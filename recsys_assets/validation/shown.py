"""Showing a report: its pictures beside the version in MLflow, and one on the asset in the Dagster UI.

What the pictures show is in `curves`, how they look in `pictures`.
"""

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl

from recsys_assets.columns import report_table
from recsys_assets.platform import FALLBACK_FAMILY
from recsys_assets.validation.curves import Curves, curves_of
from recsys_assets.validation.evaluation import Holdout
from recsys_assets.validation.pictures import embedded, png, report_figure, write_pictures
from recsys_assets.validation.report import Surroundings, report_metrics
from recsys_assets.validation.rivals import Rivals
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry, ModelVersion

FOLDER = "report"
"""Where a version's run in MLflow keeps the pictures."""


def version_curves(
    lake: DeltaLake,
    version: ModelVersion,
    served: pl.DataFrame,
    beside: Mapping[str, pl.DataFrame],
    rivals: Rivals,
    holdout: Holdout,
    surroundings: Surroundings,
) -> Curves:
    """What the pictures of a version show: itself, the approved version beside it, and popularity, of the same users.

    Args:
        lake: Where the report on the version, and those of older slots, are.
        version: What is judged.
        served: user_id, item_ids of it.
        beside: The lists of those it is compared with, as `measurement.lists_beside` returns them.
        rivals: The approved versions; the one in use is drawn.
        holdout: The truth, and what may be recommended.
        surroundings: What users and items are like.
    """
    drawn = {f"version {version.version}": served}
    if rivals.approved is not None and "approved" in beside:
        drawn[f"version {rivals.approved.version}, approved"] = beside["approved"]
    if version.family != FALLBACK_FAMILY:
        drawn[FALLBACK_FAMILY] = beside[FALLBACK_FAMILY]
    return stored_curves(lake, version.family, version.slot, drawn, holdout, surroundings)


def stored_curves(
    lake: DeltaLake,
    family: str,
    slot: date,
    beside: Mapping[str, pl.DataFrame],
    holdout: Holdout,
    surroundings: Surroundings,
) -> Curves:
    """What the pictures of a report show.

    Args:
        lake: Where the report is, beside those of older slots.
        family: The family, or `final`.
        slot: The slot.
        beside: Name to user_id, item_ids of whatever is drawn; what is judged comes first.
        holdout: The truth, and what may be recommended.
        surroundings: What users and items are like.
    """
    reports = lake.scan(report_table(family, report_metrics()), (date.min, slot)).collect()
    return curves_of(beside, holdout, surroundings.item_users, reports)


def log_pictures(registry: ModelRegistry, version: ModelVersion, curves: Curves) -> None:
    """Keep the pictures with the version, as PNG files."""
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(curves, Path(folder))
        registry.add_artifact(version, Path(folder), FOLDER)


def picture(curves: Curves, family: str, slot: date) -> dg.MarkdownMetadataValue:
    """All pictures in one, as the UI shows it on the asset."""
    return dg.MetadataValue.md(embedded(png(report_figure(curves)), f"the report of {family} for slot {slot}"))
