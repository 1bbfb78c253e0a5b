"""The reference of the model families: each family's hyper-parameters as a page, from their declarations alone."""

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from recsys_assets.features.pages import Grid, Page, as_markdown
from recsys_assets.models.catalogue import available_families
from recsys_assets.models.family import Family
from recsys_assets.models.search import WINDOWS, as_text, searched
from recsys_assets.platform import FamilySettings, Gate

BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
NESTED = ("parameters", "gate")
"""Settings that have a grid of their own."""


def settings_page() -> Page:
    """What can be said about every family."""
    windows = ", ".join(map(str, WINDOWS))
    tried = {"window_days": windows, "history_days": f"null, {windows}"}
    grids = (
        Grid("Settings", *_grid(FamilySettings, tried)),
        Grid("Thresholds of the gate, under `gate`", *_grid(Gate, {})),
    )
    facts = (("configured under", "`families.NAME`"),)
    return Page("Every family", "What `recsys.yaml` can say about a family, whichever it is.", facts, grids)


def page_of(family: Family) -> Page:
    """The page of one family."""
    tried = {name: str(search) for name, search in searched(family.parameters).items()}
    facts = (
        ("configured under", f"`families.{family.name}.parameters`"),
        ("fitted on", f"the newest `families.{family.name}.window_days` days"),
        ("tuned by", f"`recsys tune {family.name}`"),
    )
    grid = Grid("Hyper-parameters", *_grid(family.parameters, tried))
    told = inspect.getdoc(inspect.getmodule(family.fit)) or ""
    return Page(family.name, told.split("\n\n")[0].replace("\n", " "), facts, (grid,))


def all_as_markdown() -> str:
    """The whole reference for a documentation site."""
    pages = [settings_page(), *(page_of(family) for family in available_families().values())]
    return "\n\n".join(["# Model families", *(as_markdown(page) for page in pages)])


def _grid(model: type[BaseModel], tried: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Heads and rows: each field with its default, what it may be, what `recsys tune` tries, and what it means."""
    fields = model.model_json_schema()["properties"]
    rows = tuple(
        (name, as_text(field.get("default")), _may_be(field), tried.get(name, ""), field.get("description", ""))
        for name, field in fields.items()
        if name not in NESTED
    )
    return ("key", "default", "may be", "tuned over", "meaning"), rows


def _may_be(field: Mapping[str, Any]) -> str:
    """The type and the bounds, in words."""
    if "anyOf" in field:
        return ", or ".join(_may_be(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    bounds = [f"{words} {field[key]:g}" for key, words in BOUNDS.items() if key in field]
    return " ".join([TYPES[field["type"]], " and ".join(bounds)]).strip()
