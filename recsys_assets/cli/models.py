"""`recsys models`: what is in production, what waits, what was refused and why, and who decided what when."""

from collections.abc import Iterator, Mapping
from itertools import islice

from rich.console import Console

from recsys_assets.cli.decide import require_family
from recsys_assets.cli.decisions_table import decisions_table, moment
from recsys_assets.cli.installation import Installation
from recsys_assets.cli.model_diff import show_differences
from recsys_assets.cli.model_page import show_version
from recsys_assets.cli.screen import as_cell, plain_table, screen
from recsys_assets.registry.online import online_day
from recsys_assets.registry.promotions import read_approval, read_decisions
from resources.model_registry import ModelVersion

METRICS = {"ndcg_at_10": "NDCG@10", "recall_at_10": "recall@10", "catalogue_coverage": "coverage"}
ONLINE = "CTR online"
"""Of the newest day on which the version was shown."""
SHOWN_REFUSALS, SHOWN_DECISIONS = 5, 10
"""Per family, where all families are shown."""


def models_command(family: str | None, version: int | None, diff: tuple[str, int, int] | None) -> None:
    """Print every family's versions, those of one, the page of a version, or what differs between two.

    Raises:
        ConfigurationError: There is no such family.
        RegistryError: There is no such version.
    """
    installation = Installation.from_env()
    name = diff[0] if diff else family
    if name is not None:
        require_family(installation, name)
    if diff is not None:
        show_differences(installation, screen(), *diff)
    elif family is not None and version is not None:
        show_version(installation, screen(), family, version)
    else:
        show_versions(installation, screen(), family)


def show_versions(installation: Installation, console: Console, only: str | None = None) -> None:
    """Print what serves, what waits, what could be gone back to, what was refused, and the history of decisions.

    Args:
        installation: The installation.
        console: Where to.
        only: This family alone, with everything that was ever refused and decided.
    """
    families = [only] if only else list(installation.platform.families)
    versions = {family: installation.model_registry.versions(family) for family in families}
    if not any(versions.values()):
        console.print("No model has been trained yet; `recsys run` trains the newest slot whose days are there.")
        return
    serving = {family: installation.model_registry.approved(family) for family in families}
    in_use = {(family, one.version) for family, one in serving.items() if one is not None}
    others = [one for family in families for one in versions[family] if (family, one.version) not in in_use]
    _in_production(installation, console, serving)
    waiting = [one for one in others if one.status == "PendingManualApproval"]
    _listed(installation, console, "Waiting", waiting, "recsys approve FAMILY VERSION --reason WHY")
    former = [one for one in others if one.status == "Approved"]
    _listed(installation, console, "In production before", former, "recsys rollback FAMILY --to VERSION --reason WHY")
    refused = [one for one in others if one.status == "Rejected"]
    shown = refused if only else list(_newest_of_each(refused))
    _listed(installation, console, "Refused", shown, _how_many(len(shown), len(refused)))
    _history(installation, console, families, None if only else SHOWN_DECISIONS)


def _in_production(installation: Installation, console: Console, serving: Mapping[str, ModelVersion | None]) -> None:
    columns = ("family", "version", "slot", "since", "by", *METRICS.values(), ONLINE, "why")
    table = plain_table("In production now", *columns)
    for family, version in serving.items():
        if version is None:
            table.add_row(family, "none", *[""] * (len(columns) - 3), "the fallback's lists serve")
            continue
        approval = read_approval(installation.instance, family)
        recorded = approval if approval is not None and approval.version == version.version else None
        since = (moment(recorded.since), recorded.by) if recorded else ("not recorded", "")
        cells = (family, version.version, version.slot, *since, *_figures(installation, version), version.status_reason)
        table.add_row(*(as_cell(cell) for cell in cells))
    console.print(table)


def _listed(installation: Installation, console: Console, title: str, versions: list[ModelVersion], hint: str) -> None:
    """A table of versions with their reasons; none where there are no versions."""
    if not versions:
        return
    columns = ("family", "version", "slot", *METRICS.values(), ONLINE, "why")
    table = plain_table(f"{title} ({hint})" if hint else title, *columns)
    for one in versions:
        cells = (one.family, one.version, one.slot, *_figures(installation, one), one.status_reason)
        table.add_row(*(as_cell(cell) for cell in cells))
    console.print(table)


def _history(installation: Installation, console: Console, families: list[str], most: int | None) -> None:
    decisions = [
        (family, one) for family in families for one in islice(read_decisions(installation.instance, family), most)
    ]
    decisions.sort(key=lambda pair: pair[1].event_id, reverse=True)
    if decisions:
        console.print(decisions_table("Decisions, the newest first", decisions))


def _newest_of_each(versions: list[ModelVersion]) -> Iterator[ModelVersion]:
    for family in dict.fromkeys(one.family for one in versions):
        yield from islice((one for one in versions if one.family == family), SHOWN_REFUSALS)


def _how_many(shown: int, there: int) -> str:
    return "" if shown == there else f"{shown} of {there}; recsys models FAMILY shows all"


def _figures(installation: Installation, version: ModelVersion) -> list[str]:
    """The figures of the report, then those with real users."""
    metrics, online = installation.model_registry.metrics(version), online_day(version)
    return [
        *(f"{metrics[name]:.4f}" if name in metrics else "" for name in METRICS),
        f"{online.figures['ctr']:.4f}" if online is not None and "ctr" in online.figures else "",
    ]
