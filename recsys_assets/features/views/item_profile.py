"""The view `item_profile`: what users did lately with each item; popularity and novelty come from it."""

import narwhals as nw

from recsys_assets.columns import INTERACTIONS, ITEM_PROFILE, ITEMS, ITEMS_SEEN, USERS
from recsys_assets.features import rules
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views.genuine import genuine

WINDOW_DAYS = 90
NOVELTY_DECIMALS = 9
"""Engines differ in the last digit of a logarithm."""


def _compute(known: Known) -> Applied:
    inside = genuine(known, known.newest(INTERACTIONS, WINDOW_DAYS))
    sums = inside.frame.group_by("item_id").agg(
        nw.col("views", "purchases").sum(), nw.col("value").sum().round(rules.MONEY_DECIMALS), nw.col("last_at").max()
    )
    bought = inside.frame.filter(nw.col("purchases") > 0)
    buyers = bought.group_by("item_id").agg(nw.col("user_id").n_unique().cast(nw.Int64).alias("buyers"))
    total = bought.select(nw.col("purchases").sum().fill_null(0).alias("all_purchases"))
    seen = known.total(ITEMS_SEEN)
    items = nw.concat([seen.select("item_id"), known.state(ITEMS).select("item_id")]).unique()
    share = nw.col("purchases") / nw.col("all_purchases")
    profiles = (
        items.join(sums, on="item_id", how="left")
        .join(buyers, on="item_id", how="left")
        .join(seen.select("item_id", "first_seen_on"), on="item_id", how="left")
        .join(total, how="cross")
        .with_columns(nw.col("views", "purchases", "buyers").fill_null(0), nw.col("value").fill_null(0.0))
        .with_columns(nw.when(nw.col("purchases") > 0).then(share).otherwise(nw.lit(0.0)).alias("purchase_share"))
        .with_columns(
            nw.when(nw.col("purchases") > 0)
            .then((0 - nw.col("purchase_share").log(2)).round(NOVELTY_DECIMALS))
            .alias("novelty"),
        )
    )
    return inside.into(profiles)


VIEW = FeatureView(
    table=ITEM_PROFILE,
    entity=("item_id",),
    keeps="snapshot",
    compute=_compute,
    inputs=(INTERACTIONS, ITEMS, USERS),
    rules=(rules.without_test_accounts, rules.without_bots, rules.without_refunded),
    window_days=WINDOW_DAYS,
    ttl_days=30,
)
