"""The page of a day as one HTML file that needs nothing else: no script, no other file, no network.

What stands on it comes from `dashboard_readings`, what is said of it from `dashboard_status`; the words of each section
are in its template.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from recsys_assets import look
from recsys_assets.columns import POOLED
from recsys_assets.monitoring.dashboard_data import FIGURE_WORDS, Dashboard, Decision
from recsys_assets.monitoring.dashboard_plots import (
    ENOUGH_IMPRESSIONS,
    differences_plot,
    drawable,
    intake_plot,
    online_plot,
    slots_plot,
)
from recsys_assets.monitoring.dashboard_status import Finding, Level, findings_of, overall

PACKAGE = "recsys_assets.monitoring"
LEVEL_WORDS: dict[Level, str] = {"ok": "OK", "look": "Look", "act": "Act"}
HUES = 6
SHOWN = 8
"""Refusals and decisions on the page."""
DUE_DAYS = 2
"""The page of a day is written on the day after it, so the next one is due on the day after that."""
AS_FIGURE = ("ndcg", "revenue_per_impression")
"""Figures that are no shares."""


@dataclass(frozen=True)
class Drawn:
    """A plot with its heading.

    Attributes:
        name: The heading.
        hue: The class that colours it.
        now: Its newest value, as it is written.
        when: What that is the value of.
        svg: The picture.
    """

    name: str
    hue: str
    now: str
    when: str
    svg: Markup


def render(page: Dashboard, written_at: datetime, before: date | None = None) -> str:
    """Write the page of a day.

    Args:
        page: What stands on it.
        written_at: Now.
        before: An older day that has a page beside it.
    """
    findings = findings_of(page)
    return (
        _environment()
        .get_template("dashboard.html")
        .render(
            page=page,
            findings=findings,
            overall=overall(findings),
            summary=summary(findings),
            hues=hues(page.families),
            online_plots=list(_online_plots(page)),
            slot_plots=list(_slot_plots(page)),
            intake_plots=list(_intake_plots(page)),
            differences_plot=Markup(differences_plot(page.experiment.figures if page.experiment else ())),  # noqa: S704
            due=None if page.is_replay else page.day + timedelta(days=DUE_DAYS),
            before=before,
            shown=SHOWN,
            written_at=written_at,
        )
    )


def no_page(newest: date | None) -> str:
    """The page that says that there is none.

    Args:
        newest: The newest day that has one; None for none.
    """
    return _environment().get_template("no_page.html").render(newest=newest)


def summary(findings: Sequence[Finding]) -> str:
    """How it stands, in a few words."""
    counted = {level: sum(one.level == level for one in findings) for level in LEVEL_WORDS}
    if counted["act"]:
        return f"{counted['act']} to act on"
    return f"{counted['look']} to look at" if counted["look"] else "all is well"


def hues(families: Sequence[str]) -> dict[str, str]:
    """Family to the class of its colour, which is the same on all pages for people."""
    return {family: f"f{place % HUES}" for place, family in enumerate(families)} | {POOLED: POOLED}


def _online_plots(page: Dashboard) -> Iterator[Drawn]:
    hue = hues(page.families)
    for family in (POOLED, *page.families):
        rows = [row for row in page.online.rows if row.family == family]
        back = [one for one in page.gate.decisions if one.kind == "rollback" and one.family == family]
        shown = [one for one in back if rows and rows[0].day <= one.known]
        svg = online_plot(family, rows, shown)
        if svg:
            last, rate = drawable(rows)[-1]
            when = f"on {_short(last.day)}"
            yield Drawn(_called(family), hue[family], look.percent(rate.value), when, Markup(svg))  # noqa: S704


def _slot_plots(page: Dashboard) -> Iterator[Drawn]:
    hue = hues(page.families)
    for family in (POOLED, *page.families):
        reports = [one for one in page.judged if one.family == family]
        svg = slots_plot(family, reports)
        if svg:
            last = [one for one in reports if one.ndcg is not None][-1]
            ndcg = "" if last.ndcg is None else look.figure(last.ndcg.value)
            yield Drawn(_called(family), hue[family], ndcg, f"slot of {_short(last.slot)}", Markup(svg))  # noqa: S704


def _intake_plots(page: Dashboard) -> Iterator[Drawn]:
    svg = intake_plot(page.data.by_day)
    if svg:
        last = page.data.by_day[-1]
        when = f"accepted on {_short(last.day)}"
        yield Drawn("Events by day", POOLED, look.number(last.accepted), when, Markup(svg))  # noqa: S704


def _called(family: str) -> str:
    return "whole lists" if family == POOLED else family


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"


def _coded(text: str) -> Markup:
    """Text whose commands stand between backticks."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


def _written(value: float, name: str) -> str:
    return look.figure(value) if name in AS_FIGURE else look.percent(value)


def _change(value: float) -> str:
    written = look.percent(value, digits=0 if abs(value) >= 1 else 1)
    return f"{'+' if value > 0 else ''}{written}".replace("-", "\u2212")


def _days_ago(days: int) -> str:
    return {0: "that day", 1: "1 day before"}.get(days, f"{days} days before")


def _decided(decision: Decision) -> str:
    """A decision in a few words."""
    if decision.kind == "rejection":
        return f"{decision.version} rejected"
    if not decision.version:
        return f"{decision.previous} withdrawn"
    if decision.kind == "rollback":
        return f"back from {decision.previous} to {decision.version}"
    return f"{decision.version} {'approved' if decision.kind == 'promotion' else 'put in use in MLflow'}"


@cache
def _environment() -> jinja2.Environment:
    made = look.environment(PACKAGE)
    made.filters |= {
        "coded": _coded,
        "written": _written,
        "change": _change,
        "days_ago": _days_ago,
        "decided": _decided,
        "called": _called,
        "capitalised": lambda text: text[:1].upper() + text[1:],
        "weekday": lambda day: f"{day:%A}",
    }
    static = files(PACKAGE).joinpath("static")
    style = look.stylesheet() + static.joinpath("dashboard.css").read_text(encoding="utf-8")
    made.globals |= {
        "style": Markup(style),  # noqa: S704 - our own
        "icon": Markup(static.joinpath("dashboard.svg").read_text(encoding="utf-8").strip()),  # noqa: S704 - our own
        "levels": LEVEL_WORDS,
        "figure_words": FIGURE_WORDS,
        "enough": ENOUGH_IMPRESSIONS,
    }
    return made
