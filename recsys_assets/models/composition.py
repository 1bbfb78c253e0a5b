"""From the lists of the families to one list per user: blended, composed by the rules, filled up, cut. Pure.

What is served, what the gate of the blend looks at, and what real time answers all come from `final_lists`. Its steps
are in `blending` and `composition_rules`; what rules must know of items and users is an `assortment`.
"""

from collections.abc import Mapping

import polars as pl

from recsys_assets.composing import BlendRule, Composition
from recsys_assets.features.assortment import NO_ASSORTMENT, Assortment
from recsys_assets.models.blending import FamilyLists, blend, families_of, fill
from recsys_assets.models.composition_rules import limit_creators, new_release_slots, series_first

USERS_AT_ONCE = 2_048
"""Lists that are composed together: what this takes stays near the processor, and many more take longer each."""
PLAIN = Composition()


def final_lists(
    lists: Mapping[str, pl.DataFrame],
    weights: Mapping[str, float],
    fallback_family: str,
    length: int,
    *,
    rule: BlendRule = "reciprocal_ranks",
    composition: Composition = PLAIN,
    assortment: Assortment = NO_ASSORTMENT,
) -> pl.DataFrame:
    """One list per user from the lists of the families.

    Args:
        lists: Family to user_id, item_ids (best first), is_fallback, and scores where they are blended; the fallback
            family has a list for every user.
        weights: Family to its weight; a family that is missing takes no part.
        fallback_family: The family whose lists fill up.
        length: The longest list.
        rule: How the families are blended.
        composition: Which rules apply.
        assortment: What these must know of items and users.

    Returns:
        user_id, item_ids, scores, sources, families, rules, is_fallback; one row per row of the fallback family,
        sorted by user. `scores` are those of the blend, and 0 where no family in it lists an item. A list is a fallback
        where no family in the blend has any for the user.
    """
    users = lists[fallback_family].select("user_id").sort("user_id")
    parts = []
    for first in range(0, max(1, users.height), USERS_AT_ONCE):
        some = users[first : first + USERS_AT_ONCE]
        numbered, known = _numbered(lists, some["user_id"], assortment.of(some))
        blended = blend({name: FamilyLists(one, weights.get(name, 0.0)) for name, one in numbered.items()}, rule)
        filled = fill(blended, numbered[fallback_family], fallback_family)
        rows = composed(filled, composition, known)
        parts.append(_lists(rows, blended, some, sorted(lists), length))
    return pl.concat(parts)


def composed(rows: pl.DataFrame, composition: Composition, assortment: Assortment) -> pl.DataFrame:
    """Apply the rules that are switched on.

    A series is limited like any other work of its creator, so the limit comes after it; places for new releases are
    given last, so that nothing takes them away again.

    Args:
        rows: All items of each user in order, as `blending.fill` returns them.
        composition: Which rules apply.
        assortment: What they must know.
    """
    series, limit, slots = composition.series_first, composition.max_per_creator, composition.new_release_slots
    if series is not None:
        rows = series_first(rows, assortment.continuations, series.items)
    if limit is not None:
        rows = limit_creators(rows, assortment.items, limit.items, limit.within)
    if slots is not None:
        rows = new_release_slots(rows, assortment.items.filter("is_new")["item_id"], slots.every)
    return rows


def _numbered(
    lists: Mapping[str, pl.DataFrame], users: pl.Series, assortment: Assortment
) -> tuple[dict[str, pl.DataFrame], Assortment]:
    """The same of some users, with ids as Enums, which sort and join as numbers do."""
    user_id = pl.col("user_id").cast(pl.Enum(users), strict=False)
    mine = {name: one.with_columns(user_id).drop_nulls("user_id") for name, one in lists.items()}
    listed = [one["item_ids"].explode(empty_as_null=False, keep_nulls=False) for one in mine.values()]
    items = pl.Enum(pl.concat([*listed, assortment.continuations["item_id"]]).unique().sort())
    item_id = pl.col("item_id").cast(items, strict=False)
    return (
        {name: one.with_columns(pl.col("item_ids").cast(pl.List(items))) for name, one in mine.items()},
        Assortment(
            assortment.items.with_columns(item_id).drop_nulls("item_id"),
            assortment.continuations.with_columns(user_id, item_id),
        ),
    )


def _lists(
    rows: pl.DataFrame, blended: pl.DataFrame, users: pl.DataFrame, names: list[str], length: int
) -> pl.DataFrame:
    """One row per user: the first items of each, with what is known of each item."""
    best = rows.filter(pl.int_range(pl.len()).over("user_id") < length)
    columns = best.select(
        pl.col("user_id").cast(pl.String),
        item_ids=pl.col("item_id").cast(pl.String),
        scores="score",
        sources=pl.col("source").cast(pl.String),
        families=families_of(best["brought_by"], names),
        rules=pl.col("rule").cast(pl.String),
    )
    lists = columns.group_by("user_id", maintain_order=True).agg(pl.all())
    personal = blended["user_id"].unique().cast(pl.String)
    empty = (pl.col(name).fill_null(pl.lit([], dtype)) for name, dtype in lists.schema.items() if name != "user_id")
    return users.join(lists, on="user_id", how="left", maintain_order="left").with_columns(
        *empty, is_fallback=~pl.col("user_id").is_in(personal.implode())
    )
