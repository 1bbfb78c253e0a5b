"""The view `purchase_sequence`: what each user bought last, in order."""

from typing import Any

import narwhals as nw

from recsys_assets.columns import INTERACTIONS, PURCHASE_SEQUENCE, USERS
from recsys_assets.features import rules
from recsys_assets.features.listing import listed
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views.genuine import genuine

WINDOW_DAYS = 730
IN_ORDER: Any = ("last_purchase_at", "item_id")


def _compute(known: Known) -> Applied:
    inside = genuine(known, known.newest(INTERACTIONS, WINDOW_DAYS))
    bought = inside.frame.filter(nw.col("purchases") > 0)
    from_the_end = nw.col("item_id").cum_count(reverse=True).over("user_id", order_by=list(IN_ORDER))
    length = known.platform.recommendations.sequence_length
    last = bought.with_columns(from_the_end.alias("place")).filter(nw.col("place") <= length)
    return inside.into(listed(last, "user_id", IN_ORDER, {"item_ids": "item_id", "bought_on": "ds"}))


VIEW = FeatureView(
    table=PURCHASE_SEQUENCE,
    entity=("user_id",),
    keeps="snapshot",
    compute=_compute,
    inputs=(INTERACTIONS, USERS),
    rules=(rules.without_test_accounts, rules.without_bots, rules.without_refunded),
    window_days=WINDOW_DAYS,
    ttl_days=30,
)
