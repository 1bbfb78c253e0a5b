"""Ranking for one user gives what ranking for many gives: the same items, scores and order, for every family."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.models.catalogue import available_families
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions
from recsys_assets.models.one_user import Hidden, rank_one
from recsys_assets.models.ranking import Ranker

ITEMS = [f"i{number:02}" for number in range(20)]
ids = st.sampled_from([*ITEMS, "unheard", "", "i"])


@pytest.fixture(scope="module")
def eligible() -> pl.DataFrame:
    """Most of the items, some of them without a creator, some adult."""
    rows = [(item, f"c{n % 4}" if n % 5 else None, f"k{n % 3}", n % 6 == 0) for n, item in enumerate(ITEMS) if n != 3]
    return pl.DataFrame(rows, schema=["item_id", "creator", "category", "is_adult"], orient="row")


@pytest.fixture
def rankers(random_sales: Interactions, eligible: pl.DataFrame) -> dict[str, Ranker]:
    """Every family, fitted."""
    fitted = {name: one.fit(random_sales, one.parameters(), 0) for name, one in available_families().items()}
    return {name: Ranker.of(model, eligible) for name, model in fitted.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    done=st.lists(st.tuples(ids, st.integers(0, 30), st.floats(0.1, 3)), max_size=8),
    hidden=st.builds(
        Hidden,
        st.lists(ids, max_size=6),
        st.lists(st.sampled_from(["c0", "c1", "nobody"]), max_size=2),
        st.lists(st.sampled_from(["k0", "nothing"]), max_size=2),
        st.booleans(),
    ),
    n=st.sampled_from([1, 5, 30]),
)
def test_one_user_gets_the_list_that_the_same_user_among_many_gets(
    rankers: dict[str, Ranker], random_sales: Interactions, done: Any, hidden: Hidden, n: int
) -> None:
    as_of = random_sales.as_of
    rows = [("ann", item, as_of - timedelta(days=age), weight) for item, age, weight in done]
    history = Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA, orient="row"), as_of)
    exclusions = pl.DataFrame(
        {
            "user_id": ["ann"],
            "item_ids": [list(hidden.item_ids)],
            "blocked_creators": [list(hidden.creators)],
            "blocked_categories": [list(hidden.categories)],
            "may_see_adult": [hidden.may_see_adult],
        },
        schema_overrides={name: pl.List(pl.String) for name in ("item_ids", "blocked_creators", "blocked_categories")},
    )
    for name, ranker in rankers.items():
        found = rank_one(ranker, history, hidden, n)
        expected = pl.concat(ranker.blocks(history, pl.Series("user_id", ["ann"]), exclusions, n=n))
        assert (found is None) == expected.is_empty(), name
        if found is not None:
            assert found.item_ids == expected["item_ids"].item().to_list(), name
            np.testing.assert_array_equal(np.array(found.scores, dtype=np.float32), expected["scores"].item())
