"""`recsys experiment`: how the arms of an experiment do with users, and whether that is certain."""

import math
from datetime import date

from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.columns import USER_OUTCOMES
from recsys_assets.configuration import ConfigurationError, near
from recsys_assets.experiments import unusable_versions
from recsys_assets.monitoring.arm_comparison import Difference, Estimate
from recsys_assets.monitoring.experiment_report import METRICS, ExperimentReport, report_on_experiment

METRIC_NAMES = {"ctr": "CTR", "cvr": "CVR", "revenue_per_impression": "revenue per impression", "ndcg": "NDCG"}
VERDICTS = {
    "higher": "certainly higher",
    "lower": "certainly lower",
    "open": "not decided yet",
    "too few": "too few users to say",
}


def experiment_command(name: str) -> None:
    """Print the arms of an experiment, whether they hold the users that they should, and how they differ.

    Raises:
        ConfigurationError: There is no such experiment.
    """
    installation = Installation.from_env()
    experiments = installation.platform.experiments
    if name not in experiments:
        known = f"one of {', '.join(experiments)}{near(name, experiments)}" if experiments else "none is configured"
        raise ConfigurationError(f"{name!r} is no experiment in recsys.yaml; {known}")
    experiment = experiments[name]
    until = experiment.last_day or date.max
    outcomes = installation.lake.scan(USER_OUTCOMES, (experiment.first_day, until))
    report = report_on_experiment(name, experiment, outcomes, until)
    show_report(screen(), report)
    for sentence in _wrong_versions(installation, name):
        screen().print(as_cell(f"Not served as configured: {sentence}."), style="bold red")


def show_report(console: Console, report: ExperimentReport) -> None:
    """Print a report."""
    if report.first_day is None:
        console.print(as_cell(f"Nobody has been shown a list of {report.name} yet, or that day has not been ingested."))
        return
    control = next(iter(report.shares))
    title = f"{report.name}, {report.first_day} to {report.last_day}; the control is {control}"
    arms = plain_table(title, "arm", "share", "users", *(METRIC_NAMES[metric] for metric in METRICS))
    for arm, share in report.shares.items():
        figures = (_figure(report.estimates[metric, arm]) for metric in METRICS)
        arms.add_row(*(as_cell(cell) for cell in (arm, f"{share:.0%}", f"{report.users[arm]:,}", *figures)))
    console.print(arms)
    _say_who_is_in_it(console, report)
    columns = ("metric", "arm", "difference", "95 % interval today", "change", "valid on all days at once", "verdict")
    table = plain_table(f"Against {control}", *columns)
    for (metric, arm), found in report.differences.items():
        table.add_row(*(as_cell(cell) for cell in (METRIC_NAMES[metric], arm, *_difference(found))))
    console.print(table)
    console.print(
        "Decide by the last two columns: they hold however often you look, so an experiment may end as soon as they "
        "say so. The interval of today holds only on one day that was chosen before the experiment began.",
        style="dim",
    )


def _say_who_is_in_it(console: Console, report: ExperimentReport) -> None:
    total = sum(report.users.values())
    seen = ", ".join(f"{arm} {users / max(total, 1):.1%}" for arm, users in report.users.items())
    if report.has_mismatch:
        console.print(
            as_cell(
                f"Sample ratio mismatch (p = {report.mismatch:.2g}): {seen}. The arms do not hold the users that they "
                "should; find out why before you believe any difference."
            ),
            style="bold red",
        )
    else:
        console.print(as_cell(f"The arms hold the users that they should: {seen} (p = {report.mismatch:.2g})."))
    if report.moved:
        console.print(as_cell(f"{report.moved:,} users were seen in several arms and are left out."), style="yellow")
    console.print()


def _wrong_versions(installation: Installation, name: str) -> list[str]:
    """What is wrong with the versions that the arms name; MLflow, which takes seconds, is asked only if any do."""
    arms = installation.platform.experiments[name].arms
    named = {family for arm in arms.values() for family in arm.versions or {}}
    statuses = {
        (family, one.version): one.status for family in named for one in installation.model_registry.versions(family)
    }
    return unusable_versions(arms, lambda family, version: statuses.get((family, version)))


def _figure(one: Estimate) -> str:
    if math.isnan(one.value):
        return ""
    low, high = one.interval
    return f"{one.value:.4f}" if math.isnan(low) else f"{one.value:.4f} ({low:.4f} to {high:.4f})"


def _difference(found: Difference) -> tuple[str, ...]:
    low, high = found.interval
    difference = "" if math.isnan(found.difference) else f"{found.difference:+.4f}"
    today = "" if math.isnan(low) else f"{low:+.4f} to {high:+.4f}"
    change = "" if math.isnan(found.change) else f"{found.change:+.1%}"
    always = "" if found.always is None else f"{found.always[0]:+.1%} to {found.always[1]:+.1%}"
    return difference, today, change, always, VERDICTS[found.verdict]
