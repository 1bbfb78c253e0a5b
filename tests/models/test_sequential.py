"""What is bought next: small histories whose next purchase a person can name."""

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models.family import Interactions, Model
from recsys_assets.models.ranking import rank
from recsys_assets.models.sequential import SequentialParameters, fit

Bought = Callable[..., Interactions]


def ranked(model: Model, histories: Interactions, user: str = "reader") -> dict[str, float]:
    """What the user gets, by the one ranking, with scores; nothing is excluded."""
    rows = [(histories.as_of, item, None, None, False) for item in model.item_ids]
    eligible = pl.DataFrame(rows, schema=ELIGIBLE_ITEMS.schema, orient="row")
    lists = rank(model, histories, pl.Series([user]), pl.DataFrame(schema=EXCLUSIONS.schema), eligible, n=9)
    return dict(zip(lists["item_ids"].item(0), lists["scores"].item(0), strict=True))


@pytest.fixture
def series(bought: Bought) -> Interactions:
    """Ten readers of a series, one volume a week, among them each a title that everybody has."""
    rows = [(f"u{user}", f"volume {number}", 50 - 7 * number) for user in range(10) for number in (1, 2, 3)]
    return bought(*rows, *((f"u{user}", "bestseller", 60 - user) for user in range(10)))


def test_the_second_volume_comes_after_the_first(series: Interactions, bought: Bought) -> None:
    model = fit(series, SequentialParameters(), seed=1)
    scores = ranked(model, bought(("reader", "volume 1", 0)))
    assert list(scores)[:2] == ["volume 2", "volume 3"]
    assert scores["volume 1"] == 0


def test_the_first_volume_does_not_come_after_the_second(series: Interactions, bought: Bought) -> None:
    scores = ranked(fit(series, SequentialParameters(), seed=1), bought(("reader", "volume 2", 0)))
    assert next(iter(scores)) == "volume 3"
    assert scores["volume 1"] == 0


def test_the_last_purchase_says_more_than_one_before_it(bought: Bought) -> None:
    pairs = [("u1", "a1", 9), ("u1", "a2", 8), ("u2", "b1", 9), ("u2", "b2", 8)]
    model = fit(bought(*pairs), SequentialParameters(half_life_days=None), seed=1)
    for last, other in (("a", "b"), ("b", "a")):
        history = bought(("reader", f"{other}1", 5), ("reader", f"{last}1", 1))
        scores = ranked(model, history)
        assert next(iter(scores)) == f"{last}2"
        assert scores[f"{other}2"] == pytest.approx(0.7 * scores[f"{last}2"])


def test_days_without_purchases_fade_and_are_no_steps(bought: Bought) -> None:
    parameters = SequentialParameters(half_life_days=10.0, position_decay=0.5)
    weights = parameters.history_weights(bought(("u", "old", 30), ("u", "mid", 10), ("u", "new", 0)))
    assert dict(weights.select("item_id", "weight").iter_rows()) == {"new": 1, "mid": 0.5 * 0.5, "old": 0.25 * 0.125}


def test_what_was_bought_on_one_day_is_one_step_whatever_the_order_of_its_rows(bought: Bought) -> None:
    rows = [("u", "b", 5), ("u", "a", 5), ("u", "c", 0), ("v", "a", 3)]
    forth, back = (
        SequentialParameters(half_life_days=None).history_weights(bought(*order)) for order in (rows, rows[::-1])
    )
    assert forth.equals(back)
    assert forth["weight"].to_list() == [0.7, 0.7, 1.0, 1.0]


def test_a_pair_of_one_day_counts_in_both_directions(bought: Bought) -> None:
    model = fit(bought(("u", "a", 3), ("u", "b", 3)), SequentialParameters(), seed=1)
    assert ranked(model, bought(("reader", "a", 0)))["b"] == ranked(model, bought(("reader", "b", 0)))["a"] > 0


def test_an_item_bought_again_and_again_follows_itself(bought: Bought) -> None:
    model = fit(
        bought(*(("u", "coffee", age) for age in (0, 30, 60)), ("u", "once", 90)), SequentialParameters(), seed=1
    )
    assert next(iter(ranked(model, bought(("reader", "coffee", 0))))) == "coffee"


def test_transitions_reach_no_further_than_configured_and_fade_with_distance(bought: Bought) -> None:
    steps = bought(*(("u", f"i{number}", 9 - number) for number in range(4)))
    parameters = SequentialParameters(reach_steps=2, shrinkage=0, popularity_discount=0, half_life_days=None)
    scores = ranked(fit(steps, parameters, seed=1), bought(("reader", "i0", 0)))
    assert scores == pytest.approx({"i1": 1.0, "i2": 0.7, "i0": 0.0, "i3": 0.0})


def test_a_weight_is_the_share_of_an_items_purchases_that_had_the_successor(bought: Bought) -> None:
    sales = bought(
        ("u", "a", 9), ("u", "b", 8), ("v", "a", 9), ("v", "c", 8), ("w", "a", 9), ("w", "c", 8), ("x", "a", 9)
    )
    parameters = SequentialParameters(shrinkage=4.0, popularity_discount=0, half_life_days=None)
    scores = ranked(fit(sales, parameters, seed=1), bought(("reader", "a", 0)))
    assert scores == pytest.approx({"c": 2 / (4 + 4), "b": 1 / (4 + 4), "a": 0})


def test_users_never_follow_each_other(bought: Bought) -> None:
    model = fit(bought(("u1", "a", 5), ("u2", "b", 1)), SequentialParameters(), seed=1)
    assert not model.weights.any()


def test_serving_sees_the_order_that_the_training_saw(series: Interactions) -> None:
    parameters = SequentialParameters()
    again = Interactions(series.rows.with_columns(pl.col("day") + timedelta(days=1)), series.as_of + timedelta(days=1))
    assert parameters.history_weights(again).equals(parameters.history_weights(series))
