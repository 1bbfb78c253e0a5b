"""The feature views of the platform: one file each, declared and computed in it, and listed here.

A new view is a table in `columns`, a file here with a `VIEW`, and its line below. Reading and writing stay out.
"""

from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import (
    eligible_items,
    exclusions,
    family_scores,
    interactions,
    item_profile,
    purchase_sequence,
    training_set,
    user_profile,
)

VIEWS: dict[str, FeatureView] = {
    module.VIEW.name: module.VIEW
    for module in (
        interactions,
        exclusions,
        eligible_items,
        user_profile,
        item_profile,
        purchase_sequence,
        training_set,
        family_scores,
    )
}
"""Every view, by its name."""
SNAPSHOTS = tuple(view for view in VIEWS.values() if view.keeps == "snapshot" and view.is_stored)
"""The views that are kept as of the end of days."""
