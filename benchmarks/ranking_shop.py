"""A shop of any size for the benchmark of ranking: features of a day, and approved versions, without real data.

Histories are as long as in a shop that is some years old: 30 purchases a user on average, a few users with hundreds.
"""

import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.columns import ELIGIBLE_ITEMS, EXCLUSIONS, INTERACTIONS
from recsys_assets.models.als import FAMILY as ALS
from recsys_assets.models.als import AlsModel, AlsParameters
from recsys_assets.models.artifact import Artifact, Provenance, save
from recsys_assets.models.family import Family, Floats, Model
from recsys_assets.models.popularity import FAMILY as POPULARITY
from recsys_assets.models.popularity import PopularityModel, PopularityParameters
from recsys_assets.platform import Platform
from recsys_assets.registry.serving_versions import TRAINED_THROUGH
from resources.lake import DeltaLake, Spool
from resources.model_registry import ModelRegistry

TODAY = date(2026, 3, 31)
DAYS = 90
FACTORS = 64
USERS_AT_ONCE = 50_000
NOTHING: list[str] = []


def platform() -> Platform:
    """The bundled families, on events with our own column names."""
    columns = {name: name for name in ("user_id", "item_id", "occurred_at")}
    events = {"path": "{date}.csv", "columns": columns, "event_type": {"column": "event_type"}}
    families = {"popularity": {"weight": 0}, "als": {}}
    content = {"first_day": "2025-01-01", "last_day": str(TODAY), "sources": {"events": events}, "families": families}
    return Platform.model_validate(content)


def item_ids(items: int) -> pl.Series:
    """Ids of 8 characters."""
    return pl.Series("item_id", np.arange(items)).cast(pl.String).str.zfill(7).str.replace("^", "B").sort()


def factors(items: int, seed: int = 0) -> Floats:
    """Item factors without any structure that a search could use: the hard case."""
    return np.random.default_rng(seed).standard_normal((items, FACTORS)).astype(np.float32)


def purchases(first: int, users: int, items: int) -> pl.DataFrame:
    """What some users bought: user_id, item_id, ds; each pair once, popular items more often."""
    random = np.random.default_rng([first, items])
    lengths = np.minimum(random.lognormal(np.log(18), 1.0, users).astype(np.int64) + 1, 1_000)
    bought = (items * random.random(lengths.sum()) ** 2).astype(np.int64)
    days = pl.Series(random.integers(0, DAYS, bought.size)).cast(pl.Int32)
    rows = {
        "user_id": pl.Series(first + np.repeat(np.arange(users), lengths)).cast(pl.String).str.zfill(7),
        "item_id": item_ids(items).gather(bought),
        "ds": pl.Series([TODAY]).cast(pl.Int32).first() - days,
    }
    frame = pl.DataFrame(rows).with_columns(pl.col("ds").cast(pl.Date), pl.format("U{}", "user_id").alias("user_id"))
    return frame.unique(["user_id", "item_id"], maintain_order=True)


def build(lake: DeltaLake, users: int, items: int) -> None:
    """Write the features as of today."""
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        bought = Spool(INTERACTIONS, Path(folder, "bought"))
        excluded = Spool(EXCLUSIONS, Path(folder, "excluded"))
        for first in range(0, users, USERS_AT_ONCE):
            rows = purchases(first, min(USERS_AT_ONCE, users - first), items)
            bought.add(_interactions(rows))
            excluded.add(exclusions(rows, first))
        lake.replace(INTERACTIONS, bought, (TODAY - timedelta(days=DAYS), TODAY))
        lake.replace(EXCLUSIONS, excluded, (TODAY, TODAY))
    lake.replace(ELIGIBLE_ITEMS, eligible_items(items), (TODAY, TODAY))


def eligible_items(items: int) -> pl.DataFrame:
    """What is on sale: not every title, some for adults, 20 of each creator."""
    number = pl.int_range(pl.len())
    titles = item_ids(items).to_frame()
    described = titles.with_columns(
        ds=pl.lit(TODAY),
        creator=pl.format("creator {}", number // 20),
        category=pl.format("category {}", number % 50),
        is_adult=number % 40 == 0,
    )
    return described.filter(number % 33 > 0).select(ELIGIBLE_ITEMS.schema.names())


def exclusions(rows: pl.DataFrame, first: int) -> pl.DataFrame:
    """Rows of `features/exclusions`: what users bought; one in fifty blocks a creator and a category."""
    lists = rows.group_by("user_id", maintain_order=True).agg(item_ids=pl.col("item_id"))
    number = pl.int_range(pl.len()) + first
    nobody = pl.lit(NOTHING, pl.List(pl.String))

    def blocked(kind: str, share: int) -> pl.Expr:
        names = pl.concat_list(pl.format(kind + " {}", number % 50))
        return pl.when(number % share == 0).then(names).otherwise(nobody)

    return lists.with_columns(
        ds=pl.lit(TODAY),
        reasons=pl.lit("owned").repeat_by(pl.col("item_ids").list.len()),
        blocked_creators=blocked("creator", 50),
        blocked_categories=blocked("category", 50),
        may_see_adult=number % 5 > 0,
    ).select(EXCLUSIONS.schema.names())


def approve(registry: ModelRegistry, items: int) -> None:
    """Register a version of each family, and approve it."""
    weights = np.random.default_rng(0).random(items).astype(np.float32)
    _approve(registry, ALS, AlsModel(item_ids(items), AlsParameters(factors=FACTORS), factors(items)))
    _approve(registry, POPULARITY, PopularityModel(item_ids(items), PopularityParameters(), weights))


def _approve(registry: ModelRegistry, family: Family, model: Model) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save(Artifact(model, Provenance(TODAY, TODAY, 0, 1, "", "")), family, Path(folder))
        version = registry.register(family.name, TODAY, Path(folder), tags={TRAINED_THROUGH: str(TODAY)}, params={})
        registry.add_artifact(version, Path(folder), "release")
    registry.set_status(version, "Approved", "of the benchmark")
    registry.point_approved_at(version)


def _interactions(rows: pl.DataFrame) -> pl.DataFrame:
    moment = pl.col("ds").cast(pl.Datetime("us", "UTC"))
    counts = {name: pl.lit(0, pl.Int64) for name in ("views", "carts", "wishes", "refunds", "ratings")}
    return rows.with_columns(
        **counts,
        purchases=pl.lit(1, pl.Int64),
        quantity=pl.lit(1, pl.Int64),
        value=pl.lit(9.99),
        last_at=moment,
        last_purchase_at=moment,
    ).select(INTERACTIONS.schema.names())
