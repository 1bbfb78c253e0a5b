"""The picture of the story: the click-through rate by day and version, with its interval, and what was decided when."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from recsys_assets.registry.promotions import Decided

COLOURS = ("#1f6f8b", "#c8553d", "#588157", "#6a4c93", "#bc6c25")


def draw(days: pl.DataFrame, decisions: Sequence[Decided], path: Path) -> None:
    """Write the picture as a PNG.

    Args:
        days: ds, version, ctr, ctr_low, ctr_high.
        decisions: On the family, within these days.
        path: Where to.
    """
    from matplotlib.dates import DateFormatter, date2num
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, ((version,), rows) in enumerate(days.group_by("version", maintain_order=True)):
        colour = COLOURS[number % len(COLOURS)]
        low, high = rows["ctr"] - rows["ctr_low"], rows["ctr_high"] - rows["ctr"]
        axes.errorbar(
            rows["ds"].to_list(),
            rows["ctr"].to_list(),
            yerr=[low.fill_null(0.0).to_list(), high.fill_null(0.0).to_list()],
            fmt="o-",
            capsize=3,
            color=colour,
            label=f"version {version}",
        )
    for decision in decisions:
        if decision.kind == "rollback":
            day = date2num(date.fromisoformat(decision.as_of))  # type: ignore[no-untyped-call]
            axes.axvline(day, color="#555555", linestyle="--", linewidth=1)
            axes.annotate(
                f"{decision.by} goes back\nto version {decision.version}",
                (day, axes.get_ylim()[1]),
                xytext=(4, -4),
                textcoords="offset points",
                va="top",
                fontsize=8,
            )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))  # type: ignore[no-untyped-call]
    axes.set_ylabel("clicks per place shown")
    axes.set_title("What readers did with the lists (95 % intervals, readers as units)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
