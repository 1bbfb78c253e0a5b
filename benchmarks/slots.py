"""Quality on real sales: each family beside a plain `implicit` ALS, on the last 12 slots of UCI Online Retail.

    python benchmarks/slots.py [DAILY_CSVS]

Before each slot (Monday, Wednesday, Friday) the models are fitted on what was known until then, and judged on what
users with a history bought from the slot up to the next one without having had it. The users of all slots are pooled.
The intervals are bootstrap intervals that draw people, not lists: who was judged in five slots is drawn with all five.

The peer is `implicit.als.AlternatingLeastSquares()` as it comes, on everything that a user bought in a year, with its
own filter of what the user already has. The settings of the families were chosen on the 12 slots before (14 October to
9 November 2011) by hand, one or two values to each side of the defaults.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from features import materialize
from online_retail import data_folder, environment
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys_assets.cli.installation import Installation
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import ConfiguredFamily, configured_families
from recsys_assets.models.family import Interactions, Parameters, training_matrix
from recsys_assets.models.ranking import rank
from recsys_assets.partitions import slot_days, slot_partitions
from recsys_assets.platform import FamilySettings, Platform
from recsys_assets.validation.segments import accuracy

SLOTS = 12
LENGTH = 200
YEAR = 365
RESAMPLES = 2_000
PEER = "implicit's ALS as it comes"
GOAL = 1.2
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "popularity": {"window_days": 30, "parameters": {"half_life_days": 3}},
    "item_item": {"parameters": {"weighting": "log"}},
    "sequential": {},
    "graph_filter": {"window_days": 30, "parameters": {"half_life_days": 30}},
    "als": {
        "window_days": 30,
        "parameters": {"factors": 64, "regularization": 10.0, "alpha": 1.0, "iterations": 15, "weighting": "log"},
    },
    "ease": {"window_days": 30, "parameters": {"weighting": "log", "half_life_days": 14}},
}
"""Family to its settings; all of them rank with the histories of a year."""


@dataclass(frozen=True)
class Slot:
    """What is known before a slot, and what happened until the next one.

    Attributes:
        known: A year of interactions.
        hits: user_id, item_id: what was bought without having been had.
        users: Those with a history and a hit, sorted.
        exclusions: As of the day before the slot.
        eligible: As of the day before the slot.
    """

    known: Interactions
    hits: pl.DataFrame
    users: pl.Series
    exclusions: pl.DataFrame
    eligible: pl.DataFrame


Ranker = Callable[[Slot], pl.DataFrame]
"""From a slot to user_id, item_ids."""


def main() -> int:
    """Print the table; 1 where the data are missing."""
    data = data_folder()
    if data is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        os.environ.update(environment(folder, data))
        installation = Installation.from_env()
        platform = installation.platform
        materialize("ingest", str(platform.first_day), str(platform.last_day), os.environ)
        slots = last_slots(FeatureStore(platform, installation.lake, installation.engine))
    families = configured_families(with_settings(platform))
    rankers = {PEER: plain_als, **{name: ranker(family) for name, family in families.items()}}
    figures = {}
    for name, ranks in rankers.items():
        began = time.perf_counter()
        figures[name] = pooled(slots, ranks)
        line(name, figures[name], figures[PEER], time.perf_counter() - began)
    return 0


def with_settings(platform: Platform) -> Platform:
    """The platform with the families of this benchmark."""
    settings = {name: FamilySettings.model_validate({"history_days": YEAR} | dict(SETTINGS[name])) for name in SETTINGS}
    return platform.model_copy(update={"families": settings})


def last_slots(store: FeatureStore) -> list[Slot]:
    """The last slots of the replay, oldest first; the last one reaches to the last day."""
    end = store.platform.last_day or date.max
    every = slot_days(slot_partitions(store.platform), datetime.now(tz=UTC))
    chosen = [slot for slot in every if slot <= end][-SLOTS:]
    lasts = [following - timedelta(days=1) for following in chosen[1:]] + [end]
    print(f"Online Retail, {SLOTS} slots from {chosen[0]} to {chosen[-1]}, {os.cpu_count()} cores")
    return [_slot(store, first, last) for first, last in zip(chosen, lasts, strict=True)]


def _slot(store: FeatureStore, first: date, last: date) -> Slot:
    before = first - timedelta(days=1)
    history, hits = store.history(before, YEAR), store.hits(first, last)
    users = hits["user_id"].unique().sort()
    return Slot(
        known=Interactions(history, before),
        hits=hits,
        users=users.filter(users.is_in(history["user_id"].unique().implode())),
        exclusions=store.read("exclusions", before),
        eligible=store.read("eligible_items", before),
    )


def ranker(family: ConfiguredFamily) -> Ranker:
    """Fit the family and rank, as a slot and daily inference do."""

    def ranks(slot: Slot) -> pl.DataFrame:
        settings = family.settings
        model = family.family.fit(slot.known.within(settings.window_days), family.parameters, 0)
        histories = slot.known.within(settings.ranked_days)
        return rank(model, histories, slot.users, slot.exclusions, slot.eligible, n=LENGTH)

    return ranks


def plain_als(slot: Slot) -> pl.DataFrame:
    """What somebody writes in an hour."""
    from implicit.als import AlternatingLeastSquares

    matrix, item_ids = training_matrix(slot.known, Parameters())
    bought = csr_matrix(matrix)
    everybody = slot.known.rows["user_id"].unique().sort()
    model = AlternatingLeastSquares(random_state=0)
    with threadpool_limits(1, "blas"):  # as its documentation asks for
        model.fit(bought, show_progress=False)
    rows = everybody.search_sorted(slot.users).to_numpy()
    found, _ = model.recommend(rows, bought[rows], N=LENGTH, filter_already_liked_items=True)
    return pl.DataFrame({"user_id": slot.users, "item_ids": [item_ids.gather(one).to_list() for one in found]})


def pooled(slots: list[Slot], ranks: Ranker) -> pl.DataFrame:
    """user_id, ndcg: NDCG at 10, one row per slot and user."""
    return pl.concat(
        pl.DataFrame(
            {
                "user_id": slot.users,
                "ndcg": accuracy(ranks(slot).select("user_id", "item_ids"), slot.hits, slot.users, LENGTH)[
                    "ndcg_at_10"
                ],
            }
        )
        for slot in slots
    )


def line(name: str, figures: pl.DataFrame, peer: pl.DataFrame, seconds: float) -> None:
    """One line of the table: the mean, and its ratio to the peer's, both with their 95 % intervals."""
    people = figures.with_columns(peer=peer["ndcg"]).group_by("user_id").agg(pl.len(), pl.col("ndcg", "peer").sum())
    sums = people.sort("user_id").select("len", "ndcg", "peer").to_numpy().astype(float)
    drawn = np.random.default_rng(0).multinomial(len(sums), [1 / len(sums)] * len(sums), size=RESAMPLES) @ sums
    mean, ratio = (
        np.quantile(values, (0.025, 0.975)) for values in (drawn[:, 1] / drawn[:, 0], drawn[:, 1] / drawn[:, 2])
    )
    total = sums.sum(axis=0)
    print(
        f"{name:28}NDCG@10 {total[1] / total[0]:.4f} ({mean[0]:.4f} to {mean[1]:.4f})   "
        f"ratio {total[1] / total[2]:.2f} ({ratio[0]:.2f} to {ratio[1]:.2f})   {seconds:5.0f} s"
        + (
            f"   {figures.height} lists of {len(sums)} people; goal of the best family: a ratio of {GOAL}"
            if name == PEER
            else ""
        ),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
