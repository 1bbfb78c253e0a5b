"""`recsys models FAMILY VERSION`: everything that is known of one version."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table

from recsys_assets.cli.decisions_table import decisions_table, moment
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import as_cell, plain_table
from recsys_assets.models.catalogue import find_family
from recsys_assets.registry.approval import APPROVED_AT
from recsys_assets.registry.facts import Facts, read_facts
from recsys_assets.registry.online import OnlineDay
from recsys_assets.registry.promotions import read_approval, read_decisions
from recsys_assets.validation.gate import Verdict
from resources.model_registry import ModelVersion


def show_version(installation: Installation, console: Console, family: str, number: int) -> None:
    """Print status, origin, figures, verdicts of a version, and every decision on it.

    Raises:
        RegistryError: There is no such version.
    """
    version = installation.model_registry.version(family, number)
    facts = read_facts(installation.lake, installation.model_registry, find_family(family), version)
    sections = {f"{family} version {number}": _status(installation, facts), **facts.origin}
    for heading, values in sections.items():
        console.print(as_cell(heading), style="bold")
        console.print(_aligned(values))
    _show_metrics(console, facts.metrics)
    _show_online(console, facts.online)
    _show_verdicts(console, facts.verdicts)
    concerning = [
        (family, one) for one in read_decisions(installation.instance, family) if number in (one.version, one.previous)
    ]
    if concerning:
        console.print(decisions_table("Decisions that concern it, the newest first", concerning))


def with_interval(metrics: Mapping[str, float], name: str) -> str:
    """A figure, with its interval where one was computed."""
    ends = [metrics.get(f"{name}_{end}") for end in ("low", "high")]
    if None in ends:
        return f"{metrics[name]:.6g}"
    return f"{metrics[name]:.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"


def figures(metrics: Mapping[str, float]) -> Iterator[str]:
    """Names of the figures; the ends of an interval belong to theirs."""
    for name in sorted(metrics, key=_in_reading_order):
        figure, _, end = name.rpartition("_")
        if end not in ("low", "high") or figure not in metrics:
            yield name


def _in_reading_order(name: str) -> list[tuple[bool, int, str]]:
    """Numbers in a name by their value: at 50 before at 200."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split("_")]


def _status(installation: Installation, facts: Facts) -> dict[str, str]:
    version = facts.version
    return {
        "status": f"{version.status}: {version.status_reason}",
        "in production": _in_production(installation, version),
        **_approval(version),
        "trained": version.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        "artifact": facts.artifact_is,
        "MLflow run": version.run_id,
    }


def _in_production(installation: Installation, version: ModelVersion) -> str:
    in_use = installation.model_registry.approved(version.family)
    if in_use is None or in_use.version != version.version:
        return "no"
    approval = read_approval(installation.instance, version.family)
    is_recorded = approval is not None and approval.version == version.version
    return (
        f"since {moment(approval.since)}" if approval is not None and is_recorded else "yes, since when is not recorded"
    )


def _approval(version: ModelVersion) -> dict[str, str]:
    if APPROVED_AT not in version.tags:
        return {}
    at = datetime.fromisoformat(version.tags[APPROVED_AT]).timestamp()
    return {"approved": f"{moment(at)} by {version.tags.get('approved_by', 'nobody knows')}"}


def _aligned(values: Mapping[str, str]) -> Table:
    """Names and values in two columns, and a line of space."""
    grid = Table.grid(padding=(0, 2, 0, 2))
    for name, value in values.items():
        grid.add_row(as_cell(name), as_cell(value))
    grid.add_row("")
    return grid


def _show_metrics(console: Console, metrics: Mapping[str, float]) -> None:
    table = plain_table("Figures on the holdout, with 95 % intervals", "figure", "value")
    for name in figures(metrics):
        table.add_row(name, with_interval(metrics, name))
    console.print(table if metrics else "No figures: it was never validated.")


def _show_online(console: Console, online: OnlineDay | None) -> None:
    if online is None:
        console.print("No figures with real users: it was never shown, or nothing says to whom.")
        return
    table = plain_table(f"With real users on {online.in_words}, with 95 % intervals", "figure", "value")
    for name in figures(online.figures):
        table.add_row(name, with_interval(online.figures, name))
    console.print(table)


def _show_verdicts(console: Console, verdicts: list[Verdict]) -> None:
    columns = ("check", "passed", "actual", "threshold", "detectable drop", "verdict")
    table = plain_table("Verdicts of the gate", *columns)
    for one in verdicts:
        numbers = (one.actual, one.threshold, one.smallest_detectable_drop)
        cells = (one.check, "yes" if one.passed else "NO", *map(_number, numbers), one.sentence)
        table.add_row(*(as_cell(cell) for cell in cells))
    console.print(table if verdicts else "No verdicts: it was never judged, and cannot be approved.")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
