"""Histories in, lists out: what is answered is what the one ranking answers, without the shop's rules."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models import als, popularity
from recsys_assets.models.artifact import Artifact, Provenance
from recsys_assets.models.family import Family, Interactions
from recsys_assets.models.lists import Asked, HistoryError, lists_from_histories
from recsys_assets.models.ranking import rank

TODAY = date(2026, 3, 1)
YESTERDAY = TODAY - timedelta(days=1)


def fitted(sales: Interactions, family: Family, **parameters: object) -> Artifact:
    model = family.fit(sales, family.parameters.model_validate(parameters), 3)
    return Artifact(model, Provenance(TODAY, sales.as_of, 3, 1, "spec", "1.0"))


@pytest.fixture
def artifact(random_sales: Interactions) -> Artifact:
    return fitted(random_sales, als.FAMILY, factors=4, half_life_days=10.0)


def histories(sales: Interactions) -> pl.DataFrame:
    """As somebody would send them."""
    return sales.rows.with_columns(pl.col("day").cast(pl.String))


def ranked(artifact: Artifact, sales: Interactions, users: list[str], n: int) -> pl.DataFrame:
    """The one ranking, with every item for everybody."""
    items = [(TODAY, item, None, None, False) for item in artifact.model.item_ids]
    eligible = pl.DataFrame(items, schema=ELIGIBLE_ITEMS.schema, orient="row")
    nobody = pl.DataFrame(schema=EXCLUSIONS.schema)
    return rank(artifact.model, sales, pl.Series("user_id", users), nobody, eligible, n=n)


def test_the_lists_are_those_of_the_one_ranking(artifact: Artifact, random_sales: Interactions) -> None:
    found = lists_from_histories(artifact, histories(random_sales), Asked(n=7))
    users = random_sales.rows["user_id"].unique(maintain_order=True).to_list()
    assert found.equals(ranked(artifact, random_sales, users, 7))
    assert set(found["item_ids"].list.len()) == {7}


def test_what_somebody_owns_is_listed_because_rules_are_not_applied_here(artifact: Artifact) -> None:
    bought = pl.DataFrame({"user_id": ["u"] * 20, "item_id": artifact.model.item_ids.head(20)})
    (found,) = lists_from_histories(artifact, bought, Asked(n=99))["item_ids"]
    assert sorted(found) == artifact.model.item_ids.to_list()


def test_every_user_gets_a_row_in_the_order_asked_and_an_empty_list_where_nothing_is_known(artifact: Artifact) -> None:
    asked = pl.DataFrame({"user_id": ["z", "new", "a", "z"], "item_id": ["i01", "unheard of", "i02", "i03"]})
    found = lists_from_histories(artifact, asked, Asked(n=3))
    assert found["user_id"].to_list() == ["z", "new", "a"]
    assert found["item_ids"].list.len().to_list() == [3, 0, 3]
    assert found["scores"].list.len().to_list() == [3, 0, 3]


def test_popularity_answers_everybody(random_sales: Interactions) -> None:
    popular = fitted(random_sales, popularity.FAMILY)
    found = lists_from_histories(popular, pl.DataFrame({"user_id": ["new"], "item_id": ["unheard of"]}), Asked(n=3))
    assert found["item_ids"].list.len().to_list() == [3]


def test_no_histories_no_lists(artifact: Artifact) -> None:
    empty = pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String})
    assert lists_from_histories(artifact, empty, Asked()).is_empty()


def scores_of(artifact: Artifact, asked: Asked, **columns: list[object]) -> list[float]:
    rows = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["i01", "i02"], **columns})
    (scores,) = lists_from_histories(artifact, rows, asked)["scores"]
    return list(scores)


def test_an_interaction_without_day_and_weight_is_one_of_the_day_asked_for(artifact: Artifact) -> None:
    today, asked = [str(TODAY)] * 2, Asked(as_of=TODAY)
    said = scores_of(artifact, asked, day=today, weight=[1.0, 1.0])
    assert scores_of(artifact, asked) == said
    assert scores_of(artifact, asked, day=[None, str(TODAY)], weight=[1, None]) == said
    assert scores_of(artifact, asked, day=today, weight=[1.0, 2.0]) != said


def test_interactions_fade_up_to_the_day_asked_for(artifact: Artifact) -> None:
    days = [str(YESTERDAY), str(TODAY)]
    assert scores_of(artifact, Asked(), day=days) == scores_of(artifact, Asked(as_of=TODAY), day=days)
    later = scores_of(artifact, Asked(as_of=TODAY + timedelta(days=20)), day=days)
    assert later != scores_of(artifact, Asked(), day=days)
    assert np.isfinite(later).all()


def test_without_a_day_asked_for_it_is_the_newest_known(artifact: Artifact) -> None:
    later = TODAY + timedelta(days=30)
    days = [str(TODAY), str(later)]
    assert scores_of(artifact, Asked(), day=days) == scores_of(artifact, Asked(as_of=later), day=days)
    old = [str(TODAY - timedelta(days=30))] * 2
    assert scores_of(artifact, Asked(), day=old) == scores_of(artifact, Asked(as_of=TODAY), day=old)


def test_later_days_than_the_one_asked_for_are_not_looked_at(artifact: Artifact) -> None:
    known = pl.DataFrame({"user_id": ["u"], "item_id": ["i01"], "day": [str(YESTERDAY)]})
    future = pl.DataFrame({"user_id": ["u"], "item_id": ["i02"], "day": [str(TODAY)]})
    asked = Asked(as_of=YESTERDAY)
    with_future = lists_from_histories(artifact, pl.concat([known, future]), asked)
    assert with_future.equals(lists_from_histories(artifact, known, asked))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"user_id": ["u"]}, "item_id: is required and missing"),
        ({"item_id": ["i"]}, "user_id: is required and missing"),
        ({"user_id": [None], "item_id": ["i"]}, "user_id: 1 rows have none"),
        ({"user_id": ["u"], "item_id": ["i"], "day": ["02.03.2026"]}, r"day: '02.03.2026' is no day; write it as YYYY"),
        ({"user_id": ["u"], "item_id": ["i"], "weight": [0.0]}, "weight: 0.0 cannot be used; .* above 0"),
        ({"user_id": ["u"], "item_id": ["i"], "weight": [float("inf")]}, "weight: inf cannot be used"),
    ],
)
def test_a_history_that_cannot_be_used_is_refused_by_column_and_value(
    artifact: Artifact, columns: dict[str, list[object]], named: str
) -> None:
    with pytest.raises(HistoryError, match=named):
        lists_from_histories(artifact, pl.DataFrame(columns), Asked())


def test_a_list_of_nothing_is_refused(artifact: Artifact) -> None:
    with pytest.raises(HistoryError, match="n is 0; ask for at least 1"):
        lists_from_histories(artifact, pl.DataFrame({"user_id": ["u"], "item_id": ["i01"]}), Asked(n=0))
