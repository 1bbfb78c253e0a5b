"""The view `training_set`: the one data set that all families of a slot share, with one id map."""

from datetime import date

import narwhals as nw

from recsys_assets.columns import INTERACTIONS, ITEMS, TRAINING_SET, USER_BLOCKS, USERS
from recsys_assets.features import rules
from recsys_assets.features.rules import Frame
from recsys_assets.features.view import Applied, FeatureView, Known
from recsys_assets.features.views.genuine import history, hits
from recsys_assets.slot_window import ONE_DAY, slot_window


def _compute(known: Known) -> Applied:
    """The candidate's rows as known when the holdout began, the hits of the holdout, the release's rows."""
    window = slot_window(known.platform, known.as_of + ONE_DAY)
    until_slot, until_holdout = known.at(window.last), known.at(window.candidate_through)
    train = history(until_holdout, _days(window.first, window.candidate_through))
    release = history(until_slot, _days(window.first, window.last))
    holdout = hits(until_slot, window.holdout)
    ones = nw.lit(1.0).alias("weight")
    splits = [
        _labelled(train.frame, "train"),
        _labelled(holdout.frame.with_columns(ones), "holdout"),
        _labelled(release.frame, "release"),
    ]
    return release.into(nw.concat(splits).join(_id_map(train.frame), on="item_id", how="left"), holdout, release)


def _days(first: date, last: date) -> int:
    return (last - first).days + 1


def _labelled(rows: Frame, split: str) -> Frame:
    return rows.select(nw.lit(split).alias("split"), *rules.PAIR, "day", "weight")


def _id_map(train: Frame) -> Frame:
    """item_id, item_index: the place among the sorted items of the train rows."""
    place = nw.col("item_id").rank("ordinal") - 1
    return train.select("item_id").unique().with_columns(place.cast(nw.Int32).alias("item_index"))


VIEW = FeatureView(
    table=TRAINING_SET,
    entity=rules.PAIR,
    keeps="changes",
    compute=_compute,
    inputs=(INTERACTIONS, USERS, USER_BLOCKS, ITEMS),
    rules=(
        rules.without_test_accounts,
        rules.without_bots,
        rules.without_refunded,
        rules.weighted,
        rules.decayed,
        rules.owned,
        rules.blocked,
        rules.adult_permission,
        rules.with_adult_rule,
        rules.without_excluded,
    ),
    partitions="slot",
    refers_to_catalogue=True,
)
