"""Who is who in a holdout, and how lists do for each kind of users."""

from datetime import date, timedelta

import polars as pl
import pytest

from recsys_assets.validation.segments import SEGMENT_METRICS, by_segment, established_items, segments_of

AS_OF = date(2026, 2, 22)


def metrics_of(*values: float | None) -> pl.DataFrame:
    """The same value in every metric, one per user."""
    return pl.DataFrame([pl.Series(name, values, dtype=pl.Float64) for name in SEGMENT_METRICS])


def test_each_user_has_the_segment_of_the_profile_and_who_has_no_profile_has_none() -> None:
    profiles = pl.DataFrame({"user_id": ["bob", "ann", "zoe"], "segment": ["heavy", "light", "middle"]})
    assert segments_of(pl.Series(["ann", "new", "bob"]), profiles).to_list() == ["light", "none", "heavy"]
    assert segments_of(pl.Series([], dtype=pl.String), profiles).is_empty()


def test_an_item_is_new_for_thirty_days() -> None:
    ages = {"today": 0, "still new": 29, "not new": 30, "old": 400}
    seen = pl.DataFrame(
        {"item_id": list(ages), "first_seen_on": [AS_OF - timedelta(days=age) for age in ages.values()]}
    )
    assert established_items(seen, AS_OF).to_list() == ["not new", "old"]
    assert established_items(seen, AS_OF, new_days=1).to_list() == ["still new", "not new", "old"]


def test_segments_are_means_over_their_users() -> None:
    users = metrics_of(0.25, 0.75, 1.0, 0.5).with_columns(segment=pl.Series(["light", "light", "heavy", "none"]))
    rows = by_segment(users, new=metrics_of(None, 0.5, None, 0.0), cold=metrics_of(0.125))
    assert dict(rows.select("segment", "users").iter_rows()) == {
        "none": 1,
        "light": 2,
        "middle": 0,
        "heavy": 1,
        "new_items": 2,  # users with a hit on a new item
        "cold_users": 1,
    }
    expected = [0.5, (0.25 + 0.75) / 2, None, 1.0, (0.5 + 0.0) / 2, 0.125]
    for metric in SEGMENT_METRICS:
        assert rows[metric].to_list() == pytest.approx(expected)


def test_every_segment_is_there_even_when_nobody_is() -> None:
    rows = by_segment(metrics_of().with_columns(segment=pl.lit("light")), metrics_of(), metrics_of())
    assert rows["users"].to_list() == [0] * 6
    assert rows["ndcg_at_10"].null_count() == 6
