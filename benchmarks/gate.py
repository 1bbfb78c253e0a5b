"""How often the gate refuses a candidate for having dropped below the approved version, by how much it truly has.

Users are simulated: most find nothing, some much more than others, and both models mostly find the same. At a true
drop that is just allowed, the gate must refuse at its nominal rate, (1 - LEVEL) / 2; without a difference less often;
at a multiple of the allowed drop nearly always, given enough users. Usage: `python benchmarks/gate.py [simulations]`.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom

from recsys_assets.platform import Gate
from recsys_assets.validation.comparison import LEVEL, relative_change

ALLOWED = Gate().max_ndcg_drop
DROPS = (0.0, ALLOWED, 2 * ALLOWED, 4 * ALLOWED)
USERS = {500: 2_000, 5_000: 500, 20_000: 150}
"""Holdout users to simulations at the allowed drop; a tenth of them at the others, whose rates are near 0 or 1."""
ENOUGH = 5_000
"""Users from which on four times the allowed drop is nearly always found."""
NOMINAL = (1 - LEVEL) / 2
SAME = 0.7
"""Share of users for whom both models find the very same."""


def main() -> int:
    """Print the rates; 1 where one is not as it must be."""
    factor = float(sys.argv[1]) / max(USERS.values()) if len(sys.argv) > 1 else 1.0
    started = time.perf_counter()
    cells = list(product(USERS, DROPS))
    counts = [max(20, int(factor * USERS[users] / (1 if drop == ALLOWED else 10))) for users, drop in cells]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = list(pool.map(refusals, *zip(*cells, strict=True), counts))
    table = dict(zip(cells, zip(found, counts, strict=True), strict=True))
    print(f"allowed drop {ALLOWED:.0%}, nominal rate {NOMINAL:.1%}; refused at a true drop of")
    print("| holdout users | " + " | ".join(f"{drop:.0%}" for drop in DROPS) + " | smallest detectable drop |")
    print("|---" * (len(DROPS) + 2) + "|")
    for users in USERS:
        row = [f"{refused / count:.1%} of {count}" for (refused, _), count in (table[users, drop] for drop in DROPS)]
        print(f"| {users} | " + " | ".join(row) + f" | {table[users, ALLOWED][0][1]:.1%} |")
    print(f"{time.perf_counter() - started:.0f} s")
    wrong = [cell for cell, ((refused, _), count) in table.items() if not is_as_it_must_be(*cell, refused, count)]
    print("".join(f"not as it must be: {users} users, a drop of {drop:.0%}\n" for users, drop in wrong), end="")
    return 1 if wrong else 0


def is_as_it_must_be(users: int, drop: float, refused: int, simulations: int) -> bool:
    """Whether a rate is what the gate promises, as far as so many simulations can tell."""
    nominal = binom(simulations, NOMINAL)
    if drop < ALLOWED:
        return refused <= nominal.ppf(0.999)
    if drop == ALLOWED:
        return bool(nominal.ppf(0.001) <= refused <= nominal.ppf(0.999))
    return drop < 4 * ALLOWED or users < ENOUGH or refused >= 0.95 * simulations


def refusals(users: int, drop: float, simulations: int) -> tuple[int, float]:
    """How many of some simulated candidates are refused, and the mean of their smallest detectable drops."""
    random = np.random.default_rng([users, round(1_000 * drop)])
    refused, detectable = 0, 0.0
    for seed in range(simulations):
        approved, candidate = ndcg_of_two(random, users, drop)
        change = relative_change(pl.Series(candidate), pl.Series(approved), seed)
        if change is not None:
            refused += change.is_below(ALLOWED)
            detectable += change.smallest_detectable_drop(ALLOWED) / simulations
    return refused, detectable


def ndcg_of_two(
    random: np.random.Generator, users: int, drop: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NDCG at 10 of an approved version and of a candidate whose true mean is lower by `drop`, for the same users.

    For most users both find the same; for the others the candidate is drawn anew, by the same chance of finding
    something. So both means are equal in truth; then the candidate loses what it found with probability `drop`.
    """
    chance = random.beta(0.5, 2.0, users)  # a fifth on average; many who are hardly ever served well
    relevant = random.geometric(0.5, users)
    approved, anew = (_found(random, chance, relevant) for _ in range(2))
    candidate = np.where(random.random(users) < SAME, approved, anew)
    return approved, candidate * (random.random(users) >= drop)


def _found(
    random: np.random.Generator, chance: NDArray[np.float64], relevant: NDArray[np.int64]
) -> NDArray[np.float64]:
    """NDCG at 10 with one hit, or none; the first ranks are hit more often."""
    ranks = np.arange(1, 11)
    discounts = 1 / np.log2(ranks + 1)
    hit = random.choice(10, size=chance.size, p=(1 / ranks) / (1 / ranks).sum())
    ideal = np.cumsum(discounts)[np.minimum(relevant, 10) - 1]
    return np.where(random.random(chance.size) < chance, discounts[hit] / ideal, 0.0)


if __name__ == "__main__":
    sys.exit(main())
