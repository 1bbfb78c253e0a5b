"""The plots on the page of a day: SVG whose text stays text, in the colours of whatever page holds them.

Pure. Each is drawn as wide as a phone, so that its words can be read there; more of them stand side by side elsewhere.
Matplotlib takes a while to import, so it is imported where it is used. `svg` makes its output part of a page.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from recsys_assets.columns import POOLED
from recsys_assets.look import percent
from recsys_assets.monitoring.dashboard_data import (
    FIGURE_WORDS,
    ArmFigure,
    Decision,
    Estimate,
    IntakeDay,
    Judged,
    OnlineRow,
)
from recsys_assets.monitoring.svg import CARD, HUE, INK, LINE, SOFT, Words, part_of_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT, PAD = 3.6, 2.1, 0.02
"""Inches of 72 units: 259 units of the picture are some 330 dots on a phone."""
TEXT = 9.0
MARKERS = "osD^v"
"""Versions that serve on the same days, as arms of an experiment, differ by these."""
TICKS = 4
NAME_ROOM = 0.1
"""Share of the width that the name of a version takes."""
STEP = 0.18
"""Of a day: how far apart versions of the same day stand."""
NEWEST_SLOTS = 16
ENOUGH_IMPRESSIONS = 100
PERCENT = 100
Rate = tuple[OnlineRow, Estimate]
"""A day of a version, and its click-through rate."""


def online_plot(family: str, rows: Sequence[OnlineRow], rollbacks: Sequence[Decision]) -> str:
    """The click-through rate of a family by day and version, with intervals.

    Args:
        family: The family, or `final`.
        rows: Its rows, the oldest day first; those that are not `drawable` are left out.
        rollbacks: When a version of it was taken back.

    Returns:
        The SVG; empty where no day has enough.
    """
    known = drawable(rows)
    if not known:
        return ""
    name = "whole lists" if family == POOLED else family
    versions = list(dict.fromkeys(row.version for row, _ in known))
    with _axes() as (axes, drawn):
        names: dict[date, list[str]] = {}
        for place, version in enumerate(versions):
            for stretch in stretches(known, version):
                _points(axes, stretch, MARKERS[place % len(MARKERS)], aside=STEP * (place % 2))
                if version is not None:
                    names.setdefault(stretch[0][0].day, []).append(f"v{version}")
        _names_above(axes, names)
        for rollback in rollbacks:
            axes.axvline(_at(rollback.known) + 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
        _days(axes, [row.day for row, _ in known])
        _from_zero(axes, [rate for _, rate in known], is_share=True)
    (first, was), (last, now) = known[0], known[-1]
    rates = [rate.value for _, rate in known]
    told = f"From {percent(was.value)} on {_day(first.day)} to {percent(now.value)} on {_day(last.day)}"
    bounds = f"; lowest {percent(min(rates))}, highest {percent(max(rates))}."
    served = f" Versions {', '.join(v for v in versions if v)}." if family != POOLED else ""
    back = "".join(f" Version {one.previous} was taken back on {_day(one.known)}." for one in rollbacks)
    words = Words(f"online-{family}", f"Click-through rate of {name} by day", told + bounds + served + back)
    return part_of_page(drawn.getvalue(), words)


def drawable(rows: Sequence[OnlineRow]) -> list[Rate]:
    """The days of which enough was shown for a click-through rate that can be drawn; the others are noise.

    Args:
        rows: Of one family, the oldest day first.
    """
    enough = (row for row in rows if row.impressions >= ENOUGH_IMPRESSIONS)
    return [(row, row.figures["ctr"]) for row in enough if "ctr" in row.figures]


def slots_plot(family: str, reports: Sequence[Judged]) -> str:
    """NDCG at 10 by slot, with intervals; what the gate refused is hollow.

    Args:
        family: The family, or `final`.
        reports: Its reports, the oldest slot first; of a slot, the newest version counts.

    Returns:
        The SVG; empty where no slot had users.
    """
    by_slot = {one.slot: (one, one.ndcg) for one in reports if one.ndcg is not None}
    newest = [by_slot[slot] for slot in sorted(by_slot)][-NEWEST_SLOTS:]
    if not newest:
        return ""
    with _axes() as (axes, drawn):
        _line(axes, [_at(one.slot) for one, _ in newest], [ndcg for _, ndcg in newest])
        for one, ndcg in newest:
            _point(axes, _at(one.slot), ndcg, "o", is_hollow=one.is_passed is False)
        _days(axes, [one.slot for one, _ in newest])
        _from_zero(axes, [ndcg for _, ndcg in newest], is_share=False)
    name = "the final lists" if family == POOLED else family
    (first, was), (last, now) = newest[0], newest[-1]
    refused = [_day(one.slot) for one, _ in newest if one.is_passed is False]
    told = f"From {was.value:.4f} in the slot of {_day(first.slot)} to {now.value:.4f} in that of {_day(last.slot)}."
    told += f" Refused: {', '.join(refused)}." if refused else ""
    return part_of_page(drawn.getvalue(), Words(f"slots-{family}", f"NDCG at 10 of {name} by slot", told))


def intake_plot(days: Sequence[IntakeDay]) -> str:
    """Events that came in by day: accepted, and above them those that were set aside.

    Args:
        days: The oldest first.

    Returns:
        The SVG; empty where nothing came.
    """
    if not any(one.accepted + one.rejected for one in days):
        return ""
    places = [_at(one.day) for one in days]
    accepted, rejected = [one.accepted for one in days], [one.rejected for one in days]
    with _axes() as (axes, drawn):
        axes.bar(places, accepted, width=0.72, color=HUE)
        axes.bar(places, rejected, width=0.72, bottom=accepted, color=CARD, edgecolor=HUE, linewidth=0.9)
        _days(axes, [one.day for one in days])
        axes.set_ylim(0, max(one.accepted + one.rejected for one in days) * 1.08)
        axes.yaxis.set_major_locator(_few())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    told = f"{accepted[-1]:,} accepted and {rejected[-1]:,} set aside on {_day(days[-1].day)}; at most "
    told += f"{max(accepted):,} and {max(rejected):,} on one day since {_day(days[0].day)}."
    return part_of_page(drawn.getvalue(), Words("intake", "Events that came in by day", told))


def differences_plot(figures: Sequence[ArmFigure]) -> str:
    """How far each metric of each arm lies from the control's, with the interval that is valid on all days at once.

    Args:
        figures: Of an experiment, those of the control among them.

    Returns:
        The SVG; empty where there is no difference yet.
    """
    known = [(one, one.change) for one in figures if one.change is not None and one.change.has_interval]
    if not known:
        return ""
    with _axes(height=0.75 + 0.42 * len(known)) as (axes, drawn):
        axes.axvline(0, color=SOFT, linewidth=0.9)
        for place, (one, change) in enumerate(reversed(known)):
            ends = [PERCENT * (change.low or 0.0), PERCENT * (change.high or 0.0)]
            axes.plot(ends, [place, place], color=HUE, linewidth=2.2, alpha=0.55, solid_capstyle="round")
            is_certain = one.verdict in ("higher", "lower")
            axes.plot([PERCENT * change.value], [place], "o", ms=5.5, mfc=HUE if is_certain else CARD, mec=HUE)
        names = [f"{FIGURE_WORDS[one.metric]}\n{one.arm}" for one, _ in reversed(known)]
        axes.set_yticks(range(len(known)), names, linespacing=1.25)
        axes.set_ylim(-0.6, len(known) - 0.4)
        axes.xaxis.set_major_locator(_few())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0f} %" if value else "0")
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x", color=LINE, linewidth=0.7)
    told = "; ".join(
        f"{FIGURE_WORDS[one.metric]} of {one.arm}: {percent(change.value)}, "
        f"from {percent(change.low or 0.0)} to {percent(change.high or 0.0)}"
        for one, change in known
    )
    return part_of_page(drawn.getvalue(), Words("differences", "Change of each arm against the control", f"{told}."))


@contextmanager
def _axes(height: float = HEIGHT) -> Iterator[tuple["Axes", io.StringIO]]:
    """Axes to draw on; when the context ends, the picture is written."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drawn = io.StringIO()
    with rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "page",
            "font.size": TEXT,
            "font.family": "sans-serif",
            "text.parse_math": False,  # a name is a name, also with a dollar in it
        }
    ):
        figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD))
        axes = figure.subplots()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(LINE)
        axes.tick_params(length=0, colors=SOFT, labelsize=TEXT, pad=4)
        axes.tick_params(axis="x", pad=7)
        axes.grid(visible=True, axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        yield axes, drawn
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def stretches(days: Sequence[Rate], version: str | None) -> list[list[Rate]]:
    """The days of one version, parted where it did not serve.

    Args:
        days: Of all versions, the oldest first.
        version: Which version.
    """
    every = sorted({row.day for row, _ in days})
    found: list[list[Rate]] = []
    for one in (one for one in days if one[0].version == version):
        place = every.index(one[0].day)
        if found and place and found[-1][-1][0].day == every[place - 1]:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _points(axes: "Axes", days: Sequence[Rate], marker: str, *, aside: float) -> None:
    """Days on end of one version; those to which something may still be credited are hollow."""
    _line(axes, [_at(row.day) + aside for row, _ in days], [rate for _, rate in days])
    for row, rate in days:
        _point(axes, _at(row.day) + aside, rate, marker, is_hollow=not row.is_final)


def _line(axes: "Axes", places: Sequence[float], estimates: Sequence[Estimate]) -> None:
    axes.plot(places, [one.value for one in estimates], color=HUE, linewidth=1.1, alpha=0.45)
    for place, one in zip(places, estimates, strict=True):
        if one.low is not None and one.high is not None:
            axes.plot([place, place], [one.low, one.high], color=HUE, linewidth=2.0, alpha=0.45, solid_capstyle="round")


def _point(axes: "Axes", place: float, one: Estimate, marker: str, *, is_hollow: bool) -> None:
    axes.plot([place], [one.value], marker, ms=4.6, mfc=CARD if is_hollow else HUE, mec=HUE, mew=1.1, clip_on=False)


def _names_above(axes: "Axes", names: Mapping[date, Sequence[str]]) -> None:
    """The versions that begin on a day above it, where there is room."""
    there, room = axes.get_xaxis_transform(), NAME_ROOM * ((max(names) - min(names)).days if names else 0)
    last = float("-inf")
    for day in sorted(names):
        if _at(day) - last >= room:
            said = ", ".join(names[day])
            axes.text(_at(day), 1.0, said, transform=there, color=INK, fontsize=TEXT, ha="center", va="bottom")
            last = _at(day)


def _days(axes: "Axes", days: Sequence[date]) -> None:
    """Name a few of the days, the first and the last among them."""
    there = sorted(set(days))
    count = min(TICKS, len(there))
    chosen = sorted({round(place * (len(there) - 1) / max(count - 1, 1)) for place in range(count)})
    axes.set_xticks([_at(there[place]) for place in chosen], [_day(there[place]) for place in chosen])
    axes.set_xlim(_at(there[0]) - 0.7, _at(there[-1]) + 0.7)


def _from_zero(axes: "Axes", estimates: Sequence[Estimate], *, is_share: bool) -> None:
    highest = max(max(one.value, one.high or 0.0) for one in estimates)
    axes.set_ylim(0, highest * 1.06 or 1.0)
    axes.yaxis.set_major_locator(_few())
    if is_share:
        axes.yaxis.set_major_formatter(lambda value, _: f"{PERCENT * value:g} %")


def _few() -> "MaxNLocator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10])


def _at(day: date) -> float:
    return float(day.toordinal())


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
