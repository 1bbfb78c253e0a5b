"""Fingerprints of the configuration: what a feature means, how a family is trained, how lists are made.

Whatever was made under another fingerprint is due to be made again.
"""

import hashlib
import json
from typing import Any

from recsys_assets.columns import EXCLUSIONS, INTERACTIONS, TRAINING_SET
from recsys_assets.platform import Platform


def feature_spec_hash(platform: Platform) -> str:
    """A short hash of the rules, the event weights, what counts as a hit, and the columns of the shared tables."""
    return _hash(
        {
            "configured": _configured(platform, "rules", "event_weights", "hit_event"),
            "columns": {
                table.name: {name: str(dtype) for name, dtype in table.schema.items()}
                for table in (INTERACTIONS, EXCLUSIONS, TRAINING_SET)
            },
        }
    )


def recipe_hash(platform: Platform, family: str) -> str:
    """A short hash of everything configured that decides what a family's candidate is, and whether it passes."""
    settings = platform.families[family].model_dump(mode="json", exclude={"weight", "approval"})
    return _hash([feature_spec_hash(platform), _configured(platform, "training"), settings])


def lists_hash(platform: Platform) -> str:
    """A short hash of everything configured, beside the models, that decides what is recommended to whom."""
    families = {
        name: {"weight": settings.weight, "ranked_days": settings.ranked_days}
        for name, settings in platform.families.items()
    }
    return _hash([feature_spec_hash(platform), _configured(platform, "recommendations"), families])


def _configured(platform: Platform, *keys: str) -> dict[str, Any]:
    return platform.model_dump(mode="json", include=set(keys))


def _hash(meaning: Any) -> str:
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
