"""The specification that people read is the one that the graph is made of."""

from pathlib import Path

import pytest

from recsys_assets.features.pages import all_as_markdown, overview, page_of
from recsys_assets.features.view import FeatureView
from recsys_assets.features.views import VIEWS
from recsys_assets.platform import BUNDLED_CONFIG, Platform, load_platform

DOCUMENT = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_stored_document_is_what_the_command_prints() -> None:
    """Write it anew with `recsys features --markdown > docs/features.md`."""
    assert DOCUMENT.read_text(encoding="utf-8") == all_as_markdown(load_platform(BUNDLED_CONFIG)) + "\n"


def test_every_view_has_a_line_and_a_page_with_all_of_its_columns(tiny_platform: Platform) -> None:
    assert [row[0] for row in overview().rows] == list(VIEWS)
    for view in VIEWS.values():
        page = page_of(view, tiny_platform)
        assert [row[0] for row in page.grids[0].rows] == view.table.schema.names()
        assert {row[0] for grid in page.grids if grid.title == "Rules" for row in grid.rows} == {
            rule.__name__ for rule in view.rules
        }


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_a_page_says_who_owns_the_view_how_fresh_it_is_and_how_long_a_value_lives(
    view: FeatureView, tiny_platform: Platform
) -> None:
    facts = dict(page_of(view, tiny_platform).facts)
    assert facts.keys() >= {"keys", "kept", "window", "time to live", "freshness", "made of", "version", "owner"}
    assert all(facts.values())
