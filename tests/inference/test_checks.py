"""What must not be published is not stored either: each check, with a planted violation, in a real run."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from recsys_assets.columns import FINAL_RECOMMENDATIONS
from recsys_assets.composing import ListChecks
from recsys_assets.inference.checks import BLOCKING, Seen, Surroundings, examine, findings
from recsys_assets.platform import Platform
from recsys_assets.serving.generations import current

DAY = date(2026, 3, 1)
YESTERDAY = DAY - timedelta(days=1)
ON_SALE = "abcdwxyz"


@pytest.fixture
def platform(tiny_platform: Platform) -> Platform:
    """Lists of four items, blended of one family."""
    content = tiny_platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"] |= {"als": {}}
    content["recommendations"] = {"list_length": 4, "checks": {"overlap_band": [0.3, 0.9]}}
    return Platform.model_validate(content)


@pytest.fixture
def shop(lists: Any) -> Any:
    """A day on which nothing is wrong."""
    lists.know(DAY, ["ann", "bob"], ON_SALE, ann="d")
    lists.rank("popularity", DAY, ann="wxyz", bob="wxyz")
    lists.rank("als", DAY, ann="abc", bob="bcd")
    return lists


def test_what_is_right_is_stored_and_published_and_every_check_says_so(shop: Any, platform: Platform) -> None:
    run = shop.run(platform, DAY)
    assert run.has_succeeded
    assert run.failed == set()
    assert set(run.checks) == {*BLOCKING, "overlap_with_yesterday"}
    assert run.is_published
    assert current(shop.online_store.connect()).as_of == DAY
    assert shop.final(DAY)["item_ids"].to_list() == [["a", "b", "c", "w"], ["b", "c", "d", "w"]]


def nobody_ranked_bob(shop: Any) -> None:
    shop.rank("popularity", DAY, ann="wxyz")


def an_owned_item_is_listed(shop: Any) -> None:
    shop.rank("als", DAY, ann="dab", bob="bcd")


def an_item_that_is_not_on_sale_is_listed(shop: Any) -> None:
    shop.rank("popularity", DAY, ann="wxyz", bob="?xyz")


def the_fallback_repeats_itself(shop: Any) -> None:
    shop.rank("popularity", DAY, ann="wwyz", bob="wxyz")
    shop.rank("als", DAY, ann="ab", bob="bcd")


def most_lists_are_short(shop: Any) -> None:
    shop.rank("popularity", DAY, ann="", bob="")


def another_version_ranked(shop: Any) -> None:
    shop.rank("als", DAY, {"ann": 2, "bob": 2}, ann="abc", bob="bcd")


def two_versions_ranked(shop: Any) -> None:
    shop.rank("als", DAY, {"bob": 2}, ann="abc", bob="bcd")


def no_version_ranked(shop: Any) -> None:
    shop.rank("als", DAY)


PLANTED = {
    nobody_ranked_bob: ("every_active_user_has_a_list", 1, "1 active users have no list: bob on 2026-03-01"),
    an_owned_item_is_listed: ("no_forbidden_item", 1, "d for ann on 2026-03-01"),
    an_item_that_is_not_on_sale_is_listed: ("no_forbidden_item", 1, "? for bob on 2026-03-01"),
    the_fallback_repeats_itself: ("no_item_twice", 1, "1 lists hold an item twice: ann on 2026-03-01"),
    most_lists_are_short: ("lists_are_full", 0.0, "0 of 2 lists are full (0.00%), 0 are empty"),
    another_version_ranked: ("versions_are_approved", 1, "als by 2 instead of 1 on 2026-03-01"),
    two_versions_ranked: ("versions_are_approved", 1, "als by 1, 2 instead of 1 on 2026-03-01"),
    no_version_ranked: ("versions_are_approved", 1, "als by none instead of 1 on 2026-03-01"),
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_wrong_is_neither_stored_nor_published(
    shop: Any, platform: Platform, plant: Callable[[Any], None]
) -> None:
    check, actual, words = PLANTED[plant]
    plant(shop)
    run = shop.run(platform, DAY)
    assert not run.has_succeeded
    found = run.checks[check]
    assert (found.passed, found.blocking, found.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert found.metadata["actual"].value == actual
    assert found.metadata["threshold"].value
    assert words in (found.description or "")
    assert not run.is_published
    assert current(shop.online_store.connect()) is None
    assert shop.final(DAY).is_empty()


def test_what_was_right_yesterday_stays_stored_when_it_is_wrong_today(shop: Any, platform: Platform) -> None:
    shop.run(platform, DAY)
    before = shop.final(DAY)
    an_owned_item_is_listed(shop)
    assert not shop.run(platform, DAY).is_published
    assert shop.final(DAY).equals(before)


@pytest.mark.parametrize(("items", "passed"), [("abcw", False), ("xyzw", False), ("abxy", True)])
def test_lists_that_are_those_of_yesterday_or_none_of_them_only_warn(
    shop: Any,
    platform: Platform,
    items: str,
    passed: bool,
) -> None:
    shop.know(YESTERDAY, ["ann"], "abcwxyz")
    shop.rank("popularity", YESTERDAY, ann="")
    shop.rank("als", YESTERDAY, ann=items)
    assert shop.run(platform, YESTERDAY).has_succeeded
    run = shop.run(platform, DAY)
    found = run.checks["overlap_with_yesterday"]
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert run.has_succeeded
    assert run.is_published


def test_a_range_of_days_is_checked_as_a_whole(shop: Any, platform: Platform) -> None:
    shop.know(YESTERDAY, ["ann"], ON_SALE)
    shop.rank("popularity", YESTERDAY, ann="?xyz")
    shop.rank("als", YESTERDAY, ann="a")
    run = shop.run(platform, YESTERDAY, DAY)
    assert run.failed == {"no_forbidden_item"}
    assert "? for ann on 2026-02-28" in (run.checks["no_forbidden_item"].description or "")
    assert shop.final(DAY).is_empty()


def test_a_day_before_the_first_approval_has_no_lists_and_that_is_no_violation(shop: Any, platform: Platform) -> None:
    early = date(2026, 2, 1)
    shop.know(early, ["ann"], ON_SALE)
    run = shop.run(platform, early)
    assert run.failed == set()
    assert shop.final(early).is_empty()


def test_a_list_counts_as_full_when_it_holds_all_that_is_on_sale(shop: Any, platform: Platform) -> None:
    shop.know(DAY, ["ann", "bob"], "abc")
    shop.rank("popularity", DAY, ann="", bob="")
    shop.rank("als", DAY, ann="abc", bob="bca")
    assert shop.run(platform, DAY).failed == set()


def test_an_arm_that_names_a_version_is_held_against_that_version(shop: Any, platform: Platform) -> None:
    users = [f"user {number}" for number in range(20)]
    shop.know(DAY, users, ON_SALE)
    for family, items in {"popularity": "wxyz", "als": "abc"}.items():
        shop.rank(family, DAY, **dict.fromkeys(users, items))
    arms = {"control": {"share": 0.5}, "treated": {"share": 0.5, "versions": {"als": 2}}}
    content = platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["experiments"] = {"trial": {"first_day": "2026-03-02", "arms": arms}}
    run = shop.run(Platform.model_validate(content), DAY)
    assert run.failed == {"versions_are_approved"}
    assert "als by 1 instead of 2 on 2026-03-01 in arm treated" in run.checks["versions_are_approved"].description


def test_the_examples_are_few_and_the_count_is_of_all() -> None:
    users = [f"user {number}" for number in range(9)]
    nobody = pl.DataFrame(schema=FINAL_RECOMMENDATIONS.schema)
    against = Surroundings(DAY, pl.DataFrame({"user_id": users}), pl.DataFrame({"item_id": []}), 4, {}, nobody)
    exclusions = against.exclusions.with_columns(
        item_ids=pl.lit([], pl.List(pl.String)),
        blocked_creators=pl.lit([], pl.List(pl.String)),
        blocked_categories=pl.lit([], pl.List(pl.String)),
        may_see_adult=False,
    )
    eligible = pl.DataFrame(
        schema={"item_id": pl.String, "creator": pl.String, "category": pl.String, "is_adult": pl.Boolean}
    )
    seen = examine(nobody, Surroundings(DAY, exclusions, eligible, 4, {}, nobody))
    twice = sum((seen, seen), Seen())
    (missing, *_) = findings(twice, ListChecks())
    assert missing.actual == 18
    assert missing.sentence == (
        "18 active users have no list: user 0 on 2026-03-01, user 1 on 2026-03-01, user 2 on 2026-03-01"
    )
