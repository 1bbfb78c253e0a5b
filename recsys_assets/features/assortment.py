"""What the rules of composition must know: who made an item, whether it is new, and which volumes come next. Pure."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import narwhals as nw
import polars as pl

from recsys_assets.composing import Composition
from recsys_assets.features.rules import without_excluded

OWNED = "owned"
EXCLUDED_BY = {"item": "item_ids", "creator": "blocked_creators", "category": "blocked_categories"}
"""What an exclusion may aim at, and the column of `features/exclusions` that lists it."""
PAIRS = pl.Schema({"user_id": pl.String(), "item_id": pl.String()})


@dataclass(frozen=True)
class Assortment:
    """What the rules of composition must know.

    Attributes:
        items: item_id, creator, is_new.
        continuations: user_id, item_id: volumes that continue a series of the user and may be recommended to them.
    """

    items: pl.DataFrame
    continuations: pl.DataFrame

    def of(self, users: pl.DataFrame) -> "Assortment":
        """The same for some users (user_id)."""
        return replace(self, continuations=self.continuations.join(users, on="user_id", how="semi"))


NO_ASSORTMENT = Assortment(
    pl.DataFrame(schema={"item_id": pl.String, "creator": pl.String, "is_new": pl.Boolean}), pl.DataFrame(schema=PAIRS)
)


def assortment_of(
    composition: Composition,
    catalogue: pl.DataFrame,
    eligible: pl.DataFrame,
    exclusions: pl.DataFrame,
    day: date,
) -> Assortment:
    """What is known at the end of a day.

    Args:
        composition: Which rules apply; for the others nothing is looked up.
        catalogue: item_id, creator, released_on, series, series_position of every item, on sale or not.
        eligible: Rows of `features/eligible_items` of the day.
        exclusions: Rows of `features/exclusions` of the day, of whichever users.
        day: The last day that is known.
    """
    slots = composition.new_release_slots
    newest = None if slots is None else day + timedelta(days=1 - slots.within_days)
    is_new = pl.lit(value=False) if newest is None else (pl.col("released_on") > newest).fill_null(value=False)
    items = catalogue.select("item_id", "creator", is_new=is_new)
    if composition.series_first is None:
        return Assortment(items, NO_ASSORTMENT.continuations)
    return Assortment(items, continuations(catalogue, eligible, exclusions))


def continuations(catalogue: pl.DataFrame, eligible: pl.DataFrame, exclusions: pl.DataFrame) -> pl.DataFrame:
    """Find for each user and series the first volume that they do not own, of those whose volume before they do own.

    Several items may be the same volume (editions): owning one is owning the volume, and of several that may be
    recommended the first by id counts. Where the volume is not on sale, or excluded for the user, the series has none.

    Args:
        catalogue: item_id, series, series_position of every item, on sale or not.
        eligible: Rows of `features/eligible_items`.
        exclusions: Rows of `features/exclusions`; those of `reasons` that say `owned` tell what a user owns.

    Returns:
        user_id, item_id; sorted.
    """
    volumes = catalogue.drop_nulls(["series", "series_position"]).select(
        "item_id", "series", volume=pl.col("series_position").rank("dense").over("series").cast(pl.Int64)
    )
    owned = (
        exclusions.select("user_id", item_id="item_ids", reason="reasons")
        .explode("item_id", "reason", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("reason") == OWNED)
        .join(volumes, on="item_id")
        .select("user_id", "series", "volume")
        .unique()
    )
    following = owned.with_columns(volume=pl.col("volume") + 1).join(
        owned, on=["user_id", "series", "volume"], how="anti"
    )
    first = following.group_by("user_id", "series").agg(pl.col("volume").min())
    on_sale = volumes.join(eligible.select("item_id"), on="item_id", how="semi")
    wanted = first.join(on_sale, on=["series", "volume"])
    allowed = _allowed(wanted, eligible, exclusions)
    return allowed.group_by("user_id", "series").agg(pl.col("item_id").min()).select(PAIRS.names()).sort(PAIRS.names())


def _allowed(pairs: pl.DataFrame, eligible: pl.DataFrame, exclusions: pl.DataFrame) -> pl.DataFrame:
    """Those of the pairs that the business rules let the user see."""
    excluded = pl.concat(
        exclusions.select("user_id", target_id=column)
        .explode("target_id", empty_as_null=False, keep_nulls=False)
        .select("user_id", target=pl.lit(target), target_id="target_id")
        for target, column in EXCLUDED_BY.items()
    )
    frames = [nw.from_native(one.lazy()) for one in (pairs, excluded, exclusions, eligible)]
    rows: pl.LazyFrame = without_excluded(*frames, others_may_see=False).to_native()
    return rows.collect()
