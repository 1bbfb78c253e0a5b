"""Options and arguments that several commands share, with their checks. The commands are in `app`."""

from typing import Annotated

import typer

Users = Annotated[int, typer.Option(min=1, help="Users on the first day.")]
Items = Annotated[int, typer.Option(min=1, help="Books on the first day.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")]
FamilyName = Annotated[str, typer.Argument(help="The model family, such as als.")]
Version = Annotated[int, typer.Argument(min=1, help="The number of the version.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; default: your user name.")]


def said(reason: str) -> str:
    """A reason that says something."""
    if not reason.strip():
        raise typer.BadParameter("must say why")
    return reason


Why = Annotated[str, typer.Option("--reason", callback=said, help="Why, for the registry and the history.")]


def named(user_id: str) -> str:
    """An id that is one."""
    if not user_id.strip():
        raise typer.BadParameter("must name a user")
    return user_id
