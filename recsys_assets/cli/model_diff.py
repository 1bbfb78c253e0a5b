"""`recsys models --diff FAMILY V1 V2`: only what differs, then the lists that both give to the same users."""

from collections.abc import Mapping
from itertools import zip_longest

import polars as pl
from rich.console import Console

from recsys_assets.cli.installation import Installation
from recsys_assets.cli.model_page import figures, with_interval
from recsys_assets.cli.screen import as_cell, plain_table
from recsys_assets.features.store import FeatureStore
from recsys_assets.models.catalogue import configured_families
from recsys_assets.registry.facts import UNKNOWN, Facts, differing, read_facts
from recsys_assets.registry.side_by_side import SideBySide, side_by_side
from recsys_assets.validation.evaluation import OVERLAP_AT

SHOWN_ITEMS = 10
TITLE_WIDTH = 46


def show_differences(installation: Installation, console: Console, family: str, first: int, second: int) -> None:
    """Print what differs between two versions of a family, and ten users' lists of both side by side.

    Raises:
        RegistryError: There is no such version.
    """
    configured = configured_families(installation.platform)[family]
    registry = installation.model_registry
    found = [registry.version(family, number) for number in (first, second)]
    facts = [read_facts(installation.lake, registry, configured.family, version) for version in found]
    _show_facts(console, *facts)
    _show_metrics(console, "Figures that differ", facts, [one.metrics for one in facts])
    _show_online(console, facts)
    _show_verdicts(console, *facts)
    models = [one.artifact.model for one in facts if one.artifact is not None]
    if len(models) < len(facts):
        for one in facts:
            if one.artifact is None:
                console.print(as_cell(f"No lists to compare: {one.artifact_is}"))
        return
    store = FeatureStore(installation.platform, installation.lake, installation.engine)
    lists = side_by_side(store, configured, *models)
    if lists is None:
        console.print("No lists to compare: nobody has a history yet.")
        return
    _show_lists(console, lists, store.catalogue(lists.as_of), facts)


def _show_facts(console: Console, first: Facts, second: Facts) -> None:
    title = f"What differs between versions of {first.version.family}"
    table = plain_table(title, "kind", "what", *_headings(first, second))
    kinds = {"status": [{"status": one.version.status, "artifact": one.artifact_is} for one in (first, second)]}
    kinds |= {kind: [dict(one.origin[kind]) for one in (first, second)] for kind in first.origin}
    for kind, (one, other) in kinds.items():
        for cells in differing(one, other):
            table.add_row(*(as_cell(cell) for cell in (kind, *cells)))
    same = [kind for kind, pair in kinds.items() if not differing(*pair)]
    if table.row_count:
        console.print(table)
    if same:
        console.print(f"  the same in both: {', '.join(same)}")


def _show_metrics(console: Console, title: str, facts: list[Facts], metrics: list[Mapping[str, float]]) -> None:
    table = plain_table(title, "figure", *_headings(*facts), "difference")
    names = dict.fromkeys(name for each in metrics for name in figures(each))
    for name in names:
        one, other = (each.get(name) for each in metrics)
        if one != other:
            values = [with_interval(each, name) if name in each else UNKNOWN for each in metrics]
            change = "" if one is None or other is None else f"{other - one:+.4g}{_relative(one, other)}"
            table.add_row(name, *values, change)
    if table.row_count:
        console.print(table)


def _show_online(console: Console, facts: list[Facts]) -> None:
    """Of versions that served at different times, the day of each is said: users and seasons differ too."""
    days = [one.online.in_words if one.online is not None else "never" for one in facts]
    if days != ["never", "never"]:
        title = f"Figures with real users that differ, shown on {' and '.join(days)}"
        _show_metrics(console, title, facts, [one.online.figures if one.online is not None else {} for one in facts])


def _show_verdicts(console: Console, first: Facts, second: Facts) -> None:
    said = [
        {one.check: f"{'passed' if one.passed else 'FAILED'}: {one.sentence}" for one in each.verdicts}
        for each in (first, second)
    ]
    table = plain_table("Verdicts that differ", "check", *_headings(first, second))
    for cells in differing(*said):
        table.add_row(*(as_cell(cell) for cell in cells))
    if table.row_count:
        console.print(table)


def _show_lists(console: Console, lists: SideBySide, titles: pl.DataFrame, facts: list[Facts]) -> None:
    names = {item: f"{title or item}" for item, title in titles.select("item_id", "title").iter_rows()}
    headings = _headings(*facts)
    for user in lists.users:
        first, second = lists.first.get(user, []), lists.second.get(user, [])
        table = plain_table(f"User {user}", "#", headings[0], headings[1], f"place in {headings[0]}")
        for place, pair in enumerate(zip_longest(first[:SHOWN_ITEMS], second[:SHOWN_ITEMS]), start=1):
            was = str(first.index(pair[1]) + 1) if pair[1] in first else "" if pair[1] is None else "new"
            cells = (place, *("" if item is None else _short(names.get(item, item)) for item in pair), was)
            table.add_row(*(as_cell(cell) for cell in cells))
        empty = [heading for heading, items in zip(headings, (first, second), strict=True) if not items]
        console.print(table)
        if empty:
            console.print(f"  no list of its own by {' and '.join(empty)}: this user gets the popular one")
    share = "nobody has both lists" if lists.overlap is None else f"{lists.overlap:.0%} on average"
    console.print(
        f"In common of the first {OVERLAP_AT} items: {share}, over {lists.overlap_users:,} users with a history up to "
        f"{lists.as_of}. What is `new` is not among the first {OVERLAP_AT} of {headings[0]}."
    )


def _headings(first: Facts, second: Facts) -> list[str]:
    return [f"version {one.version.version}" for one in (first, second)]


def _relative(one: float, other: float) -> str:
    return f" ({(other - one) / abs(one):+.1%})" if one else ""


def _short(title: str) -> str:
    return title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 1]}…"
