"""What lists hold and must not: checked on the lists themselves, without the masks that `models.candidates` ranks with.

A mistake in those masks is to be found here, so nothing is shared with them but the two views.
"""

import polars as pl


def forbidden_pairs(lists: pl.DataFrame, exclusions: pl.DataFrame, eligible: pl.DataFrame) -> pl.DataFrame:
    """Find the items that lie in lists where they must not be.

    Args:
        lists: user_id (each once), item_ids.
        exclusions: Rows of `features/exclusions`; a user without a row has none, and may not see adult titles.
        eligible: Rows of `features/eligible_items`.

    Returns:
        user_id, item_id of what is not eligible at all, or for its user owned, blocked, by a blocked creator, of a
        blocked category, or an adult title that the user may not see; one row each, sorted.
    """
    mine = lists.select("user_id", shown="item_ids").join(exclusions, on="user_id", how="left")
    minors = mine.filter(~pl.col("may_see_adult").fill_null(value=False))
    adult = eligible.filter("is_adult").select("item_id")
    owned_or_blocked = mine.with_columns(shown=pl.col("shown").list.set_intersection("item_ids"))
    wrong = [
        _shown(mine).join(eligible, on="item_id", how="anti"),
        _shown(minors).join(adult, on="item_id", how="semi"),
        _shown(owned_or_blocked),
        *(
            _of_blocked(mine, eligible, *one)
            for one in (("blocked_creators", "creator"), ("blocked_categories", "category"))
        ),
    ]
    return pl.concat(wrong).unique().sort("user_id", "item_id")


def without_pairs(lists: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Take some items out of lists.

    Args:
        lists: user_id, item_ids.
        pairs: user_id, item_id of what is taken out.

    Returns:
        user_id, item_ids, in the same order.
    """
    shown = _shown(lists.rename({"item_ids": "shown"}))
    kept = shown.join(pairs, on=["user_id", "item_id"], how="anti", maintain_order="left")
    left = kept.group_by("user_id", maintain_order=True).agg(item_ids="item_id")
    joined = lists.select("user_id").join(left, on="user_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("item_ids").fill_null([]))


def _of_blocked(mine: pl.DataFrame, eligible: pl.DataFrame, blocked: str, column: str) -> pl.DataFrame:
    """user_id, item_id of what is shown by a creator, or of a category, that the user blocked."""
    blocking = mine.filter(pl.col(blocked).list.len() > 0)
    targets = blocking.select("user_id", pl.col(blocked).alias(column)).explode(column)
    described = _shown(blocking).join(eligible.select("item_id", column), on="item_id")
    return described.join(targets, on=["user_id", column], how="semi").select("user_id", "item_id")


def _shown(rows: pl.DataFrame) -> pl.DataFrame:
    """user_id, item_id: one row for each item that is shown."""
    return rows.select("user_id", item_id="shown").explode("item_id", empty_as_null=False, keep_nulls=False)
