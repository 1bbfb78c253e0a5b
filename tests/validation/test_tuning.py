"""The search for hyper-parameters: on days of its own before the holdout, honest, and the same for the same seed."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_assets.columns import EVENTS, INTERACTION_DAYS, INTERACTIONS, ITEMS, USER_BLOCKS, USERS, Table
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import TooLittleHistoryError
from recsys_assets.features.views import VIEWS
from recsys_assets.models.catalogue import find_family
from recsys_assets.models.search import Among, Between
from recsys_assets.platform import FamilySettings, Platform
from recsys_assets.slot_window import days_between
from recsys_assets.validation.tuning import (
    Objective,
    Split,
    Trial,
    compared,
    fitted,
    search,
    space_of,
    split_of,
    values_of,
)
from resources.engine import PolarsEngine
from resources.lake import DeltaLake

FIRST, SLOT = date(2026, 1, 1), date(2026, 2, 13)
HOLDOUT, TUNED_FROM = date(2026, 2, 6), date(2026, 1, 30)
DAYS = (FIRST, SLOT - timedelta(days=1))
POPULARITY = FamilySettings(window_days=30)
Event = tuple[date, str, str, str]
Shop = Callable[..., FeatureStore]


def purchases() -> list[Event]:
    """Forty users buy now and then, each mostly from one half of the titles."""
    rng = np.random.default_rng(3)
    rows = set()
    for user in range(40):
        for offset in rng.choice(43, size=10, replace=False):
            half = user % 2 if rng.random() < 0.9 else 1 - user % 2
            rows.add(
                (FIRST + timedelta(days=int(offset)), f"user {user:02}", "purchase", f"{'ab'[half]}{rng.integers(10)}")
            )
    return sorted(rows)


def event_rows(events: Iterable[Event]) -> pl.DataFrame:
    rows = [
        (day, user, item, kind, datetime(day.year, day.month, day.day, 9, tzinfo=UTC), 1, 10.0)
        for day, user, kind, item in events
    ]
    return pl.DataFrame(rows, schema=EVENTS.schema, orient="row").sort(EVENTS.schema.names())


def change_rows(table: Table, facts: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(table.schema.names()), **fact} for fact in facts], schema=table.schema)


@pytest.fixture(scope="module")
def shop(tiny_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Makes the feature store of a shop in which this happened, and whose days are ingested until the slot."""

    def build(
        events: Iterable[Event],
        users: list[dict[str, Any]] | None = None,
        blocks: list[dict[str, Any]] | None = None,
        ingested: tuple[date, date] = DAYS,
        platform: Platform = tiny_platform,
    ) -> FeatureStore:
        store = FeatureStore(platform, DeltaLake(root=str(tmp_path_factory.mktemp("shop"))), PolarsEngine())
        store.lake.replace(EVENTS, event_rows(events), DAYS)
        catalogue = [{"ds": FIRST, "item_id": f"{half}{item}"} for half in "ab" for item in range(10)]
        for table, facts in ((ITEMS, catalogue), (USERS, users), (USER_BLOCKS, blocks)):
            if facts:
                store.lake.replace(table, change_rows(table, facts), DAYS)
        store.lake.replace(INTERACTIONS, store.compute(VIEWS["interactions"], *DAYS), DAYS)
        calendar = pl.DataFrame({"ds": days_between(*ingested)}).with_columns(
            landing_fingerprint=pl.lit(""), content=None
        )
        store.lake.replace(INTERACTION_DAYS, calendar.cast({"content": pl.String}), DAYS)
        return store

    return build


@pytest.fixture(scope="module")
def split(shop: Shop) -> Split:
    return split_of(shop(purchases()), SLOT, [POPULARITY])


def objective_on(split: Split, name: str) -> Objective:
    return Objective(find_family(name), split, fitted(find_family("popularity"), POPULARITY, split, 0), 0)


def trials_on(split: Split, name: str, settings: FamilySettings, count: int, seed: int = 1) -> list[Trial]:
    objective = objective_on(split, name)
    return list(search(objective, settings, space_of(objective.family, settings, split), count, seed))


def outcomes(trials: Iterable[Trial]) -> list[tuple[str, list[float] | str]]:
    return [(one.settings.model_dump_json(), one.problem if one.ndcg is None else one.ndcg.to_list()) for one in trials]


SMALL_ALS = FamilySettings(
    window_days=30, parameters={"factors": 4, "regularization": 1.0, "alpha": 5.0, "iterations": 5}
)


def test_the_split_is_what_a_slot_on_the_first_day_of_the_holdout_would_train_on_and_be_judged_on(
    shop: Shop, split: Split
) -> None:
    """Computed by `features/training_set` for comparison: same recipe, so what is tuned is what is trained."""
    view = VIEWS["training_set"]
    rows = shop(purchases()).compute(view, HOLDOUT - timedelta(days=1), HOLDOUT - timedelta(days=1))
    train, hits = (rows.filter(pl.col("split") == name) for name in ("train", "holdout"))
    assert (split.window.holdout, split.window.last) == (TUNED_FROM, HOLDOUT - timedelta(days=1))
    assert not hits.is_empty()
    columns = ["user_id", "item_id", "day", "weight"]
    assert (
        split.holdout.histories.within(split.train_days).rows.sort(columns).equals(train.select(columns).sort(columns))
    )
    assert split.holdout.hits.sort("user_id", "item_id").equals(
        hits.select("user_id", "item_id").sort("user_id", "item_id")
    )


def test_nothing_in_the_holdout_or_later_changes_anything_in_the_trials(shop: Shop, split: Split) -> None:
    known = [event for event in purchases() if event[0] < HOLDOUT]
    later = [
        *((HOLDOUT, f"user {user:02}", "purchase", "a0") for user in range(40)),
        *((HOLDOUT, user, "refund", item) for day, user, _, item in known if day > date(2026, 1, 20)),
        *((SLOT - timedelta(days=1), "user 01", "view", f"b{item}") for item in range(10)),  # by now a machine
        (SLOT - timedelta(days=1), "nobody", "purchase", "a title of today"),
    ]
    accounts = [{"ds": HOLDOUT, "user_id": f"user {user:02}", "is_test": True} for user in range(0, 40, 4)]
    moment = datetime(2026, 2, 6, tzinfo=UTC)
    blocks = [
        {"ds": HOLDOUT, "user_id": f"user {user:02}", "target": "item", "target_id": "a1", "is_blocked": True,
         "changed_at": moment}
        for user in range(40)
    ]  # fmt: skip
    other = split_of(shop([*known, *later], accounts, blocks), SLOT, [POPULARITY])
    first, second = (trials_on(one, "als", SMALL_ALS, 5) for one in (split, other))
    assert outcomes(first) == outcomes(second)
    assert all(trial.mean for trial in first)


def test_what_happens_in_the_split_itself_does_change_the_trials(shop: Shop, split: Split) -> None:
    events = [*purchases(), *((TUNED_FROM, f"user {user:02}", "purchase", "a0") for user in range(0, 40, 2))]
    other = split_of(shop(events), SLOT, [POPULARITY])
    first, second = (outcomes(trials_on(one, "als", SMALL_ALS, 1)) for one in (split, other))
    assert first != second


def test_the_first_trial_is_the_configuration_and_the_same_seed_gives_the_same_trials(split: Split) -> None:
    trials = trials_on(split, "als", SMALL_ALS, 6)
    assert trials[0].settings == SMALL_ALS
    assert outcomes(trials) == outcomes(trials_on(split, "als", SMALL_ALS, 6))
    assert outcomes(trials[1:]) != outcomes(trials_on(split, "als", SMALL_ALS, 6, seed=2)[1:])


def test_the_best_trial_is_set_against_the_configuration_on_the_same_users(split: Split) -> None:
    trials = trials_on(split, "als", SMALL_ALS, 8)
    found = compared(trials, seed=1)
    assert found is not None
    means = [trial.mean for trial in trials if trial.mean is not None]
    assert (found.now, found.best.mean) == (trials[0], max(means))
    assert found.change is not None
    assert found.change.estimate == pytest.approx(max(means) / means[0] - 1)
    assert found.change.low <= found.change.estimate <= found.change.high
    assert all(interval is not None and interval[0] < interval[1] for interval in found.intervals.values())


def test_among_equally_good_trials_the_configuration_stays(split: Split) -> None:
    (first,) = trials_on(split, "popularity", POPULARITY, 1)
    same = Trial(FamilySettings(window_days=7), first.ndcg)
    found = compared([first, same], seed=1)
    assert found is not None
    assert found.best is first


def test_settings_that_cannot_be_fitted_are_trials_without_a_model_and_the_search_goes_on(split: Split) -> None:
    settings = FamilySettings(window_days=30, parameters={"max_items": 19})
    trials = trials_on(split, "ease", settings, 12)
    assert trials[0].mean is None
    assert "max_items is 19" in trials[0].problem
    assert any(trial.mean is not None for trial in trials), "fewer days have fewer items"
    found = compared(trials, seed=1)
    assert found is not None
    assert (found.now.ndcg, found.change, found.intervals["now"]) == (None, None, None)


def test_where_nothing_can_be_fitted_nothing_is_best(split: Split) -> None:
    trials = trials_on(split, "ease", FamilySettings(parameters={"max_items": 1}), 3)
    assert compared(trials, seed=1) is None


def test_what_was_tried_already_is_not_fitted_again(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    monkeypatch.setattr(Objective, "__call__", lambda _, settings: fits.append(settings) or Trial(settings, None, "no"))
    trials = trials_on(split, "popularity", POPULARITY, 60)
    assert len(trials) == 60
    assert len({one.model_dump_json() for one in fits}) == len(fits) < 60


@pytest.mark.parametrize(("name", "is_personal"), [("popularity", False), ("als", True), ("sequential", True)])
def test_the_windows_are_always_tried_and_the_history_where_it_matters(
    name: str, is_personal: bool, split: Split
) -> None:
    space = space_of(find_family(name), FamilySettings(), split)
    assert space["window_days"] == Among((7, 14, 365))  # there are 29 days to fit on
    assert ("history_days" in space) == is_personal
    assert "parameters.half_life_days" in space


def test_the_space_includes_whatever_is_configured(split: Split) -> None:
    settings = FamilySettings(window_days=21, history_days=90, parameters={"factors": 300, "half_life_days": 45})
    space = space_of(find_family("als"), settings, split)
    assert space["window_days"] == Among((7, 14, 30, 21))
    assert space["history_days"] == Among((None, 7, 14, 90))
    assert space["parameters.factors"] == Between(16, 300, is_log=True)
    assert values_of(find_family("als"), settings, space)["parameters.half_life_days"] == 45.0


def test_a_slot_without_days_before_its_tuning_days_is_refused(shop: Shop) -> None:
    with pytest.raises(TooLittleHistoryError, match="no days left to tune on: history begins on 2026-01-01"):
        split_of(shop(purchases()), date(2026, 1, 15), [POPULARITY])


def test_days_that_are_not_ingested_are_named_with_what_to_do(shop: Shop) -> None:
    store = shop(purchases(), ingested=(FIRST, date(2026, 1, 31)))
    with pytest.raises(TooLittleHistoryError, match=r"5 of the days until 2026-02-05 .* first of them 2026-02-01; run"):
        split_of(store, SLOT, [POPULARITY])


def test_a_split_without_users_is_refused_with_its_days(shop: Shop) -> None:
    quiet = [event for event in purchases() if event[0] < TUNED_FROM]
    with pytest.raises(TooLittleHistoryError, match=r"nobody to tune on.*from 2026-01-30 to 2026-02-05; choose"):
        split_of(shop(quiet), SLOT, [POPULARITY])


def test_only_days_before_the_split_are_looked_at(split: Split) -> None:
    assert split.holdout.histories.rows["day"].max() == TUNED_FROM - timedelta(days=1)


def test_no_more_days_are_fitted_on_than_training_may_see_whatever_the_window(
    shop: Shop, tiny_platform: Platform
) -> None:
    training = tiny_platform.training.model_copy(update={"train_days": 15})
    platform = tiny_platform.model_copy(update={"training": training})
    short = split_of(shop(purchases(), platform=platform), SLOT, [POPULARITY])
    settings = FamilySettings(window_days=365, parameters={"half_life_days": None})
    model = fitted(find_family("popularity"), settings, short, 0)
    assert short.train_days == 8
    bought = [item for day, _, _, item in purchases() if TUNED_FROM - timedelta(days=8) <= day < TUNED_FROM]
    assert dict(zip(model.item_ids, model.arrays()["popularity"], strict=True)) == Counter(bought)
    assert short.holdout.histories.rows["day"].min() == FIRST, "but a history may reach further back"
