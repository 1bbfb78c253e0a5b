"""Fitted on Spark, a family learns the same from the same rows, and no row comes to the driver for it."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS
from recsys_assets.models import als, als_on_spark, on_spark, popularity
from recsys_assets.models.catalogue import available_families
from recsys_assets.models.family import HISTORY_SCHEMA, CannotFitError, Interactions, SparkInteractions, training_matrix
from recsys_assets.models.made_with import rows_digest
from recsys_assets.models.ranking import rank
from recsys_assets.validation.segments import accuracy
from resources.engine import SparkEngine

Spread = Callable[[Interactions], SparkInteractions]
TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def spread(spark_engine: SparkEngine) -> Spread:
    """The same interactions on Spark, in several partitions."""

    def build(here: Interactions) -> SparkInteractions:
        rows = spark_engine.session.createDataFrame(here.rows.to_arrow()).repartition(3)
        return SparkInteractions(rows, here.as_of)

    return build


@pytest.fixture(scope="module")
def readers() -> tuple[Interactions, pl.DataFrame]:
    """300 readers of 12 genres: what they read, and what they read next; some titles are much more popular."""
    rng = np.random.default_rng(3)
    taste = rng.dirichlet(np.full(12, 0.15), 300)
    rows = set()
    for user in range(300):
        genres = rng.choice(12, rng.geometric(1 / 25), p=taste[user])
        titles = np.minimum(rng.zipf(1.5, genres.size), 30) - 1
        rows |= {(user, genre * 30 + title) for genre, title in zip(genres, titles, strict=True)}
    pairs = sorted(rows)
    frame = pl.DataFrame(pairs, schema=["user", "item"], orient="row").select(
        pl.format("u{}", "user").alias("user_id"), pl.format("i{}", "item").alias("item_id")
    )
    is_next = pl.Series(rng.random(len(pairs)) < 0.2)
    weights = pl.Series("weight", rng.integers(1, 4, len(pairs)).astype(float))
    ages = pl.Series("day", [TODAY - timedelta(days=int(age)) for age in rng.integers(0, 20, len(pairs))])
    known = frame.with_columns(ages, weights).filter(~is_next).select(HISTORY_SCHEMA.names())
    return Interactions(known, TODAY), frame.filter(is_next).with_columns(day=pl.lit(TODAY))


def test_popularity_has_the_same_numbers(random_sales: Interactions, spread: Spread) -> None:
    parameters = popularity.PopularityParameters(half_life_days=7)
    here = popularity.fit(random_sales, parameters, 0)
    there = popularity.fit_on_spark(spread(random_sales), parameters, 0)
    assert there.item_ids.equals(here.item_ids)
    np.testing.assert_allclose(there.popularity, here.popularity, rtol=1e-6)


def test_ratings_are_the_weights_that_the_family_learns_from(random_sales: Interactions, spread: Spread) -> None:
    parameters = als.AlsParameters(half_life_days=10, weighting="log")
    matrix, item_ids = training_matrix(random_sales, parameters)
    there = spread(random_sales)
    assert on_spark.items_of(there).equals(item_ids)
    rated = pl.DataFrame(pl.from_arrow(on_spark.ratings(there, parameters, item_ids).toArrow()))
    assert rated["user"].n_unique() == matrix.shape[0]
    assert not rated.select("user", "item").is_duplicated().any()
    rows = [sorted(zip(part["item"], part["weight"].round(5), strict=True)) for part in rated.partition_by("user")]
    expected = [
        sorted(zip(row.indices, np.round(row.data.astype(float), 5), strict=True))
        for row in (matrix[[user]] for user in range(matrix.shape[0]))
    ]
    assert [[item for item, _ in row] for row in sorted(rows)] == [
        [item for item, _ in row] for row in sorted(expected)
    ]
    found, wanted = (np.array([value for row in sorted(some) for _, value in row]) for some in (rows, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_only_the_newest_days_are_learned_from(random_sales: Interactions, spread: Spread) -> None:
    newest = on_spark.items_of(spread(random_sales).within(2))
    assert newest.equals(random_sales.within(2).rows["item_id"].unique().sort())


def test_als_ranks_as_well_as_the_one_of_implicit(readers: tuple[Interactions, pl.DataFrame], spread: Spread) -> None:
    known, following = readers
    parameters = als.AlsParameters(factors=16, regularization=3.0, alpha=4.0, iterations=8)
    models = [als.fit(known, parameters, 1), als.fit_on_spark(spread(known), parameters, 1)]
    assert models[0].item_ids.equals(models[1].item_ids)
    assert models[0].item_factors.shape == models[1].item_factors.shape
    assert models[1].item_factors.dtype == np.float32
    by_library = [ndcg(model, known, following) for model in models]
    assert by_library[0] > 1.5 * ndcg(popularity.fit(known, popularity.PopularityParameters(), 0), known, following)
    assert by_library[1] == pytest.approx(by_library[0], rel=0.05)


def ndcg(model: als.AlsModel | popularity.PopularityModel, known: Interactions, following: pl.DataFrame) -> float:
    """NDCG at 50 of what is not known yet."""
    users = following["user_id"].unique().sort()
    users = users.filter(users.is_in(known.rows["user_id"].unique().implode()))
    owned = known.rows.group_by("user_id").agg(pl.col("item_id").alias("item_ids"))
    exclusions = pl.concat([pl.DataFrame(schema=EXCLUSIONS.schema), owned], how="diagonal")
    items = pl.DataFrame({"item_id": model.item_ids, "is_adult": False})
    eligible = pl.concat([pl.DataFrame(schema=ELIGIBLE_ITEMS.schema), items], how="diagonal")
    lists = rank(model, known, users, exclusions, eligible, n=50).select("user_id", "item_ids")
    return float(accuracy(lists, following, users, 50)["ndcg_at_50"].mean())  # type: ignore[arg-type]


def test_als_of_nothing_is_refused_with_a_reason(random_sales: Interactions, spread: Spread) -> None:
    nothing = spread(Interactions(random_sales.rows.clear(), TODAY))
    with pytest.raises(CannotFitError, match="no interactions to learn from"):
        als.fit_on_spark(nothing, als.AlsParameters(), 1)


def test_a_weight_whose_confidence_spark_does_not_have_is_still_a_like(
    random_sales: Interactions, spread: Spread
) -> None:
    parameters = als.AlsParameters(factors=4, alpha=0.01, regularization=0.1, iterations=3)
    item_ids = on_spark.items_of(spread(random_sales))
    weights = on_spark.ratings(spread(random_sales), parameters, item_ids)
    factors = als_on_spark.factorize(
        weights, item_ids.len(), factors=4, regularization=0.1, alpha=0.01, iterations=3, seed=2
    )
    assert (factors @ factors.T).mean() > 0


def test_the_digest_is_of_the_rows_and_not_of_how_they_are_spread(random_sales: Interactions, spread: Spread) -> None:
    there = spread(random_sales)
    other = SparkInteractions(there.rows.repartition(1), TODAY)
    fewer = Interactions(random_sales.rows.head(-1), TODAY)
    digest = on_spark.spread_digest(there)
    assert on_spark.spread_digest(other) == digest
    assert on_spark.spread_digest(spread(fewer)) != digest
    assert digest != rows_digest(random_sales.rows)


def test_families_without_a_fit_there_say_so() -> None:
    assert {name for name, family in available_families().items() if family.fit_on_spark is not None} == {
        "als",
        "popularity",
    }
