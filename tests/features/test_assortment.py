"""What the rules of composition are told: what is new, and which volumes come next for whom."""

from datetime import date, timedelta

import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.composing import Composition, NewReleaseSlots, SeriesFirst
from recsys_assets.features.assortment import assortment_of, continuations

DAY = date(2026, 3, 1)


def catalogue(**volumes: float | None) -> pl.DataFrame:
    """Items called after their series: `s1=1` is the first volume of series s; a null position is no volume."""
    rows = [(item, "Ada", None, item[0], place) for item, place in volumes.items()]
    schema = {
        "item_id": pl.String,
        "creator": pl.String,
        "released_on": pl.Date,
        "series": pl.String,
        "series_position": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def eligible(*items: str, adult: str = "") -> pl.DataFrame:
    rows = [(DAY, item, "Ada", "Crime", item == adult) for item in items]
    return pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")


def owning(*items: str, blocked: str = "", creator: str = "", category: str = "", adult: bool = False) -> pl.DataFrame:
    listed = [*items, *([blocked] if blocked else [])]
    reasons = ["owned"] * len(items) + ["blocked"] * (len(listed) - len(items))
    row = (DAY, "ann", listed, reasons, [creator] if creator else [], [category] if category else [], adult)
    return pl.DataFrame([row], schema=EXCLUSIONS.schema, orient="row")


THREE = catalogue(s1=1, s2=2, s3=3)
ALL = eligible("s1", "s2", "s3")


def following(known: pl.DataFrame, on_sale: pl.DataFrame, exclusions: pl.DataFrame) -> list[str]:
    return continuations(known, on_sale, exclusions)["item_id"].to_list()


def test_the_volume_after_the_one_that_the_user_owns_comes_next() -> None:
    assert following(THREE, ALL, owning("s1")) == ["s2"]
    assert following(THREE, ALL, owning("s1", "s2")) == ["s3"]


def test_without_the_volume_before_there_is_none_and_neither_after_the_last() -> None:
    assert following(THREE, ALL, owning()) == []
    assert following(THREE, ALL, owning("s3")) == []


def test_of_several_the_first_gap_counts() -> None:
    assert following(catalogue(s1=1, s2=2, s3=3, s4=4), eligible("s2", "s4"), owning("s1", "s3")) == ["s2"]


def test_each_series_has_a_next_volume_of_its_own() -> None:
    known = catalogue(s1=1, s2=2, t1=1, t2=2)
    assert following(known, eligible("s2", "t2"), owning("s1", "t1")) == ["s2", "t2"]


def test_an_owned_volume_counts_also_when_it_is_not_on_sale_any_more() -> None:
    assert following(THREE, eligible("s2", "s3"), owning("s1")) == ["s2"]


def test_a_volume_that_is_not_on_sale_is_not_skipped() -> None:
    assert following(THREE, eligible("s1", "s3"), owning("s1")) == []


def test_places_need_not_be_neighbours_and_may_lie_between() -> None:
    assert following(catalogue(s1=1, s2=1.5, s3=7), eligible("s2", "s3"), owning("s1", "s2")) == ["s3"]


def test_owning_an_edition_is_owning_the_volume_and_of_editions_on_sale_the_first_comes() -> None:
    known = catalogue(s1=1, s1b=1, s2=2, s2b=2)
    assert following(known, eligible("s1b", "s2", "s2b"), owning("s1")) == ["s2"]


@pytest.mark.parametrize(
    "exclusions",
    [
        owning("s1", blocked="s2"),
        owning("s1", creator="Ada"),
        owning("s1", category="Crime"),
    ],
)
def test_what_the_user_blocked_does_not_come(exclusions: pl.DataFrame) -> None:
    assert following(THREE, ALL, exclusions) == []


def test_an_adult_volume_comes_only_for_who_may_see_it() -> None:
    on_sale = eligible("s2", adult="s2")
    assert following(THREE, on_sale, owning("s1")) == []
    assert following(THREE, on_sale, owning("s1", adult=True)) == ["s2"]


def test_a_blocked_volume_is_not_an_owned_one() -> None:
    assert following(THREE, ALL, owning(blocked="s1")) == []


def test_an_item_without_a_place_in_its_series_is_no_volume() -> None:
    assert following(catalogue(s1=1, s2=None), eligible("s2"), owning("s1")) == []


def test_an_item_is_new_for_so_many_days_from_its_release() -> None:
    released = [DAY + timedelta(days=days) for days in (1, 0, -5, -6)]
    known = catalogue(a1=1, b1=1, c1=1, d1=1).with_columns(pl.Series("released_on", released))
    composition = Composition(new_release_slots=NewReleaseSlots(within_days=7))
    found = assortment_of(composition, known, eligible(), owning(), DAY).items
    assert found.filter("is_new")["item_id"].to_list() == ["a1", "b1", "c1"]


def test_an_item_of_which_no_release_is_known_is_not_new_and_nothing_is_where_nobody_asks() -> None:
    known = catalogue(a1=1)
    slots = Composition(new_release_slots=NewReleaseSlots())
    assert not assortment_of(slots, known, eligible(), owning(), DAY).items["is_new"].any()
    released = known.with_columns(released_on=pl.lit(DAY))
    assert not assortment_of(Composition(), released, eligible(), owning(), DAY).items["is_new"].any()


def test_series_are_looked_up_only_where_they_go_first() -> None:
    known = {
        first: assortment_of(Composition(series_first=first), THREE, ALL, owning("s1"), DAY).continuations.height
        for first in (None, SeriesFirst())
    }
    assert list(known.values()) == [0, 1]
