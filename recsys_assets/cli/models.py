"""`recsys models`: what is in production, what waits, what was refused and why."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from recsys_assets.cli.installation import Installation
from resources.model_registry import ModelVersion
from sensors.state import Approval, read_approval

SHOWN_METRICS = ("ndcg_at_10", "recall_at_10", "hit_rate_at_10", "catalogue_coverage")
COLOURS = {"Approved": "green", "Rejected": "red", "PendingManualApproval": "yellow"}


def models_command() -> None:
    """Print every family's versions, the newest first."""
    Console().print(versions_table(Installation.from_env()))


def versions_table(installation: Installation) -> Table:
    """Families, versions, status, metrics, and since when a version is in production."""
    table = Table(title="Model versions", title_justify="left")
    for column in ("family", "version", "slot", "status", "in production since", *SHOWN_METRICS, "reason"):
        table.add_column(column.replace("_at_", "@").replace("_", " "), overflow="fold")
    registry = installation.model_registry
    for family in installation.platform.families:
        in_use = registry.approved(family)
        approval = read_approval(installation.instance, family)
        for version in registry.versions(family):
            is_in_use = in_use is not None and in_use.version == version.version
            since = _since(approval, version) if is_in_use else ""
            metrics = registry.metrics(version)
            table.add_row(
                family,
                str(version.version),
                str(version.slot),
                f"[{COLOURS[version.status]}]{version.status}[/]",
                since,
                *(f"{metrics[name]:.4f}" if name in metrics else "" for name in SHOWN_METRICS),
                version.status_reason,
            )
    return table


def _since(approval: Approval | None, version: ModelVersion) -> str:
    if approval is None or approval.version != version.version:
        return "now"
    return datetime.fromtimestamp(approval.since).astimezone().strftime("%Y-%m-%d %H:%M")
