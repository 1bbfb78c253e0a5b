"""What the impressions of a day add up to: per user, and per item. Pure: what counts is decided before.

Lists, users, items and groups are told apart by digests of 64 bits, which take a fraction of the time and memory of
their names; that any two of ten million are the same has a chance of one in 400,000. What the sums say is the business
of `online_figures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from recsys_assets.columns import POOLED
from recsys_assets.exposure import DEFAULT_ARM
from recsys_assets.monitoring.attribution import BROUGHT, EARNED, LIST

UNKNOWN_SURFACE = "unknown"
GROUP = (*BROUGHT, "surface", "arm")
SUMS = ("impressions", "requests", *EARNED, "ndcg_sum", "ndcg_requests")
_PART = ["list", "group"]
"""What one family brought to a list, or the whole list: a group of `POOLED`."""


@dataclass(frozen=True)
class Sums:
    """What a day adds up to, group by group.

    Attributes:
        groups: group (UInt64), and the family, version, surface and arm that it stands for.
        units: One row per unit and group: unit (UInt64), user_id (null: the unit is the request of somebody unknown),
            group, and the sums.
        items: One row per item and group: item (UInt64), group, is_eligible, and the least and the greatest unit that
            saw it. Where these two are the same, nobody else did.
    """

    groups: pl.DataFrame
    units: pl.DataFrame
    items: pl.DataFrame

    def pooled(self, kept: Sequence[str]) -> "Sums":
        """The same, by what is kept of the groups alone; the rest of their names is null."""
        lost = [pl.lit(None, pl.String).alias(name) for name in GROUP if name not in kept]
        named = self.groups.with_columns(lost).with_columns(coarser=pl.struct(GROUP).hash())
        of_group = named.select("group", "coarser")
        groups = named.select(*GROUP, group="coarser").unique()
        return Sums(groups, _pooled_units(_moved(self.units, of_group)), _pooled_items(_moved(self.items, of_group)))


def sums_of(impressions: pl.LazyFrame, hits: pl.DataFrame, eligible: pl.Series) -> Sums:
    """Add up the impressions of a day.

    Args:
        impressions: Those that count.
        hits: Those of them that earned anything, as `attribution.Credited` has them.
        eligible: Ids of the items that could be recommended to somebody on the day.
    """
    groups = _groups(impressions)
    earned = _earned(hits, groups)
    gained = earned.join(_best(impressions, hits, earned, groups), on=_PART).select(
        *_PART, *EARNED, ndcg_sum=pl.col("dcg") / pl.col("best"), ndcg_requests=pl.lit(1, pl.Int64)
    )
    lists = _lists(impressions, groups).join(gained, on=_PART, how="left")
    units = _pooled_units(lists.with_columns(requests=pl.lit(1, pl.Int64)))
    whole = groups.select(*GROUP, "group", "whole")
    of_families = whole.filter(pl.col("family").is_not_null()).select("group", *GROUP)
    pooled = pl.lit(None, pl.String)
    of_lists = whole.select(group="whole", family=pl.lit(POOLED), version=pooled, surface="surface", arm="arm").unique()
    return Sums(pl.concat([of_families, of_lists]), units, _items(impressions, eligible, groups))


def _groups(impressions: pl.LazyFrame) -> pl.DataFrame:
    """group, family, version, surface, arm, and the group of whole lists on that surface in that arm (whole)."""
    named = impressions.select(_names()).unique().collect(engine="streaming")
    whole = pl.struct(pl.lit(POOLED).alias("family"), "surface", "arm").hash()
    return named.with_columns(_group(), whole=whole)


def _lists(impressions: pl.LazyFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """One row per part of a list and one per whole list, with the number of impressions."""
    parts = impressions.select(_list(), _group(), _unit(), "user_id").group_by(_PART)
    found = parts.agg(pl.col("unit", "user_id").first(), impressions=pl.len().cast(pl.Int64)).collect(
        engine="streaming"
    )
    attributes = pl.col("group", "unit", "user_id").first()
    return _with_whole(found, found.group_by("list").agg(attributes, pl.col("impressions").sum()), groups)


def _earned(hits: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """What each part of a list earned, its discounted cumulated gain (dcg), and the number of its hits."""
    numbered = hits.with_columns(_list(), _group())
    sums = (pl.col(EARNED).sum(), _gain().sum().alias("dcg"), pl.len().alias("hits"))
    whole = numbered.group_by("list").agg(pl.col("group").first(), *sums)
    return _with_whole(numbered.group_by(_PART).agg(sums), whole, groups)


def _best(impressions: pl.LazyFrame, hits: pl.DataFrame, earned: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The gain (best) if as many hits had been in the best of the places that the part had in the list."""
    is_asked = pl.col("request_id").is_in(hits["request_id"].unique().implode())
    places = impressions.filter(is_asked).select(_list(), _group(), "position").collect(engine="streaming")

    def best(keys: list[str], hit: pl.DataFrame) -> pl.DataFrame:
        counted = places.select(*keys, "position").join(hit.select(*keys, "hits"), on=keys)
        is_best = pl.col("position").rank("ordinal").over(keys) <= pl.col("hits")
        return counted.filter(is_best).group_by(keys).agg(best=_gain().sum())

    is_whole = pl.col("group").is_in(groups["whole"].implode())
    parts, whole = earned.filter(~is_whole), earned.filter(is_whole)
    of_whole = best(["list"], whole).join(whole.select(_PART), on="list")
    return pl.concat([best(_PART, parts), of_whole.select(*_PART, "best")])


def _gain() -> pl.Expr:
    """What a hit counts at its place: 1 / log2(place + 1), as in `validation.metrics`."""
    return 1 / (pl.col("position") + 1).log(2)


def _items(impressions: pl.LazyFrame, eligible: pl.Series, groups: pl.DataFrame) -> pl.DataFrame:
    """Rows of `Sums.items`."""
    seen = impressions.select(_group(), _unit(), item=pl.col("item_id").hash()).group_by("group", "item")
    found = seen.agg(least=pl.col("unit").min(), greatest=pl.col("unit").max()).collect(engine="streaming")
    marked = found.with_columns(is_eligible=pl.col("item").is_in(eligible.hash().implode()))
    return _pooled_items(_with_whole(marked, marked, groups))


def _with_whole(parts: pl.DataFrame, whole: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Both, one below the other, the latter moved to the groups of whole lists.

    What names no family is a part of whole lists alone.
    """
    named = parts.join(groups.filter(pl.col("family").is_not_null()).select("group"), on="group", how="semi")
    moved = _moved(whole, groups.select("group", coarser="whole"))
    return pl.concat([named, moved.select(named.columns)])


def _moved(rows: pl.DataFrame, of_group: pl.DataFrame) -> pl.DataFrame:
    """The rows in the coarser groups of theirs."""
    return rows.join(of_group, on="group").drop("group").rename({"coarser": "group"})


def _pooled_units(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("unit", "group").agg(pl.col("user_id").first(), pl.col(SUMS).sum())


def _pooled_items(rows: pl.DataFrame) -> pl.DataFrame:
    ends = (pl.col("least").min(), pl.col("greatest").max())
    return rows.group_by("group", "item").agg(pl.col("is_eligible").first(), *ends)


def _group() -> pl.Expr:
    """The digest of what brought an item, where, and in which arm."""
    return pl.struct(_names()).hash().alias("group")


def _names() -> list[pl.Expr]:
    """What brought an item, where, and in which arm; also where nobody said it."""
    return [*map(pl.col, BROUGHT), pl.col("surface").fill_null(UNKNOWN_SURFACE), pl.col("arm").fill_null(DEFAULT_ARM)]


def _list() -> pl.Expr:
    """The digest of what tells shown lists apart."""
    return pl.struct(LIST).hash().alias("list")


def _unit() -> pl.Expr:
    """The digest of the user, or of the request of somebody unknown; a request never is a user of the same id."""
    is_known = pl.col("user_id").is_not_null()
    return pl.when(is_known).then(pl.col("user_id").hash(0)).otherwise(pl.col("request_id").hash(1)).alias("unit")
