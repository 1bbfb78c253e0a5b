"""Our metrics against two independent libraries: trec_eval (C, by pytrec_eval) and ranx.

Users are degenerate on purpose: without a list, without anything to find, with everything found, with lists of one
score. Both libraries divide average precision by all relevant items, ours by as many as the cutoff has room for.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
import pytrec_eval
from numpy.typing import NDArray

from recsys_assets.models.selection import best_columns
from recsys_assets.validation.metrics import CUTOFFS, hit_matrix, metric_names, per_user_metrics, relevant_counts

ITEMS = [f"i{number:03}" for number in range(260)]
USERS = [f"u{number:03}" for number in range(120)]
Scores = NDArray[np.float32]


def random_truth(rng: np.random.Generator) -> dict[str, list[str]]:
    """Relevant items; every tenth user has none, and one has more than any cutoff has room for."""
    counts = rng.integers(1, 30, size=len(USERS))
    counts[::10], counts[1] = 0, 230
    drawn = zip(USERS, counts, strict=True)
    return {user: rng.choice(ITEMS, size=count, replace=False).tolist() for user, count in drawn}


def random_scores(rng: np.random.Generator) -> Scores:
    """Scores with many ties; those of one user are all the same. Shape (users, items)."""
    scores = rng.integers(0, 12, size=(len(USERS), len(ITEMS))).astype(np.float32)
    scores[7] = 3
    return scores


def ranked(rng: np.random.Generator, scores: Scores) -> dict[str, list[str]]:
    """Our lists: 200 of the items, some shorter, every ninth empty; among equal scores the lower item id first."""
    lengths = rng.integers(1, 201, size=len(USERS))
    lengths[::2], lengths[::9] = 200, 0
    best = best_columns(scores, 200)
    return {user: [ITEMS[column] for column in best[row][: lengths[row]]] for row, user in enumerate(USERS)}


def ours(lists: Mapping[str, list[str]], truth: Mapping[str, list[str]]) -> pl.DataFrame:
    frame = pl.DataFrame({"user_id": list(lists), "item_ids": list(lists.values())})
    pairs = pl.DataFrame({"user_id": list(truth), "item_id": list(truth.values())}).explode("item_id").drop_nulls()
    relevant = relevant_counts(pairs, USERS)
    measured = per_user_metrics(hit_matrix(frame, pairs, USERS, max(CUTOFFS)), relevant)
    by_all = [pl.col(f"map_at_{k}") * np.minimum(relevant, k) / np.maximum(relevant, 1) for k in CUTOFFS]
    return measured.with_columns(by_all).with_columns(user_id=pl.Series(USERS))


@pytest.fixture(params=range(5))
def ranking(request: pytest.FixtureRequest) -> tuple[Scores, dict[str, list[str]], dict[str, list[str]]]:
    rng = np.random.default_rng(request.param)
    truth, scores = random_truth(rng), random_scores(rng)
    return scores, ranked(rng, scores), truth


def relevance(truth: Mapping[str, list[str]]) -> dict[str, dict[str, int]]:
    return {user: dict.fromkeys(items, 1) for user, items in truth.items() if items}


def test_every_metric_is_that_of_trec_eval(ranking: Any) -> None:
    scores, lists, truth = ranking
    column = {item: place for place, item in enumerate(ITEMS)}
    # trec_eval sorts by score by itself, and among equals takes the last name first: names run the other way here.
    name = {item: f"{999 - place}" for item, place in column.items()}
    judged = {user: {name[item]: 1 for item in items} for user, items in relevance(truth).items()}
    run = {
        user: {name[item]: float(scores[row, column[item]]) for item in lists[user]} for row, user in enumerate(USERS)
    }
    measured = ours(lists, truth)
    theirs = {"ndcg": "ndcg_cut", "recall": "recall", "precision": "P", "map": "map_cut", "hit_rate": "success"}
    wanted = {f"{measure}.{','.join(map(str, CUTOFFS))}" for measure in theirs.values()}
    found = pytrec_eval.RelevanceEvaluator(judged, wanted).evaluate(run)
    compared = 0
    for row in measured.iter_rows(named=True):
        of_user = found.get(row["user_id"])  # trec_eval passes over users without a list and without relevant items
        for cutoff in CUTOFFS:
            for metric, measure in theirs.items():
                value = None if not truth[row["user_id"]] else of_user[f"{measure}_{cutoff}"] if of_user else 0
                assert row[f"{metric}_at_{cutoff}"] == pytest.approx(value, abs=1e-9)
                compared += value is not None
    assert compared == 108 * 5 * 3


def test_the_first_hit_is_where_trec_eval_finds_it(ranking: Any) -> None:
    _, lists, truth = ranking
    measured = ours(lists, truth)
    evaluator = pytrec_eval.RelevanceEvaluator(relevance(truth), {"recip_rank"})
    for cutoff in CUTOFFS:
        run = {user: {item: -float(place) for place, item in enumerate(lists[user][:cutoff])} for user in USERS}
        found = evaluator.evaluate(run)
        theirs = [found.get(user, {"recip_rank": 0.0})["recip_rank"] if truth[user] else None for user in USERS]
        assert measured[f"mrr_at_{cutoff}"].to_list() == pytest.approx(theirs, abs=1e-9)


def test_every_metric_is_that_of_ranx(ranking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes most of a minute, these few rankings a second
    from ranx import Qrels, Run, evaluate

    _, lists, truth = ranking
    judged = [user for user in USERS if truth[user]]
    # ranx leaves open which of equal scores comes first, so it gets places; an empty list is one strange item to it.
    run = {user: {item: 1.0 / (1 + place) for place, item in enumerate(lists[user] or ["none"])} for user in judged}
    names = [name.replace("_at_", "@") for name in metric_names()]
    found = evaluate(Qrels(relevance(truth)), Run(run), names, return_mean=False)
    measured = ours(lists, truth).filter(pl.col("user_id").is_in(judged)).sort("user_id")
    for name in metric_names():
        assert np.allclose(measured[name].to_numpy(), found[name.replace("_at_", "@")], rtol=0, atol=1e-9), name
