"""What every command prints with: a console as wide as the terminal, or wide enough where there is none."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 120


def screen() -> Console:
    """A console on standard output."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=WIDTH_WITHOUT_TERMINAL)


def as_cell(value: object) -> Text:
    """What came from outside, shown as it is: on one line, and never read as markup."""
    return Text("" if value is None else printable(" ".join(str(value).split())))


def printable(text: str) -> str:
    """The text with whatever is no printable character written as its number.

    A terminal obeys control characters, so that what was delivered could otherwise rewrite the screen.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain_table(title: str, *columns: str) -> Table:
    """A table with few lines, whose cells stay on one line where there is room."""
    table = Table(title=as_cell(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
