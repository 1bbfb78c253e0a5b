"""Every business rule, once: named pure functions on Narwhals lazy frames, the same on Polars and on Spark.

Facts are kept as they were known on their day. What later days change (a refund, a machine found out, a test
account, decay) is applied here, when reading as of a cutoff: the frames that come in reach up to the cutoff and no
further. Reading, writing and the assembly of lists stay out.
"""

from datetime import date, timedelta
from typing import Any, TypeAlias

import narwhals as nw

from recsys_assets.columns import EVENT_TYPES
from recsys_assets.platform import BotRule, EventWeights, Rules, Segments

Frame: TypeAlias = nw.LazyFrame[Any]

COUNTS = {event_type: f"{event_type}s" if event_type != "wish" else "wishes" for event_type in EVENT_TYPES}
"""Event type to the column of `features/interactions` that counts it."""
PAIR = ("user_id", "item_id")
MONEY_DECIMALS = 4
"""Sums of money are rounded, so that the order of adding up, which differs from run to run, cannot be seen."""


# --- What a day was ---


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
        nw.col("signed_value").sum().round(MONEY_DECIMALS).alias("value"),
        nw.col("occurred_at").max().alias("last_at"),
        nw.col("purchased_at").max().alias("last_purchase_at"),
    )


# --- Whose interactions count, and how much ---


def without_test_accounts(interactions: Frame, users: Frame, rules: Rules) -> Frame:
    """Drop what the shop's own test accounts did, on every day, also before they were marked as such."""
    if not rules.drop_test_accounts:
        return interactions
    return interactions.join(users.filter(nw.col("is_test")).select("user_id"), on="user_id", how="anti")


def without_bots(interactions: Frame, users_seen: Frame, rule: BotRule | None) -> Frame:
    """Drop everything that a user did who on any one day had more events than a person can have.

    Args:
        interactions: Rows with a user_id.
        users_seen: user_id, most_events: the most events that the user had on one day, up to the cutoff.
        rule: How many are too many; None: nobody is a machine.
    """
    if rule is None:
        return interactions
    bots = users_seen.filter(nw.col("most_events") > rule.max_events_per_day).select("user_id")
    return interactions.join(bots, on="user_id", how="anti")


def without_refunded(interactions: Frame, rules: Rules) -> Frame:
    """Lower `purchases` to those that no refund took back, on whichever day the refund came.

    A refund takes back the newest pieces of the item that the user still has, as a stack gives them back; pieces
    bought before the rows begin are taken back after those inside, so a window needs no rows from before it. A row
    keeps as many purchases as it keeps pieces, at most those that it had.

    Args:
        interactions: Rows of `features/interactions`, up to the cutoff.
        rules: Whether refunds take back.
    """
    if not rules.refunds_take_back:
        return interactions
    refunded = interactions.filter(nw.col("refunds") > 0).select(*PAIR).unique()
    zero = nw.lit(0)
    by_pair: dict[str, Any] = {"order_by": "ds"}
    balances = (
        interactions.join(refunded, on=list(PAIR), how="inner")
        .with_columns(nw.col("quantity").cum_sum().over(*PAIR, **by_pair).alias("balance"))
        # A refund of what was never bought here takes back nothing: the stack cannot fall below its ground.
        .with_columns(nw.col("balance").cum_min().over(*PAIR, **by_pair).alias("lowest"))
        .with_columns((nw.col("balance") - nw.min_horizontal(nw.col("lowest"), zero)).alias("stack"))
        .with_columns(
            nw.col("stack").cum_min(reverse=True).over(*PAIR, **by_pair).alias("left"),
            nw.col("stack").shift(1).over(*PAIR, **by_pair).fill_null(0).alias("before"),
        )
        .with_columns(nw.max_horizontal(nw.col("left") - nw.col("before"), zero).alias("kept"))
    )
    taken_back = balances.with_columns(
        nw.min_horizontal(nw.col("purchases"), nw.col("kept")).cast(nw.Int64).alias("purchases")
    ).select(interactions.collect_schema().names())
    return nw.concat([interactions.join(refunded, on=list(PAIR), how="anti"), taken_back])


def weighted(interactions: Frame, weights: EventWeights) -> Frame:
    """Add `weight`, the sum of event counts times event weights, and keep the rows where it is positive.

    Args:
        interactions: With `purchases` already lowered to those that were kept.
        weights: By event type; a refund has none, because it takes back a purchase instead.
    """
    by_type = weights.model_dump()
    terms = [nw.col(COUNTS[event_type]) * by_type[event_type] for event_type in by_type if event_type in COUNTS]
    return interactions.with_columns(nw.sum_horizontal(*terms).alias("weight")).filter(nw.col("weight") > 0)


def decayed(weighted_rows: Frame, as_of: date, rules: Rules) -> Frame:
    """Halve `weight` for every half-life that lies between the row's day and the cutoff.

    Args:
        weighted_rows: With ds and weight.
        as_of: The cutoff: the last day that is known.
        rules: The half-life in days; None: a weight never fades.
    """
    if rules.half_life_days is None:
        return weighted_rows
    age_days = as_of.toordinal() - _day_number(nw.col("ds"))
    return weighted_rows.with_columns(
        (nw.col("weight") * nw.lit(0.5) ** (age_days / rules.half_life_days)).alias("weight")
    )


# --- What may be recommended to whom ---


def owned(pair_totals: Frame, rules: Rules) -> Frame:
    """Pairs of user and item that the user owns: net quantity above zero. None where owning does not exclude.

    Args:
        pair_totals: user_id, item_id, quantity, purchases: sums over all days up to the cutoff.
        rules: Whether owning excludes, and whether refunds count.
    """
    if not rules.owned_is_excluded:
        return pair_totals.select(*PAIR).head(0)
    bought = nw.col("quantity") if rules.refunds_take_back else nw.col("purchases")
    return pair_totals.filter(bought > 0).select(*PAIR)


def blocked(blocks: Frame, rules: Rules) -> Frame:
    """What users block at the moment: user_id, target, target_id. A lifted block is gone.

    Args:
        blocks: State of `sources/user_blocks` as of the cutoff.
        rules: Whether blocks apply.
    """
    rows = blocks.filter(nw.col("is_blocked")).select("user_id", "target", "target_id")
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


def without_unreleased(items: Frame, day: date, rules: Rules) -> Frame:
    """Drop items that are not on sale yet on the morning after `day`.

    Args:
        items: State of the catalogue as of `day`.
        day: The last day that is known.
        rules: Whether unreleased items are hidden.
    """
    if not rules.unreleased_is_hidden:
        return items
    return items.filter(nw.col("released_on").is_null() | (nw.col("released_on") <= nw.lit(day + timedelta(days=1))))


def without_withdrawn(items: Frame, day: date, rules: Rules) -> Frame:
    """Drop items that are no longer on sale on the morning after `day`; one that is sold again comes back.

    Args:
        items: State of the catalogue as of `day`.
        day: The last day that is known.
        rules: Whether withdrawn items are hidden.
    """
    if not rules.withdrawn_is_hidden:
        return items
    return items.filter(nw.col("withdrawn_on").is_null() | (nw.col("withdrawn_on") > nw.lit(day + timedelta(days=1))))


def without_excluded(pairs: Frame, excluded: Frame, permission: Frame, items: Frame, *, others_may_see: bool) -> Frame:
    """Drop the pairs of user and item that may not be recommended.

    Args:
        pairs: user_id, item_id and whatever else.
        excluded: user_id, target (item, creator or category), target_id.
        permission: user_id, may_see_adult.
        items: item_id, creator, category, is_adult of the known items; a pair on another item stays.
        others_may_see: Whether a user without a row in `permission` may see adult titles.
    """
    columns = pairs.collect_schema().names()
    known = pairs.join(items.select("item_id", "creator", "category", "is_adult"), on="item_id", how="left")
    for target, column in (("item", "item_id"), ("creator", "creator"), ("category", "category")):
        aimed = excluded.filter(nw.col("target") == target).select("user_id", nw.col("target_id").alias(column))
        known = known.join(aimed.unique(), on=["user_id", column], how="anti")
    judged = known.join(permission, on="user_id", how="left")
    may_see = nw.col("may_see_adult").fill_null(value=others_may_see)
    return judged.filter(~nw.col("is_adult").fill_null(value=False) | may_see).select(columns)


# --- Who is who ---


def segmented(profiles: Frame, segments: Segments) -> Frame:
    """Add `segment` (none, light, middle, heavy) by the purchases of the profile's window."""
    bought = nw.col("purchases")
    return profiles.with_columns(
        nw.when(bought >= segments.heavy_from)
        .then(nw.lit("heavy"))
        .when(bought >= segments.middle_from)
        .then(nw.lit("middle"))
        .when(bought > 0)
        .then(nw.lit("light"))
        .otherwise(nw.lit("none"))
        .alias("segment")
    )


def _day_number(day: nw.Expr) -> nw.Expr:
    """Days since the year 1, as `date.toordinal` counts them; differences of dates are not there on Spark."""
    year = day.dt.year().cast(nw.Int64) - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day.dt.ordinal_day().cast(nw.Int64)
