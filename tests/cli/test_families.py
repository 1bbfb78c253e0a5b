"""The reference of the model families is made of their own declarations."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys_assets.cli.app import app
from recsys_assets.models.catalogue import available_families
from recsys_assets.models.pages import all_as_markdown, page_of, settings_page
from recsys_assets.platform import FamilySettings, Gate

OURS = ("als", "ease", "graph_filter", "item_item", "popularity", "sequential")
DOCUMENT = Path(__file__).parents[2] / "docs" / "families.md"


def test_every_page_of_the_stored_document_is_what_the_command_prints() -> None:
    """Write it anew with `recsys families --markdown > docs/families.md`; a family of your own need not be in it."""
    stored, printed = (text.strip().split("\n\n## ") for text in (DOCUMENT.read_text("utf-8"), all_as_markdown()))
    assert set(stored) <= set(printed)
    assert [page.split("\n")[0] for page in stored] == ["# Model families", "Every family", *OURS]


@pytest.mark.parametrize("name", available_families())
def test_every_hyper_parameter_of_every_family_has_a_default_what_it_may_be_and_a_meaning(name: str) -> None:
    family = available_families()[name]
    page = page_of(family)
    (grid,) = page.grids
    assert page.description
    assert [row[0] for row in grid.rows] == list(family.parameters.model_fields)
    assert all(default and may_be and meaning for _, default, may_be, _, meaning in grid.rows)


def test_the_settings_of_every_family_are_there_with_their_meaning() -> None:
    settings, gate = settings_page().grids
    assert {row[0] for row in settings.rows} == set(FamilySettings.model_fields) - {"parameters", "gate"}
    assert {row[0] for row in gate.rows} == set(Gate.model_fields)
    assert all(row[-1] for grid in (settings, gate) for row in grid.rows)


@pytest.mark.parametrize(
    ("arguments", "there", "elsewhere"),
    [
        (["als"], "factors", "reach_steps"),
        (["als", "--markdown"], "| factors | 64 |", "reach_steps"),
        ([], "ease", "?"),
    ],
)
def test_the_command_shows_one_family_or_all(arguments: list[str], there: str, elsewhere: str) -> None:
    shown = CliRunner().invoke(app, ["families", *arguments])
    assert shown.exit_code == 0
    assert there in shown.output
    assert elsewhere not in shown.output
