"""Dirty rows: each can be recognised for what it is, and the good rows do not notice them."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from recsys_assets.simulation.days import Chance, simulated_days
from recsys_assets.simulation.dirt import SPOILERS, soiled
from recsys_assets.simulation.landing_files import LandingDay


def kind_of(line: str, day: str) -> str | None:
    """What is wrong with a row, by rules of this test's own; None where nothing is."""
    fields = line.split(",")
    if len(fields) != 6:
        return "too_few_fields" if len(fields) < 6 else "too_many_fields"
    user, book, action, at, pieces, price = fields
    complaints = {
        "missing_user": not user,
        "missing_book": not book,
        "unparseable_time": "T" not in at,
        "unknown_action": action == "clicked??",
        "non_numeric_pieces": not pieces.lstrip("-").isdigit(),
        "negative_pieces": pieces.startswith("-"),
        "negative_price": price.startswith("-"),
        "another_day": "T" in at and not at.startswith(day),
        "gift_card": book.startswith("GIFT-"),
    }
    found = [kind for kind, is_so in complaints.items() if is_so]
    assert len(found) <= 1, f"{line} is spoiled in more than one way"
    return found[0] if found else None


def test_dirty_rows_of_each_kind_are_in_the_files_as_often_as_the_summary_says(store) -> None:
    counts = dict.fromkeys(SPOILERS, 0)
    seen = set()
    for day, line in store.lines:
        kind = "duplicate" if (day, line) in seen else kind_of(line, day)
        if kind is None:
            seen.add((day, line))
        else:
            counts[kind] += 1
    assert counts == store.summary.dirty_rows
    assert min(counts.values()) > 0


def test_dirty_rows_are_about_as_many_as_asked_for(store, parameters) -> None:
    share = sum(store.summary.dirty_rows.values()) / sum(store.summary.events.values())
    assert 0.8 * parameters.dirty_row_share < share < 1.2 * parameters.dirty_row_share


def test_every_good_row_stays_in_its_place_among_the_dirty_ones() -> None:
    good = [f"U{row:06},B{row:07},view,2026-01-05T00:{row // 60:02}:{row % 60:02},1," for row in range(1_000)]
    rows, counts = soiled(good, 0.5, Chance.of_day(0, 0).dirt)
    assert len(rows) == len(good) + sum(counts.values())
    assert [row for row in dict.fromkeys(rows) if kind_of(row, "2026-01-05") is None] == good


def test_events_do_not_depend_on_how_many_dirty_rows_there_are(parameters, tmp_path: Path) -> None:
    files = LandingDay(tmp_path, date(2026, 1, 5), 0)
    clean, dirty = (
        files.event_lines(next(simulated_days(replace(parameters, dirty_row_share=share))).events)
        for share in (0.0, 0.5)
    )
    assert clean == dirty
