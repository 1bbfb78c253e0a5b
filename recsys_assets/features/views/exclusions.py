"""The view `exclusions`: what may not be recommended to whom."""

import narwhals as nw

from recsys_assets.columns import EXCLUSIONS, INTERACTIONS, PAIR_TOTALS, USER_BLOCKS, USERS, USERS_SEEN
from recsys_assets.features import rules
from recsys_assets.features.listing import listed
from recsys_assets.features.rules import Frame
from recsys_assets.features.view import Applied, FeatureView, Known

TARGET_COLUMNS = {"item": "item_id", "creator": "creator", "category": "category"}


def excluded(known: Known) -> Applied:
    """user_id, target (item, creator, category), target_id, reason (owned, blocked): one row per user and target."""
    configured = known.platform.rules
    owned = rules.owned(known.total(PAIR_TOTALS), configured)
    blocked = rules.blocked(known.state(USER_BLOCKS), configured)
    owned_targets = owned.select("user_id", nw.lit("item").alias("target"), nw.col("item_id").alias("target_id"))
    only_blocked = blocked.join(owned_targets, on=["user_id", "target", "target_id"], how="anti")
    rows = [
        owned_targets.with_columns(nw.lit("owned").alias("reason")),
        only_blocked.with_columns(nw.lit("blocked").alias("reason")),
    ]
    return Applied(nw.concat(rows)).into(nw.concat(rows), owned=owned, blocked=blocked)


def permission(known: Known) -> Frame:
    """user_id, may_see_adult, as the rule has it."""
    return rules.adult_permission(known.state(USERS), known.platform.rules)


def _compute(known: Known) -> Applied:
    targets = excluded(known)
    allowed = permission(known)
    seen = (known.total(USERS_SEEN), allowed, targets.frame)
    users = nw.concat([one.select("user_id") for one in seen]).unique()
    columns = [
        nw.when(nw.col("target") == target).then(nw.col("target_id")).alias(column)
        for target, column in TARGET_COLUMNS.items()
    ]
    rows = users.join(targets.frame, on="user_id", how="left").with_columns(*columns)
    item_reason = nw.when(nw.col("target") == "item").then(nw.col("reason")).alias("item_reason")
    lists = listed(
        rows.with_columns(item_reason),
        "user_id",
        ("target", "target_id"),
        {
            "item_ids": "item_id",
            "reasons": "item_reason",
            "blocked_creators": "creator",
            "blocked_categories": "category",
        },
    )
    others_may_see = not known.platform.rules.adult_needs_verification
    view = lists.join(allowed, on="user_id", how="left").with_columns(
        nw.col("may_see_adult").fill_null(value=others_may_see)
    )
    forbidden = view.filter(~nw.col("may_see_adult"))
    return targets.into(view, adult_permission=forbidden)


VIEW = FeatureView(
    table=EXCLUSIONS,
    entity=("user_id",),
    keeps="snapshot",
    compute=_compute,
    inputs=(INTERACTIONS, USERS, USER_BLOCKS),
    rules=(rules.owned, rules.blocked, rules.adult_permission),
)
