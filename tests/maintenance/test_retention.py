"""For how many days tables are kept, and that nobody can configure away what somebody reads."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from recsys_assets.configuration import ConfigurationError
from recsys_assets.maintenance.retention import first_kept, kept_days
from recsys_assets.platform import Platform

NEWEST = date(2026, 6, 30)
Configured = Callable[..., Platform]


@pytest.fixture(scope="module")
def configured(tiny_platform: Platform) -> Configured:
    def platform(keep_days: dict[str, int | None], **more: Any) -> Platform:
        content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["families"] |= {"als": {}}
        return Platform.model_validate(content | {"keep_days": keep_days} | more)

    return platform


def test_lists_and_snapshot_views_are_kept_for_90_days_and_nothing_else_ever_ends(configured: Configured) -> None:
    assert kept_days(configured({})) == dict.fromkeys(
        [
            *(f"recommendations/{name}" for name in ("final", "popularity", "als")),
            *(
                f"features/{name}"
                for name in ("exclusions", "eligible_items", "user_profile", "item_profile", "purchase_sequence")
            ),
        ],
        90,
    )


def test_a_table_says_more_than_its_group_and_null_keeps_everything(configured: Configured) -> None:
    kept = kept_days(configured({"recommendations": 40, "recommendations/als": None, "features/exclusions": 60}))
    assert (kept["recommendations/final"], kept["recommendations/als"]) == (40, None)
    assert (kept["features/exclusions"], kept["features/user_profile"]) == (60, 90)


def test_nothing_is_kept_for_less_than_somebody_needs_it_by_default(configured: Configured) -> None:
    training = {"holdout_days": 100, "min_history_days": 200}
    kept = kept_days(configured({}, training=training))
    assert kept["recommendations/final"] == 101


@pytest.mark.parametrize(
    ("keep_days", "more", "words"),
    [
        (
            {"recommendations": 7},
            {},
            r"recommendations: is 7, and validation/served, .* needs 8 days of recommendations/",
        ),
        ({"recommendations/als": 6}, {"training": {"holdout_days": 5}}, "features/family_scores, .* needs 7 days"),
        ({"features/user_profile": 29}, {}, "joins with features/user_profile, within its time to live needs 30 days"),
        ({"features": 28}, {}, "needs (29|30) days of features/"),
        (
            {"features/exclusions": 40},
            {"view_checks": {"trailing_days": 50}},
            r"row_count_is_usual \(view_checks.trailing_days\) needs 51 days of features/exclusions; keep at least 51",
        ),
        ({"recommendations/final": 1}, {"training": {"holdout_days": 1}}, "a way back .* needs 3 days"),
    ],
)
def test_whoever_keeps_fewer_days_than_somebody_reads_is_told_who_does(
    configured: Configured, keep_days: dict[str, int | None], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        kept_days(configured(keep_days, **more))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("features/interactions", "is kept for ever, or is no table"),
        ("sources/events", "is kept for ever"),
        ("features/training_set", "is kept for ever"),
        ("recommendations/asl", "did you mean 'recommendations/als'"),
    ],
)
def test_what_is_kept_for_ever_can_not_be_given_days(configured: Configured, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        kept_days(configured({name: 100}))


@pytest.mark.parametrize("days", [0, -3])
def test_days_are_at_least_one(configured: Configured, days: int) -> None:
    with pytest.raises(ValueError, match="keep_days"):
        configured({"recommendations": days})


def test_days_are_counted_from_the_newest_stored_one(configured: Configured) -> None:
    stored = [NEWEST - timedelta(days=200), NEWEST]
    assert first_kept(configured({}), "features/exclusions", 10, stored, None) == NEWEST - timedelta(days=9)


def test_lists_of_the_holdout_days_of_the_newest_slot_are_kept_in_any_case(configured: Configured) -> None:
    slot = NEWEST - timedelta(days=60)
    first = first_kept(configured({}), "recommendations/final", 20, [NEWEST], slot)
    assert first == slot - timedelta(days=8)
    assert first_kept(configured({}), "features/exclusions", 20, [NEWEST], slot) == NEWEST - timedelta(days=19)
