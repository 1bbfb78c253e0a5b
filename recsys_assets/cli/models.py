"""`recsys models`: what is in production, what waits, what was refused and why."""

from datetime import datetime

from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.screen import plain_table, screen
from recsys_assets.registry.promotions import Approval, read_approval
from resources.model_registry import ModelVersion

SHOWN_METRICS = {"ndcg_at_10": "NDCG@10", "recall_at_10": "recall@10", "catalogue_coverage": "coverage"}
COLOURS = {"Approved": "green", "Rejected": "red", "PendingManualApproval": "yellow"}


def models_command() -> None:
    """Print every family's versions."""
    show_versions(Installation.from_env(), screen())


def show_versions(installation: Installation, console: Console) -> None:
    """Print families, versions, status, metrics, and since when a version is in production; then the reasons."""
    columns = ("family", "version", "slot", "status", "in production since", *SHOWN_METRICS.values())
    table = plain_table("Model versions, the newest first", *columns)
    registry = installation.model_registry
    reasons = []
    for family in installation.platform.families:
        in_use = registry.approved(family)
        approval = read_approval(installation.instance, family)
        for version in registry.versions(family):
            is_in_use = in_use is not None and in_use.version == version.version
            metrics = registry.metrics(version)
            table.add_row(
                family,
                str(version.version),
                str(version.slot),
                f"[{COLOURS[version.status]}]{version.status}[/]",
                _since(approval, version) if is_in_use else "",
                *(f"{metrics[name]:.4f}" if name in metrics else "" for name in SHOWN_METRICS),
            )
            reasons.append(f"{family} {version.version}: {version.status_reason}")
    console.print(table)
    for reason in reasons:
        console.print(f"  {reason}", soft_wrap=True, markup=False)


def _since(approval: Approval | None, version: ModelVersion) -> str:
    if approval is None or approval.version != version.version:
        return "not recorded"
    return datetime.fromtimestamp(approval.since).astimezone().strftime("%Y-%m-%d %H:%M")
