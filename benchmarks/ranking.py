"""The exact ranking: its speed beside implicit, faiss and the plain matrix product, its memory, and a whole asset.

The vectors have no structure that a search could use, which is the hard case. Rates are the best of several rounds in
which all take turns; memory and the asset are measured in processes of their own.
Usage: `python benchmarks/ranking.py [users of the asset] [users of the measurement of memory]`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import dagster as dg
import faiss
import numpy as np
import polars as pl
from ranking_shop import (
    FACTORS,
    TODAY,
    approve,
    build,
    eligible_items,
    exclusions,
    factors,
    item_ids,
    platform,
    purchases,
)
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from recsys_assets.inference.family_lists import build_family_lists
from recsys_assets.models.als import AlsModel, AlsParameters
from recsys_assets.models.candidates import Excluded, excluded_from, shelf_of
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import FactorModel, Floats, Interactions, Parameters
from recsys_assets.models.ranking import Ranker
from resources.engine import PolarsEngine
from resources.lake import DeltaLake
from resources.model_registry import ModelRegistry

LENGTH = 200
USERS = 50_000
ROUNDS = 3
BLOCK_USERS = 1_024
GOALS = {10_000: "1.7 times implicit", 100_000: "1.6 times implicit, 0.9 times the plain product"}
ASSET_USERS, MEMORY_USERS, ITEMS = 200_000, 1_000_000, 100_000
"""Of the asset: 1,000,000 take five times as long, at the same rate."""


@dataclass(frozen=True)
class Given(FactorModel):
    """A model whose users' vectors are known: a history names the user whose it is."""

    item_ids: pl.Series
    item_factors: Floats
    users: Floats
    parameters: Parameters
    is_personal: ClassVar[bool] = True

    def vectors(self, histories: csr_array) -> Floats:
        """See `FactorModel.vectors`."""
        return self.users[histories.data.astype(np.int64)]

    def arrays(self) -> dict[str, Any]:
        """Nothing is stored."""
        return {}


def main() -> int:
    """Print the tables."""
    users = [int(one) for one in sys.argv[1:]] + [ASSET_USERS, MEMORY_USERS][len(sys.argv) - 1 :]
    print(f"best {LENGTH} of {FACTORS} factors with exclusions, {USERS:,} users, {os.cpu_count()} cores, users/s")
    for items, goal in GOALS.items():
        rates = speeds(items)
        print(f"{items:,} items; goal: {goal}")
        for name, rate in rates.items():
            print(f"  {name:48}{rate:10,.0f}{rates['ours'] / rate:10.2f} ours to it")
    memory = alone("memory", users[1])
    print(f"{users[1]:,} users x {ITEMS:,} items: peak {memory['peak_gb']:.2f} GB, goal: under 2; ", end="")
    print(f"{memory['before_gb']:.2f} before the first user; {memory['rate']:,.0f} users/s with their histories")
    asset = alone("asset", users[0])
    print(f"recommendations/als, {users[0]:,} users x {ITEMS:,} items: {asset['seconds']:.0f} s, ", end="")
    print(f"{asset['rate']:,.0f} users/s, {asset['rate'] / asset['bare']:.2f} of the bare ranking; goal: 0.5; ", end="")
    print(f"peak {asset['peak_gb']:.2f} GB")
    return 0


def speeds(items: int) -> dict[str, float]:
    """Users per second of each way, the best of some rounds."""
    given, excluded = bare(items, USERS)
    ours = Ranker(given, excluded.shelf)
    one_hot = whose(USERS, items)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: ours.best(one_hot, excluded, LENGTH),
        "implicit.recommend, liked items filtered": with_implicit(given, excluded),
        "faiss, as many more as are excluded, unfiltered": with_faiss(given, excluded),
        f"plain product, {BLOCK_USERS:,} users at once": lambda: plain_product(given, None),
        "plain product into the same memory": lambda: plain_product(given, np.empty((BLOCK_USERS, items), np.float32)),
    }
    return {name: USERS / min(seconds) for name, seconds in in_turns(ways).items()}


def in_turns(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds that each way took, all of them in turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - began)
    return taken


def bare(items: int, users: int) -> tuple[Given, Excluded]:
    """Vectors of users and items, and what each user bought as exclusions; every item is on sale, none is adult."""
    rows = purchases(0, users, items)
    ids = item_ids(items)
    vectors = np.random.default_rng(1).standard_normal((users, FACTORS)).astype(np.float32)
    on_sale = eligible_items(items).with_columns(is_adult=pl.lit(value=False))
    owned = exclusions(rows, 0).with_columns(blocked_creators=pl.lit([], pl.List(pl.String)))
    owned = owned.with_columns(blocked_categories=pl.col("blocked_creators"))
    given = Given(ids, factors(items), vectors, Parameters())
    return given, excluded_from(shelf_of(ids, on_sale), owned["user_id"], owned)


def whose(users: int, items: int) -> csr_array:
    """Histories that name their users."""
    number = np.arange(users)
    return csr_array((number.astype(np.float32), (number, number % items)), shape=(users, items))


def with_implicit(given: Given, excluded: Excluded) -> Callable[[], object]:
    """Implicit's own ranking, by given vectors."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=FACTORS)
    model.item_factors, model.user_factors = given.item_factors, given.users
    owned = csr_matrix(excluded.items(np.arange(len(given.users))).astype(np.float32))

    def recommend() -> object:
        with threadpool_limits(1, "blas"):
            return model.recommend(np.arange(len(given.users)), owned, N=LENGTH, filter_already_liked_items=True)

    return recommend


def with_faiss(given: Given, excluded: Excluded) -> Callable[[], object]:
    """An exhaustive index of faiss, asked for as many more as half of the users have excluded."""
    index = faiss.IndexFlatIP(FACTORS)
    index.add(given.item_factors)
    more = int(np.median(np.diff(excluded.targets["item_id"].indptr)))
    return lambda: index.search(given.users, LENGTH + more)


def plain_product(given: Given, memory: Floats | None) -> None:
    """Every score, and nothing done with it."""
    for first in range(0, len(given.users), BLOCK_USERS):
        some = given.users[first : first + BLOCK_USERS]
        np.matmul(some, given.item_factors.T, out=None if memory is None else memory[: len(some)])


def alone(what: str, users: int) -> dict[str, float]:
    """Figures that a process of its own has measured."""
    command = [sys.executable, "-W", "ignore", __file__, what, str(users)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def memory_of(users: int) -> dict[str, float]:
    """Rank many users from their purchases on, some at a time, and keep none of their lists."""
    model = AlsModel(item_ids(ITEMS), AlsParameters(factors=FACTORS), factors(ITEMS))
    ranker = Ranker.of(model, eligible_items(ITEMS))
    before, seconds = peak_gb(), 0.0
    at_once = platform().recommendations.block_users
    for first in range(0, users, at_once):
        rows = purchases(first, min(at_once, users - first), ITEMS)
        excluded = exclusions(rows, first)
        history = rows.select("user_id", "item_id", day="ds", weight=pl.lit(1.0))
        began = time.perf_counter()
        for _ in ranker.blocks(Interactions(history, TODAY), excluded["user_id"], excluded, n=LENGTH):
            pass
        seconds += time.perf_counter() - began
    return {"peak_gb": peak_gb(), "before_gb": before, "rate": users / seconds}


def asset_of(users: int) -> dict[str, float]:
    """Materialize the lists of a family; and rank, by given vectors, as many users as the other measurements do."""
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        lake = DeltaLake(root=f"{folder}/lake")
        registry = ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
        subprocess.run([sys.executable, "-W", "ignore", __file__, "build", str(users), folder], check=True)
        asset = build_family_lists(platform(), configured_families(platform())["als"])
        resources = {"lake": lake, "engine": PolarsEngine(), "model_registry": registry}
        began = time.perf_counter()
        done = dg.materialize([asset], partition_key=str(TODAY), resources=resources)
        seconds, peak = time.perf_counter() - began, peak_gb()
        if not done.success:
            raise RuntimeError("the asset failed")
    given, excluded = bare(ITEMS, USERS)
    one_hot = whose(USERS, ITEMS)
    ways = {"bare": lambda: Ranker(given, excluded.shelf).best(one_hot, excluded, LENGTH)}
    rate = USERS / min(in_turns(ways)["bare"])
    return {"seconds": seconds, "rate": users / seconds, "bare": rate, "peak_gb": peak}


def peak_gb() -> float:
    """The most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e9


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["memory", users]:
            print(json.dumps(memory_of(int(users))))
        case ["asset", users]:
            print(json.dumps(asset_of(int(users))))
        case ["build", users, folder]:
            build(DeltaLake(root=f"{folder}/lake"), int(users), ITEMS)
            registry = ModelRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_root=f"{folder}/artifacts")
            approve(registry, ITEMS)
        case _:
            sys.exit(main())
