"""Searching hyper-parameters, on a split of its own: the days directly before the holdout of a slot.

Trials are fitted on the days before the split and judged as the gate judges, by NDCG at 10 on hits. Nothing is read
that was not known on the day before the holdout, so the report of the slot stays a judgement of days that nobody has
looked at. What may be tried is declared beside the hyper-parameters; printing stays in `cli.tune`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from recsys_assets.columns import INTERACTION_DAYS
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import TooLittleHistoryError
from recsys_assets.models.artifact import is_finite
from recsys_assets.models.family import HISTORY_SCHEMA, CannotFitError, Family, Interactions, Model
from recsys_assets.models.search import WINDOWS, Among, Search, including, searched, searched_windows
from recsys_assets.platform import FamilySettings
from recsys_assets.slot_window import SlotWindow, days_between, slot_window
from recsys_assets.validation.bootstrap import Interval, mean_intervals
from recsys_assets.validation.comparison import Change, relative_change
from recsys_assets.validation.evaluation import Holdout, lists_for
from recsys_assets.validation.segments import accuracy

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

JUDGED_RANKS = 10
METRIC = f"ndcg_at_{JUDGED_RANKS}"
OF_A_PARAMETER = "parameters."
UNFIT = (CannotFitError, ArithmeticError, MemoryError, RuntimeError, ValueError)
"""What a fit may raise because of its hyper-parameters; anything else is a mistake in the family's code."""


@dataclass(frozen=True)
class Split:
    """What trials are fitted and judged on.

    Attributes:
        window: The days, as those of a slot that lies on the first day of the holdout.
        holdout: Histories as far back as a trial may look, and what users took in the split.
        days: Days of history that there are.
        train_days: Those of them that may be fitted on.
    """

    window: SlotWindow
    holdout: Holdout
    days: int
    train_days: int


@dataclass(frozen=True)
class Trial:
    """One try.

    Attributes:
        settings: What was tried.
        ndcg: NDCG at 10 of each user of the split, in their order; None where no model could be fitted.
        problem: Why not.
    """

    settings: FamilySettings
    ndcg: pl.Series | None
    problem: str = ""

    @property
    def mean(self) -> float | None:
        """The mean over users: what is maximized."""
        return None if self.ndcg is None else float(self.ndcg.to_numpy().mean())


@dataclass(frozen=True)
class Objective:
    """How a trial is fitted and judged.

    Attributes:
        family: What is tuned.
        split: On which rows.
        fallback: A fitted model of the fallback family: its lists stand in for missing ones, as when serving.
        seed: Of each fit, the same as in training.
    """

    family: Family
    split: Split
    fallback: Model
    seed: int

    def __call__(self, settings: FamilySettings) -> Trial:
        """Fit and judge; a family that cannot be fitted so is a result too."""
        try:
            model = fitted(self.family, settings, self.split, self.seed)
        except UNFIT as error:
            return Trial(settings, None, str(error) or type(error).__name__)
        holdout, users = self.split.holdout, self.split.holdout.users
        lists = lists_for(model, self.fallback, holdout, settings.ranked_days, users, n=JUDGED_RANKS)
        return Trial(settings, accuracy(lists, holdout.hits, users, JUDGED_RANKS)[METRIC])


@dataclass(frozen=True)
class Comparison:
    """The configuration as it is, against the best trial, on the same users.

    Attributes:
        now: The first trial.
        best: The best one; the first of those that are equally good.
        intervals: Of the mean NDCG at 10 of `now` and `best`, by name.
        change: From `now` to `best`; None where nothing can be compared.
    """

    now: Trial
    best: Trial
    intervals: Mapping[str, Interval | None]
    change: Change | None


def split_of(store: FeatureStore, slot: date, settings: Sequence[FamilySettings]) -> Split:
    """Read the split of a slot: its tuning days lie directly before its holdout, and are as many.

    Args:
        store: Where features are read.
        slot: The training slot.
        settings: Of the families that will be fitted and ranked with: histories reach as far back as they need.

    Raises:
        TooLittleHistoryError: Days are missing, or there is nobody to judge by.
    """
    window = slot_window(store.platform, slot_window(store.platform, slot).holdout)
    _require_days(store, slot, window)
    through = window.candidate_through
    longest = max(*WINDOWS, *(max(one.window_days, one.ranked_days) for one in settings))
    days = (through - store.platform.first_day).days + 1
    holdout = Holdout(
        histories=Interactions(store.history(through, min(longest, days)), through),
        hits=store.hits(window.holdout, window.last).select("user_id", "item_id"),
        exclusions=store.read("exclusions", through),
        eligible=store.read("eligible_items", through),
    )
    if holdout.users.is_empty():
        raise TooLittleHistoryError(
            f"slot {slot} has nobody to tune on: no user did something until {through} and took something new from "
            f"{window.holdout} to {window.last}; choose a later slot, or ingest these days"
        )
    return Split(window, holdout, days, (through - window.first).days + 1)


def fitted(family: Family, settings: FamilySettings, split: Split, seed: int) -> Model:
    """Fit a family on the days before the split, as a candidate is fitted on those before the holdout.

    Raises:
        Exception: One of UNFIT, where these hyper-parameters do not give a usable model.
    """
    parameters = family.parameters.model_validate(settings.parameters)
    rows = split.holdout.histories.within(min(settings.window_days, split.train_days))
    model = family.fit(rows, parameters, seed)
    if not is_finite(model):
        raise CannotFitError(f"{family.name}: the fit gave numbers that are not finite")
    return model


def space_of(family: Family, settings: FamilySettings, split: Split) -> dict[str, Search]:
    """What is tried: the windows, and every hyper-parameter that declares it; never narrower than the configuration.

    Args:
        family: What is tuned.
        settings: As it is configured.
        split: What trials are fitted and judged on.

    Returns:
        `window_days`, `history_days` (of a family that looks at histories), and `parameters.NAME`, each with what to
        try.
    """
    space: dict[str, Search] = {"window_days": searched_windows(split.train_days, settings.window_days)}
    if _looks_at_histories(family, settings):
        space["history_days"] = Among((None, *searched_windows(split.days, settings.ranked_days).values))
    space |= {OF_A_PARAMETER + name: search for name, search in searched(family.parameters).items()}
    return including(space, values_of(family, settings, space))


def values_of(family: Family, settings: FamilySettings, space: Mapping[str, Search]) -> dict[str, Any]:
    """What settings say about each key of the space, defaults included."""
    parameters = family.parameters.model_validate(settings.parameters)
    return {
        name: getattr(parameters, name.removeprefix(OF_A_PARAMETER))
        if name.startswith(OF_A_PARAMETER)
        else getattr(settings, name)
        for name in space
    }


def search(
    objective: Objective, settings: FamilySettings, space: Mapping[str, Search], trials: int, seed: int
) -> Iterator[Trial]:
    """Try settings, the configured ones first, then what the tree-structured Parzen estimator proposes.

    Source: Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, as in
    Optuna. The same seed gives the same trials; what was tried already is not fitted again.

    Args:
        objective: Fits and judges.
        settings: As the family is configured.
        space: What may be tried.
        trials: How many, the first one included.
        seed: Of the proposals.

    Yields:
        Each trial as soon as it has ended.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # trials are told by the caller
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    configured = values_of(objective.family, settings, space)
    study.enqueue_trial(configured)
    distributions = {name: _distribution(search) for name, search in space.items()}
    known: dict[str, Trial] = {}
    for _ in range(trials):
        asked = study.ask(distributions)
        chosen = settings if asked.params == configured else _with(settings, space, asked.params)
        key = chosen.model_dump_json()
        trial = known[key] = known.get(key) or objective(chosen)
        is_unfit = trial.mean is None
        study.tell(asked, trial.mean, state=optuna.trial.TrialState.PRUNED if is_unfit else None)
        yield trial


def compared(trials: Sequence[Trial], seed: int) -> Comparison | None:
    """Set the best trial against the first one; None where no trial gave a model.

    Args:
        trials: In their order.
        seed: Of the bootstrap.
    """
    best = max(trials, key=lambda trial: -1.0 if trial.mean is None else trial.mean)  # the first of equal ones
    now = trials[0]
    if best.ndcg is None:
        return None
    per_user = pl.DataFrame({"now": best.ndcg if now.ndcg is None else now.ndcg, "best": best.ndcg})
    intervals = mean_intervals(per_user, seed) | ({"now": None} if now.ndcg is None else {})
    change = None if now.ndcg is None else relative_change(best.ndcg, now.ndcg, seed)
    return Comparison(now, best, intervals, change)


def as_yaml(name: str, settings: FamilySettings) -> str:
    """The family's block of `recsys.yaml`, with everything that is not as by default."""
    said = settings.model_dump(mode="json", exclude_defaults=True)
    block = {"window_days": settings.window_days, **said}
    return yaml.safe_dump({"families": {name: block}}, sort_keys=False, default_flow_style=None, width=110)


def _require_days(store: FeatureStore, slot: date, window: SlotWindow) -> None:
    """Make sure that there are days to fit on, and that all days are ingested."""
    first = store.platform.first_day
    if window.candidate_through < first:
        raise TooLittleHistoryError(
            f"slot {slot} has no days left to tune on: history begins on {first}, its tuning days on {window.holdout}; "
            "choose a later slot"
        )
    ingested = set(store.lake.scan(INTERACTION_DAYS).select("ds").collect()["ds"])
    missing = [day for day in days_between(first, window.last) if day not in ingested]
    if missing:
        raise TooLittleHistoryError(
            f"slot {slot} cannot be tuned for: {len(missing)} of the days until {window.last} are not ingested, the "
            f"first of them {missing[0]}; run `recsys run` first"
        )


def _looks_at_histories(family: Family, settings: FamilySettings) -> bool:
    """Whether the lists of the family depend on histories; a model of nothing says so, and costs nothing."""
    nothing = Interactions(pl.DataFrame(schema=HISTORY_SCHEMA), date.min)
    return family.fit(nothing, family.parameters.model_validate(settings.parameters), 0).is_personal


def _with(settings: FamilySettings, space: Mapping[str, Search], tried: Mapping[str, Any]) -> FamilySettings:
    """The settings with what is tried, written as a person would write it."""
    windows: dict[str, Any] = {}
    parameters = dict(settings.parameters)
    for name, search in space.items():
        place = parameters if name.startswith(OF_A_PARAMETER) else windows
        place[name.removeprefix(OF_A_PARAMETER)] = search.rounded(tried[name])
    return settings.model_copy(update={**windows, "parameters": parameters})


def _distribution(search: Search) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(search, Among):
        return CategoricalDistribution(search.values)
    if search.is_whole:
        return IntDistribution(int(search.low), int(search.high), log=search.is_log)
    return FloatDistribution(search.low, search.high, log=search.is_log)
