"""The view `user_profile`: what each user did lately; the segments of the reports come from it."""

import narwhals as nw

from recsys_assets.columns import INTERACTIONS, ITEMS, USER_PROFILE, USERS, USERS_SEEN
from recsys_assets.features import rules
from recsys_assets.features.rules import Frame
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views.genuine import genuine, without_machines

WINDOW_DAYS = 90
SUMS = ("views", "purchases", "items", "active_days")


def segments(known: Known) -> Frame:
    """user_id, segment of every user: a part of the view that costs a part of it."""
    return _sums(known, genuine(known, known.newest(INTERACTIONS, WINDOW_DAYS)).frame).select("user_id", "segment")


def _compute(known: Known) -> Applied:
    inside = genuine(known, known.newest(INTERACTIONS, WINDOW_DAYS))
    profiles = _sums(known, inside.frame)
    tastes = _tastes(inside.frame, known.state(ITEMS))
    for subject in ("category", "creator"):
        profiles = profiles.join(_favourite(tastes, subject), on="user_id", how="left")
    return inside.into(profiles)


def _sums(known: Known, interactions: Frame) -> Frame:
    """All but the favourites, of every user that was ever seen."""
    users = without_machines(known, known.total(USERS_SEEN)).frame.select("user_id")
    sums = interactions.group_by("user_id").agg(
        nw.col("views", "purchases").sum(),
        nw.col("item_id").n_unique().cast(nw.Int64).alias("items"),
        nw.col("ds").n_unique().cast(nw.Int64).alias("active_days"),
        nw.col("value").sum().round(rules.MONEY_DECIMALS),
        nw.col("last_at").max(),
    )
    filled = users.join(sums, on="user_id", how="left").with_columns(
        nw.col(*SUMS).fill_null(0), nw.col("value").fill_null(0.0)
    )
    return rules.segmented(filled, known.platform.segments)


def _tastes(interactions: Frame, items: Frame) -> Frame:
    """user_id, category, creator, purchases, events of what users did, as far as the catalogue knows the item."""
    events = nw.sum_horizontal(*(nw.col(count) for count in rules.COUNTS.values())).alias("events")
    described = items.select("item_id", "category", "creator")
    return interactions.select(*rules.PAIR, "purchases", events).join(described, on="item_id", how="inner")


def _favourite(tastes: Frame, subject: str) -> Frame:
    """user_id and `favourite_<subject>`: most purchases, then most events, then the first by name."""
    best = (
        tastes.filter(~nw.col(subject).is_null()).group_by("user_id", subject).agg(nw.col("purchases", "events").sum())
    )
    for most in ("purchases", "events"):
        best = best.filter(nw.col(most) == nw.col(most).max().over("user_id"))
    return best.group_by("user_id").agg(nw.col(subject).min().alias(f"favourite_{subject}"))


VIEW = FeatureView(
    table=USER_PROFILE,
    entity=("user_id",),
    keeps="snapshot",
    compute=_compute,
    inputs=(INTERACTIONS, USERS, ITEMS),
    rules=(rules.without_test_accounts, rules.without_bots, rules.without_refunded, rules.segmented),
    window_days=WINDOW_DAYS,
    ttl_days=30,
)
