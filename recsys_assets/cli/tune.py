"""`recsys tune FAMILY`: search hyper-parameters, and print what to paste into `recsys.yaml`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.columns import INTERACTION_DAYS
from recsys_assets.configuration import ConfigurationError
from recsys_assets.features.store import FeatureStore
from recsys_assets.features.training_set import TooLittleHistoryError
from recsys_assets.models.catalogue import configured_families
from recsys_assets.models.family import Family
from recsys_assets.models.search import Search, as_text
from recsys_assets.platform import FALLBACK_FAMILY, FamilySettings
from recsys_assets.slot_window import SlotWindow, days_between
from recsys_assets.validation.bootstrap import Interval
from recsys_assets.validation.tuning import (
    OF_A_PARAMETER,
    Comparison,
    Objective,
    Trial,
    as_yaml,
    compared,
    fitted,
    search,
    space_of,
    split_of,
    values_of,
)
from resources.lake import DeltaLake
from sensors.state import read_windows


def tune_command(name: str, trials: int, slot: date | None, seed: int) -> None:
    """Search the hyper-parameters of a family, configured or not, and tell the best.

    Raises:
        ConfigurationError: There is no such family or slot, or a hyper-parameter is wrong.
        TooLittleHistoryError: There is not enough history yet.
        typer.Exit: No trial gave a model.
    """
    installation = Installation.from_env()
    platform = installation.platform
    with_it = platform.model_copy(update={"families": {name: FamilySettings(), **platform.families}})
    families = configured_families(with_it)
    tuned, fallback = families[name], families[FALLBACK_FAMILY]
    windows = read_windows(platform, datetime.now(tz=UTC))
    chosen = _window_of(windows, slot) if slot else _newest_complete(windows, installation.lake, platform.first_day)

    store = FeatureStore(platform, installation.lake, installation.engine)
    split = split_of(store, chosen.slot, (tuned.settings, fallback.settings))
    popular = fitted(fallback.family, fallback.settings, split, platform.training.seed)
    objective = Objective(tuned.family, split, popular, platform.training.seed)
    space = space_of(tuned.family, tuned.settings, split)

    console = screen()
    window = split.window
    console.print(
        f"Tuning {name} for slot {chosen.slot}: fitted on days until {window.candidate_through}, judged on "
        f"{split.holdout.users.len():,} users of {window.holdout} to {window.last}; the holdout of the slot begins "
        f"on {chosen.holdout} and is not looked at.",
        soft_wrap=True,
    )
    ended = _with_progress(search(objective, tuned.settings, space, trials, seed), name, trials)
    _tell(console, tuned.family, space, ended, seed)


def _window_of(windows: Iterable[SlotWindow], slot: date) -> SlotWindow:
    """The days of the slot that was asked for."""
    slots = {window.slot: window for window in windows}
    if slot not in slots:
        near = sorted(slots, key=lambda one: abs(one - slot))[:3]
        known = f"; near it are {', '.join(map(str, sorted(near)))}" if near else "; there is none yet"
        raise ConfigurationError(f"--slot {slot} is no training slot{known}")
    return slots[slot]


def _newest_complete(windows: Iterable[SlotWindow], lake: DeltaLake, first: date) -> SlotWindow:
    """The newest slot whose days are ingested."""
    ingested = set(lake.scan(INTERACTION_DAYS).select("ds").collect()["ds"])
    complete = [window for window in windows if ingested.issuperset(days_between(first, window.last))]
    if not complete:
        raise TooLittleHistoryError(
            f"no training slot has all of its days ingested: {len(ingested)} days are; land more and run `recsys run` "
            "first (the first slot comes after training.min_history_days)"
        )
    return max(complete, key=lambda window: window.slot)


def _with_progress(trials: Iterable[Trial], name: str, count: int) -> list[Trial]:
    """Go through the trials and show how far they are; interrupted, those that have ended count."""
    console = Console(stderr=True, highlight=False, emoji=False)
    columns = (
        TextColumn("Tuning {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    ended: list[Trial] = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=count, best="")
        try:
            for trial in trials:
                ended.append(trial)
                best = max((one.mean for one in ended if one.mean is not None), default=None)
                told = "" if best is None else f"best NDCG@10 {best:.4f}"
                progress.update(task, advance=1, best=told)
                if not console.is_terminal:
                    console.print(f"trial {len(ended)} of {count}: {_figure(trial)}  {told}")
        except KeyboardInterrupt:
            console.print(f"interrupted after {len(ended)} of {count} trials")
    return ended


def _tell(console: Console, family: Family, space: Mapping[str, Search], ended: list[Trial], seed: int) -> None:
    """Print what did not fit, the comparison, and the block to paste."""
    problems = Counter(trial.problem for trial in ended if trial.problem)
    for problem, count in problems.most_common():
        console.print(f"{count} of {len(ended)} trials gave no model: {problem}", soft_wrap=True, markup=False)
    comparison = compared(ended, seed) if ended else None
    if comparison is None:
        console.print("No trial gave a model; there is nothing to paste.")
        raise typer.Exit(1)
    _show(console, family, space, comparison)
    console.print(_advice(family.name, comparison), soft_wrap=True)
    typer.echo(as_yaml(family.name, comparison.best.settings))


def _advice(name: str, comparison: Comparison) -> str:
    if comparison.best is comparison.now:
        return "Nothing that was tried is better than what is configured, which is:"
    if comparison.change is not None and comparison.change.low <= 0:
        doubt = "These users do not show that it is better: the change may be chance."
    else:
        doubt = "It was chosen on these very users, so expect a little less."
    return (
        f"{doubt} To try it, let this be the block of {name} in recsys.yaml: the next `recsys run` trains with it, and "
        "the report of the slot says what it is worth."
    )


def _show(console: Console, family: Family, space: Mapping[str, Search], comparison: Comparison) -> None:
    """A row for each thing that was tried, and for the figure that was reached."""
    table = plain_table(f"{family.name}: as configured, and the best trial", "", "configured", "best", "tried")
    now, best = (values_of(family, one.settings, space) for one in (comparison.now, comparison.best))
    for name, searched in space.items():
        label = name.removeprefix(OF_A_PARAMETER)
        table.add_row(label, *(as_cell(text) for text in (as_text(now[name]), as_text(best[name]), searched)))
    figures = (
        f"{_figure(trial)}{_between(comparison.intervals[which])}"
        for which, trial in (("now", comparison.now), ("best", comparison.best))
    )
    table.add_section()
    table.add_row("NDCG@10", *figures, "")
    if comparison.change is not None and comparison.best is not comparison.now:
        change = comparison.change
        table.add_row("change", "", f"{change.estimate:+.1%} ({change.low:+.1%} to {change.high:+.1%})", "")
    console.print(table)


def _figure(trial: Trial) -> str:
    return "no model" if trial.mean is None else f"{trial.mean:.4f}"


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval[0]:.4f} to {interval[1]:.4f})"
