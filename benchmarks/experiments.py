"""How often guardrails and experiments that are looked at every day are wrong, and how soon they are right.

Simulated users differ in how much they look and in how readily they click; days differ by weekday and by chance.
A false alarm is any look, of four weeks of daily ones, that calls out a version on the very edge of its range, or a
difference between arms that are alike. Usage: `python benchmarks/experiments.py [simulations]`.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom

from recsys_assets.exposure import Guardrail
from recsys_assets.monitoring.arm_comparison import Estimate, difference
from recsys_assets.monitoring.family_days import newest_stretch
from recsys_assets.monitoring.guardrail import judge
from recsys_assets.monitoring.intervals import Moments, proportions, ratios

SIMULATIONS = 2_000
DELAYS = 200
"""Simulations of each detection delay."""
LOOKS = 28
CTR = 0.05
FIRST = date(2026, 1, 5)
GUARDRAIL = Guardrail(min_impressions=200, min_users=20)
NOMINAL = GUARDRAIL.alpha
FALL = 0.2
ENOUGH, IN_TIME = 3_000, 7
"""With so many users a day, a fall of a fifth is found within so many days in nine cases of ten."""


@dataclass(frozen=True)
class Shop:
    """Days of a family.

    Attributes:
        users: Users a day.
        new_share: Of them, those who get the new version, where a change is tried on some.
        noise: How much a day differs from another one, relative, beyond its weekday and its users.
        memory: Correlation of the noise of a day with that of the day before.
    """

    users: int = 1_000
    new_share: float = 1.0
    noise: float = 0.03
    memory: float = 0.0


EDGES = {
    "1,000 users a day": Shop(),
    "100 users a day": Shop(users=100),
    "a tenth of 3,000 get it": Shop(users=3_000, new_share=0.1),
    "days alike (0.5)": Shop(memory=0.5),
}
TRAFFIC = (300, 1_000, ENOUGH)
METRICS = ("ctr", "revenue_per_impression")
PORTION = 50
"""Simulations that a process does at once."""
ResultT = TypeVar("ResultT")


def main() -> int:
    """Print the rates; 1 where one is not as it must be."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS
    started = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        fine = report_guardrail(pool, simulations) & report_test(pool, simulations)
    print(f"{time.perf_counter() - started:.0f} s")
    return 0 if fine else 1


def report_guardrail(pool: ProcessPoolExecutor, simulations: int) -> bool:
    """Print the rates of the guardrail; whether they are as they must be."""
    each = max(simulations // len(EDGES), 20)
    jobs = [(shop, GUARDRAIL.allowed_drop, each, seed) for seed, shop in enumerate(EDGES.values())]
    alarms = [sum(day > 0 for day in found) for found in spread(pool, first_alarms, jobs)]
    print(f"guardrail, allowed drop {GUARDRAIL.allowed_drop:.0%}, alpha {NOMINAL:.0%}, {LOOKS} daily looks")
    for name, count in zip(EDGES, alarms, strict=True):
        print(f"  false alarms at a true drop of {GUARDRAIL.allowed_drop:.0%}, {name:24} {count / each:6.1%} of {each}")
    print(f"  {'all of them':66} {sum(alarms) / (each * len(EDGES)):6.1%}")
    runs = max(min(DELAYS, simulations // 10), 20)
    delays = spread(pool, first_alarms, [(Shop(users), FALL, runs, 50 + users) for users in TRAFFIC])
    for users, found in zip(TRAFFIC, delays, strict=True):
        print(f"  a drop of {FALL:.0%}, {users:6,} users a day: {told(found)}")
    is_honest = all(count <= binom(each, NOMINAL).ppf(0.999) for count in alarms)
    is_prompt = np.quantile([day or LOOKS + 1 for day in delays[-1]], 0.9) <= IN_TIME
    return bool(is_honest and sum(alarms) <= NOMINAL * each * len(EDGES) and is_prompt)


def report_test(pool: ProcessPoolExecutor, simulations: int) -> bool:
    """Print the rates of the comparison of arms; whether they are as they must be."""
    found = spread(pool, first_verdicts, [(metric, 2_000, 0.0, simulations, 7) for metric in METRICS])
    print(f"two arms that are alike, 2,000 users, alpha {NOMINAL:.0%}, {LOOKS} daily looks")
    for metric, days in zip(METRICS, found, strict=True):
        always, naive = (sum(day > 0 for day in one) / simulations for one in zip(*days, strict=True))
        print(
            f"  called different, {metric:24} {always:6.1%} of {simulations}; by the interval of each day {naive:.1%}"
        )
    runs = max(min(DELAYS, simulations // 10), 20)
    sizes = (2_000, 10_000)
    delays = spread(pool, first_verdicts, [("ctr", users, -FALL, runs, users) for users in sizes])
    for users, days in zip(sizes, delays, strict=True):
        print(f"  a drop of {FALL:.0%} in CTR, {users:6,} users: {told([always for always, _ in days])}")
    return all(sum(always > 0 for always, _ in days) <= NOMINAL * simulations for days in found)


def spread(
    pool: ProcessPoolExecutor, simulate: Callable[..., list[ResultT]], jobs: Sequence[tuple[Any, ...]]
) -> list[list[ResultT]]:
    """The results of each job, whose last two arguments are the number of simulations and the seed, in portions."""
    parts = []
    for job, (*settings, runs, seed) in enumerate(jobs):
        for first in range(0, runs, PORTION):
            size = min(PORTION, runs - first)
            parts.append((job, pool.submit(simulate, *settings, size, (seed, first))))
    return [[one for number, part in parts if number == job for one in part.result()] for job in range(len(jobs))]


def told(days: list[int]) -> str:
    """Median and ninth decile of the days that it took; 0 is never."""
    found = [day if day else LOOKS + 1 for day in days]
    median, late = np.quantile(found, (0.5, 0.9), method="higher")
    shown = [str(int(one)) if one <= LOOKS else f"more than {LOOKS}" for one in (median, late)]
    return f"found after {shown[0]} days (median), {shown[1]} (ninth decile)"


def first_alarms(shop: Shop, drop: float, runs: int, seed: tuple[int, int]) -> list[int]:
    """For each simulation the first day, counted from 1, on which the guardrail calls the new version out; 0: never."""
    rng = np.random.default_rng(seed)
    return [first_alarm(days_of_shop(rng, shop, drop)) for _ in range(runs)]


def first_alarm(rows: pl.DataFrame) -> int:
    """The same of one simulation."""
    trailing = GUARDRAIL.trailing_days
    days = rows["ds"].to_list()
    for look in range(1, LOOKS + 1):
        now = trailing + look
        stretch = newest_stretch(days[trailing:now], days[:now], trailing)
        if stretch is not None and judge(rows.head(now), "als", "2", GUARDRAIL, stretch, None).state == "below":
            return look
    return 0


def days_of_shop(rng: np.random.Generator, shop: Shop, drop: float) -> pl.DataFrame:
    """Rows of `monitoring/online_metrics`: version 1 on the trailing days, then version 2 with a lower metric."""
    trailing = GUARDRAIL.trailing_days
    days = trailing + LOOKS
    people = shop.users * 3
    taste = rng.beta(2, 2 / CTR - 2, people)
    noise = np.zeros(days)
    for day in range(days):
        fresh = rng.normal(0, shop.noise) * np.sqrt(1 - shop.memory**2)
        noise[day] = shop.memory * noise[day - 1] + fresh if day else fresh
    level = np.exp(noise) * (1 + 0.15 * np.sin(2 * np.pi * (np.arange(days) + rng.integers(7)) / 7))
    level[trailing:] *= 1 - drop
    found: list[tuple[int, int, float, float]] = []
    for day in range(days):
        share = (shop.new_share if day >= trailing else 1.0) / 3
        active = np.flatnonzero(rng.random(people) < share)
        shown = 1 + rng.poisson(rng.gamma(1.0, 9.0, active.size))
        clicks = rng.binomial(shown, np.clip(taste[active] * level[day], 0, 1))
        rate = proportions(Moments.of(clicks.astype(float), shown.astype(float)))
        found.append((active.size, int(shown.sum()), float(rate.value[0]), float(rate.se[0])))
    users, shown_of, rates, errors = zip(*found, strict=True)
    return pl.DataFrame(
        {
            "ds": [FIRST + timedelta(day) for day in range(days)],
            "family": ["als"] * days,
            "version": ["1"] * trailing + ["2"] * LOOKS,
            "impressions": shown_of,
            "users": users,
            "ctr": rates,
            "ctr_se": errors,
        }
    )


def first_verdicts(metric: str, users: int, change: float, runs: int, seed: tuple[int, int]) -> list[tuple[int, int]]:
    """For each simulation the first day on which the arms are called different: for always, and by the day's interval.

    Users come back, so that what is known of one on a day depends on the days before.
    """
    rng = np.random.default_rng(seed)
    return [first_verdict(rng, metric, users, change) for _ in range(runs)]


def first_verdict(rng: np.random.Generator, metric: str, users: int, change: float) -> tuple[int, int]:
    """The same of one simulation."""
    is_other = rng.random(users) < 0.5
    taste = rng.beta(2, 2 / CTR - 2, users) * np.where(is_other, 1 + change, 1.0)
    habit = rng.gamma(0.5, 0.4, users)  # a few come nearly every day, most rarely
    over, under = np.zeros(users), np.zeros(users)
    first = [0, 0]
    for look in range(1, LOOKS + 1):
        active = rng.random(users) < habit
        shown = np.where(active, 1 + rng.poisson(9.0, users), 0)
        clicks = rng.binomial(shown, np.clip(taste, 0, 1))
        price = rng.lognormal(1.0, 1.0, users) if metric == "revenue_per_impression" else 1.0
        over, under = over + clicks * price, under + shown
        arms = [estimate(metric, over[mask], under[mask]) for mask in (~is_other, is_other)]
        found = difference(arms[0], arms[1])
        said = (found.verdict in ("higher", "lower"), not found.interval[0] <= 0 <= found.interval[1])
        first = [day or (look if now else 0) for day, now in zip(first, said, strict=True)]
        if all(first):
            break
    return first[0], first[1]


def estimate(metric: str, over: NDArray[np.float64], under: NDArray[np.float64]) -> Estimate:
    """As `arm_comparison.estimates` makes it, from the sums of each user."""
    seen = under > 0
    moments = Moments.of(over[seen], under[seen])
    found = ratios(moments) if metric == "revenue_per_impression" else proportions(moments)
    value, low, high, error = (float(one[0]) for one in (found.value, found.low, found.high, found.se))
    return Estimate(int(seen.sum()), int((over[seen] != 0).sum()), value, (low, high), error)


if __name__ == "__main__":
    sys.exit(main())
