"""Pages as Slack's Block Kit, within Slack's limits and with its signs escaped. What a page says stays out. Pure.

Limits: https://docs.slack.dev/reference/block-kit/blocks. More than fits is cut, and said to be cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from recsys_assets.features.pages import Grid, Page

MOST_BLOCKS = 50
TEXT_LENGTH, HEADER_LENGTH, FIELD_LENGTH, NOTIFICATION_LENGTH = 3_000, 150, 2_000, 1_000
MOST_FIELDS, MOST_ELEMENTS = 10, 10
CELL_LENGTH, URL_LENGTH = 120, 2_000
CUT = "…"
FENCE = "```"

Block = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """Where somebody may look further."""

    label: str
    url: str


def blocks_of(page: Page, links: Sequence[Link]) -> list[Block]:
    """A page as blocks: its name, its description, its facts side by side, its grids, and the links.

    Args:
        page: What to show.
        links: Shown last.
    """
    fields = [_field(name, value) for name, value in page.facts if value]
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(page.name, HEADER_LENGTH), "emoji": True}},
        *([_section(escaped(page.description, TEXT_LENGTH))] if page.description else []),
        *({"type": "section", "fields": list(some)} for some in _batches(fields, MOST_FIELDS)),
        *(_section(_monospaced(grid)) for grid in page.grids if grid.rows),
    ]
    elements = [_mrkdwn(_linked(link)) for link in links]
    last = [{"type": "context", "elements": list(some)} for some in _batches(elements, MOST_ELEMENTS)]
    return [*blocks[: MOST_BLOCKS - len(last)], *last]


def escaped(text: str, most: int) -> str:
    """The text with the three signs that Slack reads as its own replaced, in at most so many characters."""
    plain = cut(text, most)
    while len(slack := plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > most:
        plain = cut(plain, len(plain) - max((len(slack) - most) // 5, 1))
    return slack


def cut(text: str, most: int) -> str:
    """The text, or its beginning with a sign that there was more."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _mrkdwn(mrkdwn)}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _field(name: str, value: str) -> Block:
    return _mrkdwn(f"*{escaped(name, HEADER_LENGTH)}*\n{escaped(value, FIELD_LENGTH - HEADER_LENGTH - 10)}")


def _linked(link: Link) -> str:
    url = quote(link.url, safe=":/?#[]@!$&'()*+,;=%~-._").replace("&", "&amp;")
    label = escaped(link.label.replace("|", "/"), HEADER_LENGTH)
    return f"<{url}|{label}>" if len(url) <= URL_LENGTH else label


def _monospaced(grid: Grid) -> str:
    """A grid as aligned text, by as many rows as fit."""
    cells = [[cut(cell, CELL_LENGTH).replace("`", "'") for cell in row] for row in (grid.columns, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        escaped("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), TEXT_LENGTH)
        for row in cells
    ]
    title = f"*{escaped(grid.title, HEADER_LENGTH)}*\n"
    kept = list(_fitting(lines, TEXT_LENGTH - len(title) - 2 * len(FENCE) - 40))
    more = f"\nand {len(lines) - len(kept)} more" if len(kept) < len(lines) else ""
    return title + FENCE + "\n".join(kept) + FENCE + more


def _fitting(lines: Sequence[str], most: int) -> Iterator[str]:
    """As many lines from the first on as fit into so many characters."""
    for line in lines:
        most -= len(line) + 1
        if most < 0:
            return
        yield line


def _batches(things: Sequence[Block], size: int) -> Iterator[Sequence[Block]]:
    return (things[start : start + size] for start in range(0, len(things), size))
