"""A change of blend weights through the whole loop: the next run judges it on the newest slot."""

from collections.abc import Callable
from typing import Any

import polars as pl

from recsys_assets.cli.installation import Installation
from recsys_assets.columns import FINAL_RECOMMENDATIONS, SERVED_NDCG
from recsys_assets.platform import Platform

RunAll = Callable[..., Any]
CHECK = "validation/final weights_not_below_those_in_force"


def with_weights(installation: Installation, als: float, popularity: float, **blend: Any) -> Installation:
    """The same installation after somebody edited the weights."""
    content = installation.platform.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["families"]["als"]["weight"] = als
    content["families"]["popularity"]["weight"] = popularity
    return Installation(installation.settings, Platform.model_validate(content | {"blend": blend}))


def sources(installation: Installation) -> set[str]:
    """The families that brought the first items of today's personal lists."""
    lists = installation.lake.scan(FINAL_RECOMMENDATIONS).filter(~pl.col("is_fallback")).collect()
    return set(lists["sources"].list.first())


def test_new_weights_are_judged_by_the_next_run_and_blend_once_they_pass(copied: Installation, run_all: RunAll) -> None:
    assert sources(copied) == {"als"}
    refused = with_weights(copied, als=0, popularity=1, min_holdout_users=100_000)
    runs = run_all(refused)
    assert [(one.start.job, one.errors) for one in runs] == [("train", ()), ("recommend", ())]
    (refusal,) = runs[0].refusals
    assert refusal.startswith(CHECK)
    assert "are too few to judge by, 100000 are asked" in refusal
    assert refused.model_registry.approved("als").version == 2  # the refusal holds no family back
    assert sources(refused) == {"als"}
    assert run_all(refused) == []

    allowed = with_weights(copied, als=0, popularity=1, max_ndcg_drop=1)
    runs = run_all(allowed)
    assert [(one.start.job, one.errors, one.refusals) for one in runs] == [("train", (), ()), ("recommend", (), ())]
    assert sources(allowed) == {"popularity"}
    assert run_all(allowed) == []


def test_each_slot_says_how_what_was_served_did(finished: Installation) -> None:
    assert finished.lake.version(SERVED_NDCG.name) >= 0
    assert finished.lake.scan(SERVED_NDCG).collect().is_empty()  # nothing had been served before the only slot
