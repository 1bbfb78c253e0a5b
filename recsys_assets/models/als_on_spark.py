"""Matrix factorization by `pyspark.ml`'s ALS, in the terms of `implicit`: the same parameters mean the same.

Two things differ between the libraries, and both are translated here.

- Confidence. To `implicit` an interaction of weight w has confidence alpha w, to Spark 1 + alpha |r|: so r is
  alpha w - 1, with Spark's alpha at 1. Where alpha w is below 1, Spark has no such confidence: it counts as just above.
- Regularization. `implicit` adds lambda to each vector's equations, Spark lambda_s times the number n of its ratings,
  as ALS-WR does (Zhou et al., "Large-Scale Parallel Collaborative Filtering for the Netflix Prize", AAIM 2008). Where a
  rating is found, n is a for its user and b for its item, in the mean over ratings; lambda_s = lambda / sqrt(a b) has
  the same product on both sides. Nothing changes when users' vectors are multiplied by a number and items' divided by
  it, so what remains is the scale: items' vectors are multiplied by (b / a)^(1/4), which is where lambda alone, with
  which users are folded in, would have them.
"""

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_assets.models.family import CannotFitError, Floats

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEAST_RATING = 1e-3
"""Spark takes a rating that is not above 0 for a dislike."""


def factorize(
    weights: "DataFrame", items: int, *, factors: int, regularization: float, alpha: float, iterations: int, seed: int
) -> Floats:
    """Fit item factors.

    Args:
        weights: user (int), item (int, below `items`), weight (double, positive); one row per user and item.
        items: How many there are.
        factors: Length of the vectors.
        regularization: As `implicit` has it.
        alpha: As `implicit` has it.
        iterations: How often users' and items' vectors are solved in turn.
        seed: Of the initial vectors. Sums depend on how rows are spread, so the same seed gives nearly the same.

    Returns:
        Shape (items, factors), float32.

    Raises:
        CannotFitError: There are no ratings, or a factor is no finite number.
    """
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions as sf

    rating = sf.greatest(sf.col("weight") * alpha - 1, sf.lit(LEAST_RATING))
    rated = weights.select("user", "item", rating.cast("float").alias("rating")).persist()
    try:
        by_user, by_item = _ratings_beside(rated, "user"), _ratings_beside(rated, "item")
        blocks = max(2, rated.sparkSession.sparkContext.defaultParallelism)  # Spark's own 10 know no cluster
        solver = ALS(
            rank=factors,
            numUserBlocks=blocks,
            numItemBlocks=blocks,
            maxIter=iterations,
            regParam=regularization / sqrt(by_user * by_item),
            implicitPrefs=True,
            alpha=1.0,
            userCol="user",
            itemCol="item",
            ratingCol="rating",
            seed=seed,
        )
        found = pl.DataFrame(pl.from_arrow(solver.fit(rated).itemFactors.toArrow()))
    finally:
        rated.unpersist()
    result: Floats = np.zeros((items, factors), dtype=np.float32)
    result[found["id"].to_numpy()] = found["features"].list.to_array(factors).to_numpy() * (by_item / by_user) ** 0.25
    if not np.isfinite(result).all():
        raise CannotFitError("als: the factors are no finite numbers; raise families.als.parameters.regularization")
    return result


def _ratings_beside(rated: "DataFrame", column: str) -> float:
    """How many ratings a rating's user or item has, in the mean over ratings.

    Raises:
        CannotFitError: There are none.
    """
    from pyspark.sql import functions as sf

    counts = rated.groupBy(column).agg(sf.count("*").cast("double").alias("n"))
    (mean,) = counts.agg(sf.sum(sf.col("n") * sf.col("n")) / sf.sum("n")).collect()[0]
    if mean is None:
        raise CannotFitError("als: there are no interactions to learn from")
    return float(mean)
