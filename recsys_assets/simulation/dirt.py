"""Rows that spoil the event files: what real exports contain and no mapping may accept.

Each is a copy of a good row, spoiled in one way and put behind it, so the good rows all stay.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

Fields = list[str]
Spoiler = Callable[[Fields, np.random.Generator], Fields]
_USER, _BOOK, _ACTION, _AT, _PIECES, _PRICE = range(6)


def soiled(lines: list[str], share: float, rng: np.random.Generator) -> tuple[list[str], Counter[str]]:
    """Put dirty rows among the good rows of one file.

    Args:
        lines: The good rows: user, book, action, at, pieces and price, joined by commas.
        share: How many dirty rows to add, as a share of the good ones.
        rng: The day's source of chance for dirt.

    Returns:
        All rows, and how many dirty ones there are of each kind.
    """
    count = int(rng.binomial(len(lines), share))
    spoiled = np.sort(rng.choice(len(lines), size=count, replace=False)).tolist()
    kinds = [list(SPOILERS)[kind] for kind in rng.integers(len(SPOILERS), size=count)]
    rows, done = [], 0
    for place, kind in zip(spoiled, kinds, strict=True):
        rows += lines[done : place + 1]
        rows.append(",".join(SPOILERS[kind](lines[place].split(","), rng)))
        done = place + 1
    return rows + lines[done:], Counter(kinds)


def _with(place: int, text: str) -> Spoiler:
    return lambda fields, _: [*fields[:place], text, *fields[place + 1 :]]


def _on_another_day(fields: Fields, rng: np.random.Generator) -> Fields:
    day, time = fields[_AT].split("T")
    other_day = date.fromisoformat(day) - timedelta(days=int(rng.integers(2, 10)))
    return _with(_AT, f"{other_day}T{time}")(fields, rng)


def _gift_card(fields: Fields, rng: np.random.Generator) -> Fields:
    return _with(_BOOK, f"GIFT-{rng.integers(10, 100)}")(fields, rng)


SPOILERS: dict[str, Spoiler] = {
    "missing_user": _with(_USER, ""),
    "missing_book": _with(_BOOK, ""),
    "unparseable_time": _with(_AT, "yesterday around noon"),
    "unknown_action": _with(_ACTION, "clicked??"),
    "non_numeric_pieces": _with(_PIECES, "two"),
    "negative_pieces": _with(_PIECES, "-1"),
    "negative_price": _with(_PRICE, "-4.99"),
    "another_day": _on_another_day,
    "duplicate": lambda fields, _: fields,
    "gift_card": _gift_card,
    "too_few_fields": lambda fields, _: fields[: _ACTION + 1],
    "too_many_fields": lambda fields, _: [*fields, "summer-campaign"],
}
"""The kinds of dirty rows: each takes the fields of a good row and returns those of the bad one."""
