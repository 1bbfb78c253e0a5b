"""The rules of composition, one by one: what they move, what they leave, and what they never do."""

from collections.abc import Callable

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.models.blending import FamilyLists, blend
from recsys_assets.models.composition_rules import limit_creators, new_release_slots, series_first

quickly = settings(deadline=None, max_examples=80)
LISTS = pl.Schema({"user_id": pl.String(), "item_ids": pl.List(pl.String), "is_fallback": pl.Boolean()})
ITEMS = "abcdefghijklmnop"


def ordered(**lists: str) -> pl.DataFrame:
    """Rows in order: user to items, the best first; one letter is one item."""
    rows = [(user, list(items), False) for user, items in lists.items()]
    return blend({"als": FamilyLists(pl.DataFrame(rows, schema=LISTS, orient="row"), 1.0)}).with_columns(
        pl.col("user_id", "item_id").cast(pl.String)
    )


def by(*creators: str) -> pl.DataFrame:
    """item_id, creator: each argument is a creator, `A: abc`."""
    pairs = [(item, creator[0]) for creator in creators for item in creator.partition(": ")[2]]
    rows = [(item, None if name == "-" else name) for item, name in pairs]
    return pl.DataFrame(rows, schema={"item_id": pl.String, "creator": pl.String}, orient="row")


def next_of(**users: str) -> pl.DataFrame:
    pairs = [(user, item) for user, items in users.items() for item in items]
    return pl.DataFrame(pairs, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")


def items_of(rows: pl.DataFrame, user: str = "ann") -> str:
    return "".join(rows.filter(user_id=user)["item_id"])


def placed_by(rows: pl.DataFrame, rule: str, user: str = "ann") -> str:
    return "".join(rows.filter(user_id=user, rule=rule)["item_id"])


class TestSeriesFirst:
    def test_a_volume_that_continues_a_series_goes_first_and_the_others_keep_their_order(self) -> None:
        rows = series_first(ordered(ann="abcd"), next_of(ann="c"), items=3)
        assert items_of(rows) == "cabd"
        assert placed_by(rows, "series") == "c"

    def test_several_volumes_keep_the_order_that_they_had(self) -> None:
        assert items_of(series_first(ordered(ann="abcde"), next_of(ann="ecb"), items=3)) == "bcead"

    def test_a_volume_that_no_family_lists_comes_too_after_those_that_are_listed(self) -> None:
        rows = series_first(ordered(ann="abc"), next_of(ann="zc"), items=3)
        assert items_of(rows) == "czab"
        new = rows.row(1, named=True)
        assert (new["item_id"], new["source"], new["brought_by"], new["score"]) == ("z", "series", 0, 0)

    def test_only_so_many_go_first_and_what_is_left_stays_where_it_was(self) -> None:
        rows = series_first(ordered(ann="abcd"), next_of(ann="dbz"), items=1)
        assert items_of(rows) == "bacd"

    def test_it_is_about_the_user_who_owns_the_volume_before(self) -> None:
        rows = series_first(ordered(ann="ab", bob="ab"), next_of(bob="b"), items=3)
        assert (items_of(rows), items_of(rows, "bob")) == ("ab", "ba")


class TestLimitCreators:
    def test_what_is_over_the_limit_makes_room_for_others_and_follows_the_head(self) -> None:
        rows = limit_creators(ordered(ann="abcdef"), by("X: abc", "Y: def"), items=1, within=2)
        assert items_of(rows) == "adbcef"
        assert placed_by(rows, "over_creator_limit") == ""

    def test_it_may_hold_for_the_whole_list(self) -> None:
        rows = limit_creators(ordered(ann="abcdef"), by("X: abc", "Y: de", "Z: f"), items=1, within=None)
        assert items_of(rows)[:3] == "adf"

    def test_it_gives_way_where_nothing_else_is_left_and_says_so(self) -> None:
        rows = limit_creators(ordered(ann="abcd"), by("X: abcd"), items=2, within=3)
        assert items_of(rows) == "abcd"
        assert placed_by(rows, "over_creator_limit") == "c"

    def test_items_without_a_creator_and_unknown_items_are_not_limited(self) -> None:
        assert items_of(limit_creators(ordered(ann="abcd"), by("-: abc"), items=1, within=None)) == "abcd"

    def test_each_user_has_a_limit_of_their_own(self) -> None:
        rows = limit_creators(ordered(ann="abx", bob="bax"), by("X: ab", "Y: x"), items=1, within=2)
        assert (items_of(rows), items_of(rows, "bob")) == ("axb", "bxa")


class TestNewReleaseSlots:
    def test_each_such_place_goes_to_the_best_new_release_that_is_left(self) -> None:
        rows = new_release_slots(ordered(ann="abcdefgh"), pl.Series(["g", "h"]), every=3)
        assert items_of(rows) == "abgcdhef"
        assert placed_by(rows, "new_release") == "gh"

    def test_one_that_comes_by_itself_stays_and_the_place_goes_to_the_next_one(self) -> None:
        rows = new_release_slots(ordered(ann="abcdef"), pl.Series(["b", "f"]), every=3)
        assert items_of(rows) == "abfcde"
        assert placed_by(rows, "new_release") == "f"

    def test_one_that_stands_in_such_a_place_already_stays(self) -> None:
        rows = new_release_slots(ordered(ann="abcdef"), pl.Series(["c"]), every=3)
        assert items_of(rows) == "abcdef"
        assert placed_by(rows, "new_release") == ""

    def test_without_new_releases_nothing_moves(self) -> None:
        rows = ordered(ann="abc", bob="ca")
        assert new_release_slots(rows, pl.Series([], dtype=pl.String), every=1).equals(rows)

    def test_one_over_the_limit_of_its_creator_gets_no_place_in_this_way(self) -> None:
        limited = limit_creators(ordered(ann="abcdef"), by("X: af"), items=1, within=None)
        assert items_of(new_release_slots(limited, pl.Series(["e", "f"]), every=2)) == "aebcdf"


def one_by_one(items: str, new: set[str], every: int) -> str:
    """The meaning of the slots, place by place."""
    left, placed = list(items), ""
    while left:
        fresh = next((item for item in left if item in new), None)
        wanted = fresh if (len(placed) + 1) % every == 0 and fresh else left[0]
        left.remove(wanted)
        placed += wanted
    return placed


def greedily(items: str, creators: dict[str, str], most: int, within: int) -> str:
    """The meaning of the limit, place by place."""
    left, placed = list(items), ""
    while left and len(placed) < within:
        fitting = (item for item in left if sum(creators[one] == creators[item] for one in placed) < most)
        wanted = next(fitting, None)
        if wanted is None:
            break
        left.remove(wanted)
        placed += wanted
    return placed + "".join(left)


orders = st.permutations(ITEMS).flatmap(lambda all_: st.integers(0, len(all_)).map(lambda n: "".join(all_[:n])))
some = st.sets(st.sampled_from(ITEMS))
made_by = st.fixed_dictionaries({item: st.sampled_from("XYZ") for item in ITEMS})


@quickly
@given(orders, orders, some, st.integers(1, 6))
def test_slots_do_what_they_would_do_place_by_place(first: str, second: str, new: set[str], every: int) -> None:
    rows = new_release_slots(ordered(ann=first, bob=second), pl.Series(sorted(new), dtype=pl.String), every)
    assert (items_of(rows), items_of(rows, "bob")) == (one_by_one(first, new, every), one_by_one(second, new, every))


@quickly
@given(orders, made_by, st.integers(1, 4), st.integers(1, 20))
def test_the_limit_does_what_it_would_do_place_by_place(
    items: str, creators: dict[str, str], most: int, within: int
) -> None:
    frame = pl.DataFrame({"item_id": list(creators), "creator": list(creators.values())})
    rows = limit_creators(ordered(ann=items), frame, most, within)
    assert items_of(rows) == greedily(items, creators, most, within)


@quickly
@given(orders, some, made_by, st.integers(1, 5), st.integers(1, 5), st.none() | st.integers(1, 20))
def test_every_rule_moves_items_and_neither_loses_nor_repeats_any_and_twice_is_as_good_as_once(
    items: str, chosen: set[str], creators: dict[str, str], most: int, every: int, within: int | None
) -> None:
    frame = pl.DataFrame({"item_id": list(creators), "creator": list(creators.values())})
    new = pl.Series(sorted(chosen), dtype=pl.String)
    continued = next_of(ann="".join(sorted(chosen & set(items))))
    rules: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
        lambda rows: series_first(rows, continued, most),
        lambda rows: limit_creators(rows, frame, most, within),
        lambda rows: new_release_slots(rows, new, every),
    ]
    for rule in rules:
        rows = ordered(ann=items)
        once = rule(rows)
        assert sorted(items_of(once)) == sorted(items)
        assert items_of(rule(once.select(rows.columns))) == items_of(once)


@quickly
@given(orders, some, st.integers(1, 5))
def test_items_that_a_rule_does_not_name_keep_their_order(items: str, chosen: set[str], every: int) -> None:
    new = pl.Series(sorted(chosen), dtype=pl.String)
    continued = next_of(ann="".join(sorted(chosen & set(items))))
    for rows in (new_release_slots(ordered(ann=items), new, every), series_first(ordered(ann=items), continued, every)):
        unmoved = placed_by(rows, "blend")
        assert unmoved == "".join(item for item in items if item in unmoved)
