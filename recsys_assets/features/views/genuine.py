"""Interactions as far as they count: no test accounts, no bots, no refunded purchases. What several views share."""

from datetime import date, timedelta

import narwhals as nw

from recsys_assets.columns import INTERACTIONS, ITEMS, USERS, USERS_SEEN
from recsys_assets.features import rules
from recsys_assets.features.rules import PAIR, Frame
from recsys_assets.features.view import Applied, Known
from recsys_assets.features.views.exclusions import excluded, permission


def genuine(known: Known, interactions: Frame) -> Applied:
    """Interactions of real customers, with `purchases` lowered to those that were kept.

    Args:
        known: What is known at the cutoff.
        interactions: Rows of `features/interactions` up to the cutoff.
    """
    real = without_machines(known, interactions)
    return real.then(rules.without_refunded, known.platform.rules, column="purchases")


def without_machines(known: Known, rows: Frame) -> Applied:
    """Rows with a user_id, without those of test accounts and bots."""
    configured = known.platform.rules
    real = Applied(rows).then(rules.without_test_accounts, known.state(USERS), configured)
    return real.then(rules.without_bots, known.total(USERS_SEEN), configured.bots)


def history(known: Known, days: int) -> Applied:
    """What users did in the newest `days` days, weighted: user_id, item_id, day, weight."""
    counted = genuine(known, known.newest(INTERACTIONS, days))
    weighed = rules.weighted(counted.frame, known.platform.event_weights)
    faded = rules.decayed(weighed, known.as_of, known.platform.rules)
    return counted.into(faded.select(*PAIR, nw.col("ds").alias("day"), "weight"))


def hits(known: Known, first: date) -> Applied:
    """What users took from `first` on without having had it: the truth that a candidate is judged on.

    A hit is an event of the configured type, not refunded since, by a genuine user, of an item that was not excluded
    for the user on the day before `first`.

    Returns:
        user_id, item_id, day (of the first such event); one row per user and item.
    """
    column = rules.COUNTS[known.platform.hit_event]
    inside = genuine(known, known.since(INTERACTIONS, first))
    taken = inside.frame.filter(nw.col(column) > 0)
    pairs = taken.group_by(*PAIR).agg(nw.col("ds").min().alias("day"))
    before = known.at(first - timedelta(days=1))
    configured = known.platform.rules
    return inside.into(pairs).then(
        rules.without_excluded,
        excluded(before).frame,
        permission(before),
        rules.with_adult_rule(before.state(ITEMS), configured),
        others_may_see=not configured.adult_needs_verification,
    )
