"""The view `family_scores`: what each family recommended, for the next model to learn from.

The lists lie in `recommendations/<family>` already, so this view is computed when it is read. It is no declared input
of the training set: that would close a cycle. A list of day D was ranked by a version that had seen no day after D.
"""

import narwhals as nw

from recsys_assets.columns import FAMILY_SCORES, recommendations_table
from recsys_assets.features.listing import unlisted
from recsys_assets.features.rules import Frame
from recsys_assets.features.view import Applied, FeatureView, Known


def _compute(known: Known) -> Applied:
    return Applied(nw.concat([_of_family(known, family) for family in known.platform.families]))


def _of_family(known: Known, family: str) -> Frame:
    lists = known.asked(recommendations_table(family)).filter(~nw.col("is_fallback"))
    rows = unlisted(lists, {"item_id": "item_ids", "score": "scores"}, position="rank")
    return rows.select(
        "ds",
        "user_id",
        "item_id",
        nw.lit(family).alias("family"),
        nw.col("rank").cast(nw.Int64),
        nw.col("score").cast(nw.Float64),
        "version",
    )


VIEW = FeatureView(
    table=FAMILY_SCORES,
    entity=("family", "user_id", "item_id"),
    keeps="snapshot",
    compute=_compute,
    inputs=(),
    window_days=1,
    reach_days=1,
    is_stored=False,
)
