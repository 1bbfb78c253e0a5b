"""Decisions on versions as `recsys models` shows them, in all of its forms."""

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table

from recsys_assets.cli.screen import as_cell, plain_table
from recsys_assets.registry.promotions import Decided


def decisions_table(title: str, decisions: Iterable[tuple[str, Decided]]) -> Table:
    """Pairs of family and decision, with who decided and why."""
    table = plain_table(title, "when", "family", "decision", "version", "before", "by", "why")
    for family, one in decisions:
        cells = (moment(one.since), family, one.kind, one.version or "none", one.previous or "none", one.by, one.reason)
        table.add_row(*(as_cell(cell) for cell in cells))
    return table


def moment(seconds: float) -> str:
    """Seconds since 1970 as day and time of this machine."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
