"""From data to HTML: the words of the templates, and the headers of a page.

What is on a page is decided in the modules of the pages and in the templates.
"""

import hashlib
from importlib.resources import files
from urllib.parse import urlencode

import jinja2
from fastapi.responses import HTMLResponse, Response

from recsys_assets import look

PACKAGE = "recsys_assets.inspector"
STATIC = {"inspector.css": "text/css", "icon.svg": "image/svg+xml"}
SHOWN_CHARACTERS = 120
"""Ids and texts that people typed in are cut there where they are repeated."""
EVENT_WORDS = {
    "purchase": "bought",
    "refund": "refunded",
    "view": "viewed",
    "cart": "put in the cart",
    "wish": "wished for",
    "rating": "rated",
}
RULE_WORDS = {
    "series": "continues a series",
    "new_release": "a place for new releases",
    "fallback": "fills the list up",
    "over_creator_limit": "over the limit per creator: nothing else was left",
}
"""What put an item in its place, beside the blend, which needs no word."""
PAGE_HEADERS = {
    # No script at all, and nothing from elsewhere: what a title holds can be shown and nothing more.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",  # the pages are about people
    "Referrer-Policy": "no-referrer",  # ids of people stand in the address
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
STATIC_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def static_file(name: str) -> Response:
    """A stylesheet or picture of the pages; its address changes with its content, so it may be kept for ever."""
    return Response(_static(name), media_type=STATIC[name], headers=STATIC_HEADERS)


def page(template: str, status: int, **values: object) -> HTMLResponse:
    """Render a page.

    Args:
        template: File name of the template.
        status: The HTTP status.
        values: For the template.
    """
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**values), status, PAGE_HEADERS)


def address(path: str, **query: str) -> str:
    """A path with a query: ids stand in the query, where any text is possible, also `..` and slashes."""
    return f"{path}?{urlencode(query)}" if query else path


def shortened(text: str) -> str:
    """A text that somebody typed in, as far as it is worth repeating."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _static(name: str) -> bytes:
    own = files(PACKAGE).joinpath("static", name).read_bytes()
    return look.stylesheet().encode() + own if name.endswith(".css") else own


def _environment() -> jinja2.Environment:
    environment = look.environment(PACKAGE)
    environment.filters["shortened"] = shortened
    environment.globals |= {
        "address": address,
        "event_words": EVENT_WORDS,
        "rule_words": RULE_WORDS,
        "static": {name: f"{name}?v={hashlib.sha256(_static(name)).hexdigest()[:12]}" for name in STATIC},
    }
    return environment


ENVIRONMENT = _environment()
