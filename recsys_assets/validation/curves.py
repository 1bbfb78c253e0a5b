"""The numbers behind the pictures of a report: how good lists are by length, and how popular what they show is. Pure.

How the curves look is in `pictures`. Every frame names its curves in the column `who`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_assets.validation.evaluation import Holdout
from recsys_assets.validation.metrics import hit_matrix, mean_metrics, per_user_metrics, relevant_counts

LENGTHS = (1, 5, 10, 20, 50, 100, 200)
SHOWN_AT = 10
POINTS = 40
PURCHASES = "what users took"
BY_K_SCHEMA = pl.Schema({"who": pl.String(), "k": pl.Int64(), "ndcg": pl.Float64()})
SHARE_SCHEMA = pl.Schema({"who": pl.String(), "items": pl.Int64(), "share": pl.Float64()})


@dataclass(frozen=True)
class Curves:
    """What the pictures of a report show.

    Attributes:
        by_k: who, k, ndcg: as `ndcg_by_k` returns it.
        by_slot: ds, ndcg_at_10, ndcg_at_10_low, ndcg_at_10_high: one row per slot, oldest first.
        shares: who, items, share: as `popularity_shares` returns it.
    """

    by_k: pl.DataFrame
    by_slot: pl.DataFrame
    shares: pl.DataFrame


def curves_of(
    lists: Mapping[str, pl.DataFrame], holdout: Holdout, item_users: pl.DataFrame, reports: pl.DataFrame
) -> Curves:
    """Everything that the pictures show.

    Args:
        lists: Who to user_id, item_ids (best first): the candidate, and whoever it is compared with.
        holdout: The truth, and what may be recommended.
        item_users: item_id, users: how many users of the training rows had the item.
        reports: Rows of `validation/<family>` up to the slot.
    """
    return Curves(
        by_k=ndcg_by_k(lists, holdout.hits, holdout.users),
        by_slot=newest_by_slot(reports),
        shares=popularity_shares(lists, holdout, item_users),
    )


def ndcg_by_k(
    lists: Mapping[str, pl.DataFrame], hits: pl.DataFrame, users: pl.Series, lengths: Sequence[int] = LENGTHS
) -> pl.DataFrame:
    """Average NDCG at each list length.

    Args:
        lists: Who to user_id, item_ids (best first).
        hits: user_id, item_id.
        users: Who is averaged over.
        lengths: The ranks at which lists are cut.

    Returns:
        who, k, ndcg, in the order given; without users none.
    """
    relevant = relevant_counts(hits, users)
    rows = []
    for who, frame in lists.items():
        found = hit_matrix(frame, hits, users, max(lengths))
        means = mean_metrics(per_user_metrics(found, relevant, lengths))
        rows += [(who, k, means[f"ndcg_at_{k}"]) for k in lengths]
    return pl.DataFrame(rows, schema=BY_K_SCHEMA, orient="row").drop_nulls()


def newest_by_slot(reports: pl.DataFrame) -> pl.DataFrame:
    """The report on the newest version of each slot.

    Args:
        reports: Rows of `validation/<family>`.

    Returns:
        ds, ndcg_at_10, ndcg_at_10_low, ndcg_at_10_high, oldest first; slots without users are left out.
    """
    figures = ("ndcg_at_10", "ndcg_at_10_low", "ndcg_at_10_high")
    number = pl.col("version").cast(pl.Int64, strict=False)  # of the blend, which has no number, there is only one
    newest = reports.sort("ds", number, nulls_last=False).unique("ds", keep="last", maintain_order=True)
    return newest.select("ds", *figures).drop_nulls()


def popularity_shares(
    lists: Mapping[str, pl.DataFrame], holdout: Holdout, item_users: pl.DataFrame, at: int = SHOWN_AT
) -> pl.DataFrame:
    """Say which share of the shown places goes to the most popular items, and which share of what users took.

    A concentration curve: items stand in the order of how many users had them, not of how often they are shown, so
    the curves of several lists can be compared, and a list that shows what users take lies on their curve.

    Args:
        lists: Who to user_id, item_ids (best first).
        holdout: The eligible items, and the hits. Hits on items that were not eligible are left out.
        item_users: item_id, users: how many users of the training rows had the item.
        at: Places of each list that are looked at.

    Returns:
        who, items (1, ... all eligible items), share (0 to 1) of the `items` most popular ones; `what users took`
        comes last. Who shows nothing has no row.
    """
    users = holdout.users.to_frame("user_id")
    shown = {
        who: frame.join(users, on="user_id", how="semi")["item_ids"].list.head(at).explode().drop_nulls()
        for who, frame in lists.items()
    } | {PURCHASES: holdout.hits["item_id"]}
    ordered = (
        holdout.eligible.select("item_id")
        .join(item_users, on="item_id", how="left")
        .with_columns(pl.col("users").fill_null(0))
        .sort("users", "item_id", descending=[True, False])
        .with_row_index("place")
    )
    parts = [_cumulative(who, items, ordered) for who, items in shown.items()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SHARE_SCHEMA)


def _cumulative(who: str, items: pl.Series, ordered: pl.DataFrame) -> pl.DataFrame:
    places = items.to_frame("item_id").join(ordered, on="item_id")["place"].to_numpy()
    if not places.size:
        return pl.DataFrame(schema=SHARE_SCHEMA)
    share = np.cumsum(np.bincount(places, minlength=ordered.height)) / places.size
    at = _points(ordered.height)
    return pl.DataFrame({"who": [who] * at.size, "items": at, "share": share[at - 1]}, schema=SHARE_SCHEMA)


def _points(count: int) -> NDArray[np.int64]:
    """1 to `count`, fewer and fewer: as many as can be seen on a logarithmic axis."""
    return np.unique(np.geomspace(1, count, POINTS).round().astype(np.int64))
