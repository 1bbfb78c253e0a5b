"""How pages for people look: the stylesheet that they share, their templates, and how figures and dates are written.

What stands on a page is decided by whoever makes it.
"""

from datetime import date, datetime
from importlib.resources import files

import jinja2

DIGITS = 4


def stylesheet() -> str:
    """The CSS that every page begins with: colours, light and dark, and what is common on pages."""
    return files("recsys_assets").joinpath("look.css").read_text(encoding="utf-8")


def environment(package: str) -> jinja2.Environment:
    """The templates of a package: they escape everything, and a name that nobody gave is an error.

    Args:
        package: Its folder `templates` holds them.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "day": day,
        "short_day": short_day,
        "moment": moment,
        "number": number,
        "figure": figure,
        "percent": percent,
    }
    return made


def day(value: date) -> str:
    """Write a day: 9 January 2026."""
    return f"{value.day} {value:%B %Y}"


def short_day(value: date) -> str:
    """Write a day where there is less room: 9 Jan 2026."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime) -> str:
    """Write a day with the time, in the moment's own time zone."""
    return f"{short_day(value)}, {value:%H:%M}"


def number(value: float) -> str:
    """Write a count, or a number with two decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(value: float, digits: int = 1) -> str:
    """Write a share, or a change, in percent."""
    return f"{100 * value:.{digits}f}\u00a0%"


def figure(value: float) -> str:
    """Write a figure of a report."""
    return f"{value:.{DIGITS}f}"
