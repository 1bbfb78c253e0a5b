"""Which clicks and purchases were earned by which impression. Pure: what was shown and done is read elsewhere.

An event is credited to one impression: the last one of the item to the user before it, if that was not longer ago than
the attribution window. So no event counts twice, and none is credited to what was shown after it. What the credited
impressions add up to stays with `online_figures`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from recsys_assets.platform import Platform
from recsys_assets.slot_window import ONE_DAY

CLICKS = ("view", "cart", "wish", "purchase")
"""Events on an item that say that its impression was clicked, where impressions do not say so themselves."""
EARNED = ("clicks", "conversions", "purchases", "revenue")
"""What an impression can earn: 0 or 1 of each, and money."""
MONEY_DECIMALS = 4
LIST = ("request_id", "user_id", "surface", "arm")
"""What tells shown lists apart."""
BROUGHT = ("family", "version")
"""What tells apart what brought the items of a list."""
_IMPRESSION = (*LIST, *BROUGHT, "item_id", "position")
_PAIR = ["user_id", "item_id"]
_SHOWN = "shown"


@dataclass(frozen=True)
class Crediting:
    """How events are credited.

    Attributes:
        window: How long after it was shown an item earns events.
        skew: How much earlier than its impression an event may be recorded.
        refunds_take_back: Whether a refund takes back the purchase before it.
    """

    window: timedelta
    skew: timedelta = timedelta(0)
    refunds_take_back: bool = True

    @classmethod
    def configured(cls, platform: Platform) -> "Crediting":
        """As `recsys.yaml` says."""
        return cls(
            window=timedelta(hours=platform.monitoring.attribution_hours),
            skew=timedelta(seconds=platform.monitoring.clock_skew_seconds),
            refunds_take_back=platform.rules.refunds_take_back,
        )


@dataclass(frozen=True)
class Credited:
    """What the impressions of a day earned.

    Attributes:
        hits: One row per impression of the day that was clicked or bought: request_id, user_id, surface, arm, family,
            version, item_id, position; clicks, conversions, purchases (Int64, 0 or 1), revenue (Float64).
        events_before: Events of the day on an item that was shown to the user on that day, but only later; they are
            credited to nothing of the day.
    """

    hits: pl.DataFrame
    events_before: int


def last_day_credited(platform: Platform, day: date) -> date:
    """The last day on which anything may be credited to what was shown on `day`."""
    ends = datetime.combine(day + ONE_DAY, time(), platform.zone).astimezone(UTC)
    last = ends + Crediting.configured(platform).window - timedelta.resolution
    return last.astimezone(platform.zone).date()


def credit(impressions: pl.LazyFrame, events: pl.LazyFrame, day: date, crediting: Crediting) -> Credited:
    """Credit events to the impressions of a day.

    An impression is clicked if it says so itself, or, where it does not say, if any event in `CLICKS` is credited to
    it. It is bought if more pieces are credited to it than refunds took back; a refund goes where the user's newest
    purchase of the item before it went. A purchase without a click is no conversion.

    Args:
        impressions: Rows of `sources/impressions` of the day and of the later days that its window reaches: an event
            is credited to the last impression, so those of later days take what is theirs.
        events: Rows of `sources/events` of the same days.
        day: The day.
        crediting: How.
    """
    acts = events.filter(pl.col("event_type").is_in([*CLICKS, "refund"])).collect(engine="streaming")
    columns = ("ds", *_IMPRESSION, "shown_at", "is_clicked")
    candidates = matching(impressions.select(columns), acts.select(_PAIR).unique())
    candidates = candidates.sort("shown_at", "request_id", "position").with_row_index(_SHOWN)
    clicks = _credited(acts.filter(pl.col("event_type") != "refund"), candidates, crediting)
    moved = [clicks, *([_taken_back(acts, clicks)] if crediting.refunds_take_back else [])]
    earned = _earned(pl.concat(moved, how="diagonal"))
    engaged = candidates.filter(ds=day).join(earned, on=_SHOWN)
    said = impressions.filter(pl.col("ds") == day, pl.col("is_clicked")).select(*_IMPRESSION, "is_clicked")
    return Credited(_hits(engaged, said.collect(engine="streaming")), _events_before(acts, candidates, day, crediting))


def matching(rows: pl.LazyFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows whose columns have one of some combinations of values.

    Rows are told apart by a hash of these columns first, which takes a tenth of the memory of joining all of them.

    Args:
        rows: Of whatever number.
        wanted: Different combinations, without nulls; far fewer.
    """
    digest = pl.struct(wanted.columns).hash()
    digests = wanted.select(digest).to_series().implode()
    near = rows.filter(digest.is_in(digests)).collect(engine="streaming")
    return near.join(wanted, on=wanted.columns, how="semi")


def _credited(events: pl.DataFrame, candidates: pl.DataFrame, crediting: Crediting) -> pl.DataFrame:
    """Each event with the number of the impression that it is credited to; null where there is none."""
    latest = pl.col("occurred_at") + crediting.skew
    return (
        events.with_columns(latest.alias("until"))
        .sort("until")
        .join_asof(
            candidates.select(*_PAIR, "shown_at", _SHOWN),
            left_on="until",
            right_on="shown_at",
            by=_PAIR,
            tolerance=crediting.window + crediting.skew,
            check_sortedness=False,  # both sides are sorted as a whole; Polars cannot see it by pair
        )
        .select(*_PAIR, "event_type", "occurred_at", "quantity", "unit_price", _SHOWN)
    )


def _taken_back(acts: pl.DataFrame, clicks: pl.DataFrame) -> pl.DataFrame:
    """Refunds, with the impression that the newest purchase before them was credited to, and its price."""
    purchases = clicks.filter(event_type="purchase").select(*_PAIR, "occurred_at", _SHOWN, paid="unit_price")
    refunds = acts.filter(event_type="refund").select(*_PAIR, "event_type", "occurred_at", "quantity", "unit_price")
    return (
        refunds.sort("occurred_at")
        .join_asof(purchases.sort("occurred_at"), on="occurred_at", by=_PAIR, check_sortedness=False)
        .with_columns(pl.coalesce("unit_price", "paid"))
        .drop("paid")
    )


def _earned(moved: pl.DataFrame) -> pl.DataFrame:
    """Per credited impression: whether it was bought and kept, and the money that came in."""
    sign = pl.col("event_type").replace_strict({"purchase": 1, "refund": -1}, default=0, return_dtype=pl.Int64)
    pieces = sign * pl.col("quantity")
    return (
        moved.filter(pl.col(_SHOWN).is_not_null())
        .group_by(_SHOWN)
        .agg(pieces=pieces.sum(), money=(pieces * pl.col("unit_price").fill_null(0.0)).sum())
        .with_columns(is_bought=pl.col("pieces") > 0)
        .with_columns(money=pl.when("is_bought").then(pl.col("money").clip(lower_bound=0.0)).otherwise(0.0))
    )


def _hits(engaged: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Impressions with anything earned: those with credited events, and those that say themselves that they were."""
    by_event = engaged.select(
        *_IMPRESSION, is_clicked=pl.col("is_clicked").fill_null(value=True), is_bought="is_bought", revenue="money"
    )
    by_word = said.with_columns(is_bought=pl.lit(value=False), revenue=pl.lit(0.0))
    one_each = (
        pl.concat([by_event, by_word.select(by_event.columns)])
        .group_by(_IMPRESSION)
        .agg(pl.col("is_clicked", "is_bought").any(), pl.col("revenue").sum())
    )
    return one_each.filter(pl.any_horizontal("is_clicked", "is_bought")).select(
        *_IMPRESSION,
        clicks=pl.col("is_clicked").cast(pl.Int64),
        conversions=(pl.col("is_clicked") & pl.col("is_bought")).cast(pl.Int64),
        purchases=pl.col("is_bought").cast(pl.Int64),
        revenue=pl.col("revenue").round(MONEY_DECIMALS),
    )


def _events_before(acts: pl.DataFrame, candidates: pl.DataFrame, day: date, crediting: Crediting) -> int:
    first = candidates.filter(ds=day).group_by(_PAIR).agg(pl.col("shown_at").min())
    of_day = acts.filter(pl.col("ds") == day, pl.col("event_type") != "refund").join(first, on=_PAIR)
    return of_day.filter(pl.col("occurred_at") + crediting.skew < pl.col("shown_at")).height
