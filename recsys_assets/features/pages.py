"""The specification of a view as a page: what a model's author reads instead of code. Printing stays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recsys_assets.columns import UTC_MOMENT
from recsys_assets.features.checks import BLOCKING, checks_of
from recsys_assets.features.view import FeatureView, Rule
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import Platform


@dataclass(frozen=True)
class Grid:
    """A table of a page.

    Attributes:
        title: What it shows.
        columns: The heads.
        rows: The cells.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Page:
    """A view, in words.

    Attributes:
        name: The view.
        description: What a row is.
        facts: Name to value, in the order to be shown.
        grids: Its columns, rules and checks.
    """

    name: str
    description: str
    facts: tuple[tuple[str, str], ...]
    grids: tuple[Grid, ...]


def overview() -> Grid:
    """One row per view."""
    rows = tuple((view.name, ", ".join(view.entity), _kept(view), view.table.description) for view in VIEWS.values())
    return Grid("Feature views", ("view", "keys", "kept", "what a row is"), rows)


def page_of(view: FeatureView, platform: Platform) -> Page:
    """The page of one view."""
    has_catalogue = "items" in platform.sources
    facts = (
        ("table", view.table.name if view.is_stored else "none: computed from the stored lists whenever it is read"),
        ("keys", ", ".join(view.entity)),
        ("kept", _kept(view)),
        ("window", _window(view)),
        ("time to live", f"{view.ttl_days} days: for so long a value may stand in for a newer one in a join"),
        ("freshness", _freshness(view, platform)),
        ("made of", ", ".join(table.name for table in view.inputs) or "recommendations of every family"),
        ("version", view.version),
        ("owner", platform.owner),
    )
    columns = tuple(
        (column.name, _type(column.dtype), column.unit, column.description, _lineage(column.derived_from))
        for column in view.table.columns
    )
    rules = tuple((rule.__name__, _first_sentence(rule)) for rule in view.rules)
    checks = tuple(
        (name, "blocks" if name in BLOCKING else "warns", meaning)
        for name, meaning in (checks_of(view, has_catalogue=has_catalogue) if view.is_stored else {}).items()
    )
    grids = (
        Grid("Columns", ("column", "type", "unit", "meaning", "from"), columns),
        Grid("Rules", ("rule", "meaning"), rules),
        Grid("Checks", ("check", "if it fails", "meaning"), checks),
    )
    return Page(view.name, view.table.description, facts, tuple(grid for grid in grids if grid.rows))


def as_markdown(page: Page) -> str:
    """The page for a documentation site."""
    facts = "\n".join(f"- **{name}**: {value}" for name, value in page.facts)
    return "\n\n".join([f"## {page.name}", page.description, facts, *(_markdown_grid(grid) for grid in page.grids)])


def all_as_markdown(platform: Platform) -> str:
    """The whole specification for a documentation site: the list of the views, and the page of each."""
    pages = (as_markdown(page_of(view, platform)) for view in VIEWS.values())
    return "\n\n".join(["# Feature views", _markdown_rows(overview()), *pages])


def _markdown_grid(grid: Grid) -> str:
    return f"### {grid.title}\n\n{_markdown_rows(grid)}"


def _markdown_rows(grid: Grid) -> str:
    rows = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (grid.columns, *grid.rows)]
    rows.insert(1, " | ".join("---" for _ in grid.columns))
    return "\n".join(f"| {row} |" for row in rows)


def _kept(view: FeatureView) -> str:
    if not view.is_stored:
        return "not kept"
    what = "changes" if view.keeps == "changes" else "state"
    return "per training slot" if view.partitions == "slot" else f"per day: {what}"


def _window(view: FeatureView) -> str:
    if view.partitions == "slot":
        return "as many days as are trained on"
    if view.window_days is None:
        return "everything up to the day"
    return "the day" if view.window_days == 1 else f"{view.window_days} days"


def _type(dtype: Any) -> str:
    return "Datetime, UTC" if dtype == UTC_MOMENT else str(dtype)


def _lineage(derived_from: Sequence[str]) -> str:
    """Source columns, each table named once: `features/interactions: purchases, quantity`."""
    by_table: dict[str, list[str]] = {}
    for source in derived_from:
        table, _, column = source.rpartition(".")
        by_table.setdefault(table, []).append(column)
    return "; ".join(f"{table}: {', '.join(columns)}" for table, columns in by_table.items())


def _freshness(view: FeatureView, platform: Platform) -> str:
    if view.partitions == "slot" or not view.is_stored:
        return "as old as its slot" if view.partitions == "slot" else "as old as the lists"
    if platform.last_day is not None:
        return "a replay of old data is never fresh"
    return f"each day by {platform.freshness.features_by:%H:%M} of the day after it"


def _first_sentence(rule: Rule) -> str:
    return (rule.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
