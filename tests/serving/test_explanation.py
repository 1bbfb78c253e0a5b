"""Which bought item speaks most for a recommended one."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from recsys_assets.models.als import AlsModel, AlsParameters
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Model
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.serving.explanation import strongest_reasons

TODAY = date(2026, 1, 31)
ITEMS = pl.Series("item_id", ["cook1", "cook2", "space1", "space2", "space3"])


def history(*facts: tuple[str, str, float], on: date = TODAY) -> Interactions:
    rows = [(user, item, on, weight) for user, item, weight in facts]
    return Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row"), TODAY)


def bought(*items: str) -> pl.Series:
    return pl.Series("item_ids", items, pl.String)


@pytest.fixture
def model() -> AlsModel:
    """Cook books lie on one axis and space books on the other; space3 is the strongest of its kind."""
    factors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 2]], dtype=np.float32)
    return AlsModel(ITEMS, AlsParameters(factors=2, regularization=0.1, alpha=10.0), factors)


def test_an_item_is_on_the_list_because_of_a_bought_one_of_its_kind(model: AlsModel) -> None:
    read = history(("ann", "space1", 1.0), ("ann", "cook1", 1.0), ("bob", "space3", 9.0))
    reasons = strongest_reasons(model, read, "ann", ["cook2", "space2"], bought("space1", "cook1"))
    assert reasons == {"cook2": "cook1", "space2": "space1"}


def test_of_several_of_its_kind_the_one_that_weighs_most_is_named(model: AlsModel) -> None:
    for heavy, light in (("space1", "space2"), ("space2", "space1")):
        read = history(("ann", heavy, 5.0), ("ann", light, 1.0))
        assert strongest_reasons(model, read, "ann", ["space3"], bought("space1", "space2")) == {"space3": heavy}


def test_what_was_only_viewed_is_no_reason_to_tell(model: AlsModel) -> None:
    read = history(("ann", "space3", 50.0), ("ann", "space1", 1.0), ("ann", "cook1", 1.0))
    assert strongest_reasons(model, read, "ann", ["space2"], bought("space1")) == {"space2": "space1"}


def test_what_was_bought_before_the_window_of_the_history_is_no_reason(model: AlsModel) -> None:
    assert strongest_reasons(model, history(("ann", "space1", 1.0)), "ann", ["cook2"], bought("cook1")) == {}


def test_an_old_purchase_counts_less_where_interactions_fade(model: AlsModel) -> None:
    old, new = history(("ann", "space1", 8.0), on=date(2026, 1, 1)), history(("ann", "space2", 4.0))
    both = Interactions(pl.concat([old.rows, new.rows]), TODAY)
    fading = AlsModel(ITEMS, model.parameters.model_copy(update={"half_life_days": 10.0}), model.item_factors)
    for chosen, expected in ((model, "space1"), (fading, "space2")):
        assert strongest_reasons(chosen, both, "ann", ["space3"], bought("space1", "space2")) == {"space3": expected}


def test_items_that_the_model_does_not_know_are_left_out(model: AlsModel) -> None:
    read = history(("ann", "space1", 1.0), ("ann", "new", 9.0))
    reasons = strongest_reasons(model, read, "ann", ["unheard", "space2"], bought("new", "space1"))
    assert reasons == {"space2": "space1"}


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_without_a_purchase_there_is_no_reason(model: AlsModel, user: str) -> None:
    assert strongest_reasons(model, history(("ann", "space1", 1.0)), user, ["space2"], bought()) == {}


def test_a_family_that_looks_at_no_history_gives_no_reason() -> None:
    popular: Model = PopularityModel(ITEMS, PopularityParameters(), np.ones(5, dtype=np.float32))
    read = history(("ann", "space1", 1.0))
    assert strongest_reasons(popular, read, "ann", ["space2"], bought("space1")) == {}
