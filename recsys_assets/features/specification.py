"""The fingerprint of everything that decides what a feature means, so that a model can say by which it was trained."""

import hashlib
import json

from recsys_assets.columns import EXCLUSIONS, INTERACTIONS, TRAINING_SET
from recsys_assets.platform import Platform


def feature_spec_hash(platform: Platform) -> str:
    """A short hash of the rules, the event weights, what counts as a hit, and the columns of the shared tables."""
    meaning = {
        "rules": platform.rules.model_dump(mode="json"),
        "event_weights": platform.event_weights.model_dump(mode="json"),
        "hit_event": platform.hit_event,
        "columns": {
            table.name: {name: str(dtype) for name, dtype in table.schema.items()}
            for table in (INTERACTIONS, EXCLUSIONS, TRAINING_SET)
        },
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
