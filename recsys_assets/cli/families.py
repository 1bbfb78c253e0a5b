"""`recsys families`: the model families that there are, and what can be configured about each."""

import typer

from recsys_assets.cli.features import show_page
from recsys_assets.cli.screen import screen
from recsys_assets.features.pages import as_markdown
from recsys_assets.models.catalogue import available_families, find_family
from recsys_assets.models.pages import all_as_markdown, page_of, settings_page


def families_command(name: str | None, *, markdown: bool) -> None:
    """Print the page of one family, or of all.

    Raises:
        ConfigurationError: There is no such family.
    """
    if markdown:
        typer.echo(as_markdown(page_of(find_family(name))) if name else all_as_markdown())
        return
    pages = [page_of(find_family(name))] if name else [settings_page(), *map(page_of, available_families().values())]
    for page in pages:
        show_page(screen(), page)
