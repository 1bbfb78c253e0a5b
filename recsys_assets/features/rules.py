"""Every business rule, once: named pure functions on Narwhals lazy frames, the same on Polars and on Spark.

Facts are kept as they were known on their day. What later days change (a refund, a machine found out, a test
account) is applied here, when reading as of a cutoff: the frames that come in reach up to the cutoff and no further.
Reading, writing and the assembly of lists stay out.
"""

from datetime import date, timedelta
from typing import Any, TypeAlias

import narwhals as nw

from recsys_assets.columns import EVENT_TYPES
from recsys_assets.platform import BotRule, EventWeights, Rules

Frame: TypeAlias = nw.LazyFrame[Any]

COUNTS = {event_type: f"{event_type}s" if event_type != "wish" else "wishes" for event_type in EVENT_TYPES}
"""Event type to the column of `features/interactions` that counts it."""
PAIR = ("user_id", "item_id")


def daily_interactions(events: Frame) -> Frame:
    """Fold events into one row per user, item and day: signed, undecayed, as known at the end of the day.

    Args:
        events: Rows of `sources/events`.

    Returns:
        Rows of `features/interactions`.
    """
    is_type = {event_type: nw.col("event_type") == event_type for event_type in EVENT_TYPES}
    sign = nw.when(is_type["purchase"]).then(1).when(is_type["refund"]).then(-1).otherwise(0)
    marked = events.with_columns(
        *(is_type[event_type].cast(nw.Int64).alias(count) for event_type, count in COUNTS.items()),
        (sign * nw.col("quantity")).cast(nw.Int64).alias("signed_quantity"),
        nw.when(is_type["purchase"]).then(nw.col("occurred_at")).alias("purchased_at"),
    ).with_columns((nw.col("signed_quantity") * nw.col("unit_price").fill_null(0.0)).alias("signed_value"))
    return marked.group_by("ds", *PAIR).agg(
        *(nw.col(count).sum() for count in COUNTS.values()),
        nw.col("signed_quantity").sum().alias("quantity"),
        nw.col("signed_value").sum().alias("value"),
        nw.col("occurred_at").max().alias("last_at"),
        nw.col("purchased_at").max().alias("last_purchase_at"),
    )


def newest(changes: Frame, *keys: str) -> Frame:
    """The state of a change log: per key, the row of the newest day."""
    return changes.filter(nw.col("ds") == nw.col("ds").max().over(*keys))


def without_test_accounts(interactions: Frame, users: Frame, rules: Rules) -> Frame:
    """Drop what the shop's own test accounts did, on every day, also before they were marked as such."""
    if not rules.drop_test_accounts:
        return interactions
    return interactions.join(users.filter(nw.col("is_test")).select("user_id"), on="user_id", how="anti")


def without_bots(interactions: Frame, rule: BotRule | None) -> Frame:
    """Drop everything that a user did who on any one day had more events than a person can have."""
    if rule is None:
        return interactions
    events = nw.sum_horizontal(*COUNTS.values()).alias("events")
    per_day = interactions.with_columns(events).group_by("user_id", "ds").agg(nw.col("events").sum())
    bots = per_day.filter(nw.col("events") > rule.max_events_per_day).select("user_id").unique()
    return interactions.join(bots, on="user_id", how="anti")


def with_kept_purchases(interactions: Frame, rules: Rules) -> Frame:
    """Add `kept_purchases`: purchases that no refund took back, on whichever day the refund came.

    A pair of user and item whose net quantity is not positive keeps none; any other pair keeps all of its purchases.
    """
    if not rules.refunds_take_back:
        return interactions.with_columns(nw.col("purchases").alias("kept_purchases"))
    net = nw.col("quantity").sum().over(*PAIR)
    return interactions.with_columns(
        nw.when(net > 0).then(nw.col("purchases")).otherwise(0).cast(nw.Int64).alias("kept_purchases")
    )


def weighted(interactions: Frame, weights: EventWeights) -> Frame:
    """Add `weight`, the sum of event counts times event weights, and keep the rows where it is positive."""
    terms = [
        nw.col(column) * factor
        for column, factor in (
            ("views", weights.view),
            ("carts", weights.cart),
            ("wishes", weights.wish),
            ("kept_purchases", weights.purchase),
            ("ratings", weights.rating),
        )
    ]
    return interactions.with_columns(nw.sum_horizontal(*terms).alias("weight")).filter(nw.col("weight") > 0)


def owned(interactions: Frame, rules: Rules) -> Frame:
    """Pairs of user and item that the user owns: net quantity above zero. None where owning does not exclude."""
    if not rules.owned_is_excluded:
        return interactions.select(*PAIR).head(0)
    bought = nw.col("quantity") if rules.refunds_take_back else nw.col("purchases")
    totals = interactions.with_columns(bought.alias("bought")).group_by(*PAIR).agg(nw.col("bought").sum())
    return totals.filter(nw.col("bought") > 0).select(*PAIR)


def blocked(blocks: Frame, rules: Rules) -> Frame:
    """What users block at the moment: user_id, target, target_id. A lifted block is gone."""
    state = newest(blocks, "user_id", "target", "target_id").filter(nw.col("is_blocked"))
    rows = state.select("user_id", "target", "target_id")
    return rows if rules.blocks_apply else rows.head(0)


def adult_permission(users: Frame, rules: Rules) -> Frame:
    """Per user (user_id, may_see_adult), whether adult titles may be shown; a user without a row may not see them."""
    if not rules.adult_needs_verification:
        return users.select("user_id", nw.lit(value=True).alias("may_see_adult"))
    return users.select("user_id", nw.col("is_adult_verified").fill_null(value=False).alias("may_see_adult"))


def with_adult_rule(items: Frame, rules: Rules) -> Frame:
    """item_id, creator, category, and `is_adult`: whether the item is only for users who may see adult titles."""
    needs_verification = nw.col("is_adult").fill_null(value=False) & nw.lit(value=rules.adult_needs_verification)
    return items.select("item_id", "creator", "category", needs_verification.alias("is_adult"))


def on_sale(items: Frame, day: date, rules: Rules) -> Frame:
    """Items that may be recommended to somebody on the morning after `day`.

    Args:
        items: State of the catalogue as of `day`.
        day: The last day that is known.
        rules: Which rules are switched on.
    """
    morning = nw.lit(day + timedelta(days=1))
    kept = items
    if rules.unreleased_is_hidden:
        kept = kept.filter(nw.col("released_on").is_null() | (nw.col("released_on") <= morning))
    if rules.withdrawn_is_hidden:
        kept = kept.filter(nw.col("withdrawn_on").is_null() | (nw.col("withdrawn_on") > morning))
    return with_adult_rule(kept, rules)
