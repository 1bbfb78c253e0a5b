"""Fingerprints of the configuration: what a feature means, how a family is trained, how lists are made.

Whatever was made under another fingerprint, or of other days, is due to be made again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from recsys_assets.columns import EXCLUSIONS, INTERACTIONS, TRAINING_SET
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import Platform

MODEL_TABLES = (INTERACTIONS, EXCLUSIONS, TRAINING_SET)


def feature_spec_hash(platform: Platform) -> str:
    """A short hash of the rules, the event weights, what counts as a hit, and the views that models are made of."""
    return _hash(
        {
            "configured": _configured(platform, "rules", "event_weights", "hit_event"),
            "columns": {table.name: _columns(table.schema) for table in MODEL_TABLES},
            "versions": {table.name: VIEWS[table.key[-1]].version for table in MODEL_TABLES},
        }
    )


def recipe_hash(platform: Platform, family: str) -> str:
    """A short hash of everything configured that decides what a family's candidate is, and whether it passes."""
    settings = platform.families[family].model_dump(mode="json", exclude={"weight", "approval"})
    return _hash([feature_spec_hash(platform), _configured(platform, "training"), settings])


def lists_hash(platform: Platform, weights: Mapping[str, float], rule: str = "") -> str:
    """A short hash of everything, beside the models, that decides what is recommended to whom.

    Args:
        platform: The configuration.
        weights: Family to its weight in the blend, as far as it is in force.
        rule: The rule of the blend, as far as it is in force.
    """
    families = {name: settings.ranked_days for name, settings in platform.families.items()}
    configured = _configured(platform, "recommendations", "experiments")
    return _hash([feature_spec_hash(platform), configured, families, dict(weights), rule])


def blend_hash(platform: Platform, shares: Mapping[str, float]) -> str:
    """A short hash of everything configured that decides whether weights may blend what is served.

    Args:
        platform: The configuration.
        shares: Family to its share in the blend, as configured.
    """
    return _hash([_configured(platform, "blend"), dict(shares)])


def made_of(
    view: FeatureView, platform: Platform, contents: Mapping[date, str], days: Iterable[date]
) -> dict[date, str]:
    """What each day of a view is computed from: what the view means, and every day that it reaches back to.

    Args:
        view: The view.
        platform: The configuration.
        contents: Ingested day to the fingerprint of what had landed for it.
        days: The days of the view.

    Returns:
        Day to fingerprint; it changes exactly if the day has to be computed again.
    """
    meaning = _hash(
        {
            "configured": _configured(platform, "rules", "segments"),
            "sequence_length": platform.recommendations.sequence_length,
            "columns": _columns(view.table.schema),
            "version": view.version,
        }
    )

    def reached(day: date) -> list[tuple[str, str]]:
        first = date.min if view.reach_days is None else day - timedelta(days=view.reach_days - 1)
        return [(str(one), contents[one]) for one in sorted(contents) if first <= one <= day]

    return {day: _hash([meaning, reached(day)]) for day in days}


def content_hash(contents: Mapping[date, str]) -> str:
    """A short hash of everything that has landed."""
    return _hash([(str(day), contents[day]) for day in sorted(contents)])


def _columns(schema: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in schema.items()}


def _configured(platform: Platform, *keys: str) -> dict[str, Any]:
    return platform.model_dump(mode="json", include=set(keys))


def _hash(meaning: Any) -> str:
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
