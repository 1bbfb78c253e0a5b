"""The pictures of a report: figures from the frames of `curves`, as PNG. What the frames hold is computed there.

Matplotlib takes a while to import, so it is imported where it is used; and by its objects, never by `pyplot`, which
keeps figures in global state. Colours are those of Okabe & Ito, which people with colour blindness can tell apart;
markers and dashes say the same again.
"""

import base64
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from recsys_assets.validation.curves import LENGTHS, PURCHASES, SHOWN_AT, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = Callable[["Axes"], None]
PANEL_INCHES = (3.6, 2.8)
DOTS_PER_INCH = 110
FONT_SIZE = 8
NEWEST_SLOTS = 40
SLOTS_NAMED = 4
COLOURS = 64


class Style(NamedTuple):
    """How a curve looks."""

    color: str
    dashes: str
    marker: str


STYLES = (
    Style("#0072B2", "-", "o"),
    Style("#D55E00", "--", "s"),
    Style("#009E73", ":", "^"),
    Style("#CC79A7", "-.", "D"),
)
"""In the order of the curves: what is judged comes first."""
OF_USERS = Style("#000000", "-", "")


def ndcg_by_k_figure(curves: Curves) -> "Figure":
    """NDCG by the length of the list."""
    return _figure(partial(_draw_by_k, by_k=curves.by_k))


def ndcg_by_slot_figure(curves: Curves) -> "Figure":
    """NDCG at 10 by slot, with its intervals."""
    return _figure(partial(_draw_by_slot, by_slot=curves.by_slot))


def popularity_bias_figure(curves: Curves) -> "Figure":
    """How much of what is shown falls to popular items, and how much of what users took."""
    return _figure(partial(_draw_shares, shares=curves.shares))


def report_figure(curves: Curves) -> "Figure":
    """All pictures side by side."""
    return _figure(
        partial(_draw_by_k, by_k=curves.by_k),
        partial(_draw_by_slot, by_slot=curves.by_slot),
        partial(_draw_shares, shares=curves.shares),
    )


def write_pictures(curves: Curves, folder: Path) -> None:
    """Write each picture as a PNG file: ndcg_by_k, ndcg_by_slot, popularity_bias.

    Args:
        curves: What they show.
        folder: Where to; it exists.
    """
    for name, figure in (
        ("ndcg_by_k", ndcg_by_k_figure(curves)),
        ("ndcg_by_slot", ndcg_by_slot_figure(curves)),
        ("popularity_bias", popularity_bias_figure(curves)),
    ):
        (folder / f"{name}.png").write_bytes(png(figure))


def png(figure: "Figure") -> bytes:
    """The figure as a PNG image, with so few colours that it is small enough for a database."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()


def embedded(image: bytes, meaning: str) -> str:
    """Markdown that holds the image itself.

    Args:
        image: PNG.
        meaning: What it shows, for whoever cannot see it.
    """
    return f"![{meaning}](data:image/png;base64,{base64.b64encode(image).decode()})"


def _figure(*panels: Panel) -> "Figure":
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    width, height = PANEL_INCHES
    with rc_context({"font.size": FONT_SIZE, "axes.titlesize": FONT_SIZE + 1}):
        figure = Figure(figsize=(width * len(panels), height), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False).flat, strict=True):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3, linewidth=0.5)
            panel(axes)
    return figure


def _draw_by_k(axes: "Axes", by_k: pl.DataFrame) -> None:
    axes.set(title="NDCG by list length", xlabel="list length k", ylabel="NDCG at k", xscale="log")
    if _is_empty(axes, by_k):
        return
    for (who, points), style in zip(_curves(by_k), STYLES, strict=False):
        axes.plot(points["k"], points["ndcg"], style.dashes, color=style.color, marker=style.marker, ms=3, label=who)
    axes.set_xticks(LENGTHS, [str(length) for length in LENGTHS], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _draw_by_slot(axes: "Axes", by_slot: pl.DataFrame) -> None:
    axes.set(title="NDCG at 10 by slot, 95 % interval", xlabel="slot", ylabel="NDCG at 10")
    if _is_empty(axes, by_slot):
        return
    newest, style = by_slot.tail(NEWEST_SLOTS), STYLES[0]
    mean, low, high = (newest[name].to_numpy() for name in ("ndcg_at_10", "ndcg_at_10_low", "ndcg_at_10_high"))
    axes.errorbar(
        newest["ds"].to_list(),
        mean,
        # A percentile interval need not hold the mean itself.
        yerr=((mean - low).clip(min=0), (high - mean).clip(min=0)),
        fmt=style.dashes + style.marker,
        color=style.color,
        ms=3,
        capsize=2,
        elinewidth=0.8,
    )
    axes.set_ylim(bottom=0)
    ticks = newest["ds"].gather(_spaced(newest.height, SLOTS_NAMED)).to_list()
    axes.set_xticks(ticks, [str(slot) for slot in ticks])


def _draw_shares(axes: "Axes", shares: pl.DataFrame) -> None:
    axes.set(
        title="Popularity bias",
        xlabel="the most popular items",
        ylabel=f"share of the first {SHOWN_AT} places",
        xscale="log",
    )
    if _is_empty(axes, shares):
        return
    curves = [one for one in _curves(shares) if one[0] != PURCHASES]
    taken = shares.filter(pl.col("who") == PURCHASES)
    for (who, points), style in zip(curves, STYLES, strict=False):
        axes.plot(points["items"], points["share"], style.dashes, color=style.color, label=who)
    if taken.height:
        axes.plot(taken["items"], taken["share"], OF_USERS.dashes, color=OF_USERS.color, linewidth=1, label=PURCHASES)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False)


def _curves(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Each curve with its name, in order."""
    return [(str(who), points) for (who,), points in frame.group_by("who", maintain_order=True)]


def _spaced(count: int, most: int) -> list[int]:
    """Up to `most` of `count` places, evenly spaced, the first and the last among them."""
    wanted = min(count, most)
    return [round(place * (count - 1) / max(wanted - 1, 1)) for place in range(wanted)]


def _is_empty(axes: "Axes", frame: pl.DataFrame) -> bool:
    """Whether there is nothing to draw; if so, the picture says it."""
    if frame.is_empty():
        axes.text(0.5, 0.5, "nobody to judge by", transform=axes.transAxes, ha="center", va="center")
    return frame.is_empty()
