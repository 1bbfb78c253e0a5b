"""Reading features as of a day: the one door between the lake and everything that trains, judges or ranks.

Each method reads only days up to the day asked for, applies the rules, and returns rows. Nothing is written here.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import narwhals as nw
import polars as pl

from recsys_assets.columns import (
    ELIGIBLE_ITEMS,
    EVENTS,
    EXCLUSIONS,
    INTERACTIONS,
    ITEMS,
    PURCHASE_SEQUENCE,
    USER_BLOCKS,
    USERS,
    Table,
)
from recsys_assets.features import rules
from recsys_assets.features.rules import Frame
from recsys_assets.platform import Platform
from resources.engine import Engine
from resources.lake import DeltaLake


@dataclass(frozen=True)
class FeatureStore:
    """Point-in-time correct features.

    Attributes:
        platform: The configuration.
        lake: Where the tables are.
        engine: What computes.
    """

    platform: Platform
    lake: DeltaLake
    engine: Engine

    def interactions_of(self, first: date, last: date) -> pl.DataFrame:
        """Rows of `features/interactions`, computed from the events of a range of days in one plan."""
        events = self.engine.scan(self.lake, EVENTS, (first, last))
        rows = self.engine.collect(rules.daily_interactions(events))
        return rows.select(INTERACTIONS.schema.names()).sort(INTERACTIONS.primary_key)

    def history(self, as_of: date, window_days: int) -> pl.DataFrame:
        """What users did, weighted, as known at the end of `as_of`.

        Args:
            as_of: The last day that is known.
            window_days: How many days back the rows reach, `as_of` included.

        Returns:
            user_id, item_id, day, weight; one row per user, item and day, sorted.
        """
        weighted = rules.weighted(self._genuine(as_of), self.platform.event_weights)
        first = as_of - timedelta(days=window_days - 1)
        rows = weighted.filter(nw.col("ds") >= nw.lit(first)).select(*rules.PAIR, nw.col("ds").alias("day"), "weight")
        return self.engine.collect(rows).sort(*rules.PAIR, "day")

    def exclusions(self, as_of: date) -> pl.DataFrame:
        """Rows of `features/exclusions`: every known user and what may not be recommended to them after `as_of`."""
        interactions = self._until(INTERACTIONS, as_of)
        collect = self.engine.collect
        blocked = collect(rules.blocked(self._until(USER_BLOCKS, as_of), self.platform.rules))
        permission = collect(rules.adult_permission(self._users(as_of), self.platform.rules))
        owned = collect(rules.owned(interactions, self.platform.rules))
        users = pl.concat(
            [
                collect(interactions.select("user_id").unique()),
                permission.select("user_id"),
                blocked.select("user_id"),
            ]
        ).unique()
        return _assemble_exclusions(users, owned, blocked, permission, self._may_see_adult_by_default, as_of)

    def eligible_items(self, as_of: date) -> pl.DataFrame:
        """Rows of `features/eligible_items`: what may be recommended to somebody after `as_of`."""
        if "items" in self.platform.sources:
            catalogue = rules.newest(self._until(ITEMS, as_of), "item_id")
            rows = self.engine.collect(rules.on_sale(catalogue, as_of, self.platform.rules))
        else:
            seen = self.engine.collect(self._until(INTERACTIONS, as_of).select("item_id").unique())
            unknown = pl.lit(None, pl.String)
            rows = seen.with_columns(creator=unknown, category=unknown, is_adult=pl.lit(value=False))
        return rows.select(pl.lit(as_of).alias("ds"), *ELIGIBLE_ITEMS.schema.names()[1:]).sort("item_id")

    def purchase_sequences(self, as_of: date) -> pl.DataFrame:
        """Rows of `features/purchase_sequence`: each user's last purchases that were kept, the oldest first."""
        kept = self._genuine(as_of).filter(nw.col("kept_purchases") > 0)
        rows = self.engine.collect(kept.select(*rules.PAIR, "ds", "last_purchase_at"))
        newest = rows.sort("user_id", "last_purchase_at", "item_id").group_by("user_id", maintain_order=True)
        return (
            newest.tail(self.platform.recommendations.sequence_length)
            .group_by("user_id", maintain_order=True)
            .agg(item_ids=pl.col("item_id"), bought_on=pl.col("ds"))
            .select(pl.lit(as_of).alias("ds"), *PURCHASE_SEQUENCE.schema.names()[1:])
            .sort("user_id")
        )

    def hits(self, first: date, last: date) -> pl.DataFrame:
        """What users took from a list without having had it: the truth that a candidate is judged on.

        A hit is an event of the configured type in the range, not refunded inside it, by a genuine user, of an item
        that was not excluded for the user on the day before the range.

        Returns:
            user_id, item_id, day (of the first such event); one row per user and item, sorted.
        """
        column = "kept_purchases" if self.platform.hit_event == "purchase" else rules.COUNTS[self.platform.hit_event]
        inside = self._genuine(last, first=first).filter(nw.col(column) > 0)
        pairs = self.engine.collect(inside.group_by(*rules.PAIR).agg(nw.col("ds").min().alias("day")))
        day_before = first - timedelta(days=1)
        allowed = without_excluded(pairs, self.exclusions(day_before), self._described_items(day_before))
        return allowed.sort(*rules.PAIR)

    def titles(self, as_of: date) -> pl.DataFrame:
        """item_id, title, creator of every item of the catalogue as of a day."""
        catalogue = rules.newest(self._until(ITEMS, as_of), "item_id")
        return self.engine.collect(catalogue.select("item_id", "title", "creator"))

    def _described_items(self, as_of: date) -> pl.DataFrame:
        """What exclusions look at (creator, category, adult or not), also of items that are not on sale."""
        catalogue = rules.newest(self._until(ITEMS, as_of), "item_id")
        return self.engine.collect(rules.with_adult_rule(catalogue, self.platform.rules))

    @property
    def _may_see_adult_by_default(self) -> bool:
        return not self.platform.rules.adult_needs_verification

    def _genuine(self, as_of: date, first: date | None = None) -> Frame:
        """Interactions of real customers as known at `as_of`, with `kept_purchases`, from `first` on."""
        known = self._until(INTERACTIONS, as_of)
        real = rules.without_test_accounts(known, self._users(as_of), self.platform.rules)
        human = rules.without_bots(real, self.platform.rules.bots)
        inside = human if first is None else human.filter(nw.col("ds") >= nw.lit(first))
        return rules.with_kept_purchases(inside, self.platform.rules)

    def _users(self, as_of: date) -> Frame:
        return rules.newest(self._until(USERS, as_of), "user_id")

    def _until(self, table: Table, as_of: date) -> Frame:
        return self.engine.scan(self.lake, table, (date.min, as_of))


def without_excluded(pairs: pl.DataFrame, exclusions: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Drop the pairs of user and item that the user's exclusions forbid.

    Args:
        pairs: user_id, item_id and whatever else.
        exclusions: Rows of `features/exclusions`.
        items: item_id, creator, category, is_adult of the known items; a pair on another item stays.

    Returns:
        The pairs that remain.
    """
    described = pairs.join(items.drop("ds", strict=False), on="item_id", how="left").join(
        exclusions.drop("ds", strict=False), on="user_id", how="left"
    )

    def listed(column: str, lists: str) -> pl.Expr:
        return pl.col(lists).list.contains(pl.col(column), nulls_equal=False).fill_null(value=False)

    is_forbidden_adult = pl.col("is_adult").fill_null(value=False) & ~pl.col("may_see_adult").fill_null(value=False)
    is_excluded = (
        listed("item_id", "item_ids")
        | listed("creator", "blocked_creators")
        | listed("category", "blocked_categories")
        | is_forbidden_adult
    )
    return described.filter(~is_excluded).select(pairs.columns)


def _assemble_exclusions(
    users: pl.DataFrame,
    owned: pl.DataFrame,
    blocked: pl.DataFrame,
    permission: pl.DataFrame,
    may_see_adult_by_default: bool,  # noqa: FBT001 - a switch of the configuration, passed through
    as_of: date,
) -> pl.DataFrame:
    def targets(kind: str, name: str) -> pl.DataFrame:
        rows = blocked.filter(pl.col("target") == kind).sort("user_id", "target_id")
        return rows.group_by("user_id", maintain_order=True).agg(pl.col("target_id").alias(name))

    blocked_items = blocked.filter(pl.col("target") == "item").select(
        "user_id", item_id="target_id", reason=pl.lit("blocked")
    )
    items = pl.concat([owned.with_columns(reason=pl.lit("owned")), blocked_items]).sort("user_id", "item_id", "reason")
    first_reason = items.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    item_lists = first_reason.group_by("user_id", maintain_order=True).agg(item_ids="item_id", reasons="reason")
    nothing = pl.lit([], pl.List(pl.String))
    return (
        users.join(item_lists, on="user_id", how="left")
        .join(targets("creator", "blocked_creators"), on="user_id", how="left")
        .join(targets("category", "blocked_categories"), on="user_id", how="left")
        .join(permission, on="user_id", how="left")
        .with_columns(
            pl.lit(as_of).alias("ds"),
            pl.col("item_ids", "reasons", "blocked_creators", "blocked_categories").fill_null(nothing),
            pl.col("may_see_adult").fill_null(may_see_adult_by_default),
        )
        .select(EXCLUSIONS.schema.names())
        .sort("user_id")
    )
