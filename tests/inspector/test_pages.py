"""The pages as a browser gets them: what is answered, and that nothing that an id or a title holds can do anything."""

import re
import urllib.request
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI

from recsys_assets.inspector.pages import build_router
from recsys_assets.inspector.readings import Readings
from resources.online_store import OnlineStoreError

Get = Callable[..., tuple[int, Mapping[str, str], str]]
HTML = '<script>alert("x")</script>'
LONG = "x" * 10_000
ODD = (HTML, "a/b", "..", "../../etc/passwd", "用户 7", "?id=ann&x=1", "100%", "a+b c", "recs:1:ann", LONG)
PAGES = (
    ("/", {}),
    ("/user", {"id": "ann"}),
    ("/user", {"id": "bob", "lists": "all", "history": "all"}),
    ("/user", {"id": HTML}),
    ("/user", {"id": "nobody"}),
    ("/item", {"id": "dune"}),
    ("/item", {"id": HTML}),
    ("/item", {"id": "nothing"}),
    ("/why", {"user": "ann", "item": HTML}),
    ("/why", {"user": "bob", "item": "persuasion"}),
    ("/why", {"user": "nobody", "item": "dune"}),
    ("/search", {"q": "a"}),
    ("/search", {"q": HTML}),
    ("/search", {"q": "no such words"}),
)


def no_store() -> None:
    raise OnlineStoreError("it was never there")


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]


@pytest.mark.parametrize(("path", "query"), PAGES)
def test_a_page_loads_nothing_from_elsewhere_and_holds_no_script_and_no_style(
    get: Get, path: str, query: dict[str, str]
) -> None:
    _, headers, html = get(path, **query)
    tags = Tags(html).tags
    assert not [tag for tag, _ in tags if tag in {"script", "style", "iframe", "object", "embed", "base"}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on") or name == "style"]
    addresses = [
        value for _, attributes in tags for name, value in attributes.items() if name in {"href", "src", "action"}
    ]
    assert all(address is not None and address.startswith(("/", "#")) for address in addresses)
    assert "script" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("path", "query"), PAGES)
def test_a_page_about_people_is_kept_by_nobody_and_tells_no_other_site(
    get: Get, path: str, query: dict[str, str]
) -> None:
    _, headers, _ = get(path, **query)
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("user_id", ODD)
def test_every_id_has_a_page_whatever_it_holds(get: Get, user_id: str) -> None:
    status, _, html = get("/user", id=user_id)
    assert status == 200
    assert user_id[:100] in Tags(html).text


@pytest.mark.parametrize("user_id", ODD)
def test_a_link_to_an_odd_id_leads_to_its_page(get: Get, user_id: str) -> None:
    _, _, html = get("/why", user=user_id, item="dune")
    link = next(one for one in Tags(html).links() if one.startswith("/user?") and "lists" not in one)
    assert parse_qs(urlsplit(link).query)["id"] == [user_id]
    assert get(link)[0] == 200


def test_titles_are_shown_as_they_are_and_do_nothing(get: Get) -> None:
    title = "<img src=x onerror=alert(1)> \"quoted\" & 'so on' </title>"
    for path, query in (("/item", {"id": HTML}), ("/user", {"id": "bob"})):
        _, _, html = get(path, **query)
        assert title in Tags(html).text
        assert "<img src=x" not in html


@pytest.mark.parametrize("user_id", ["nobody", "", LONG + "y", "\x00", "' or 1=1 --", "null", "None"])
def test_nobody_by_that_id_is_a_clear_page_and_not_found(get: Get, user_id: str) -> None:
    status, _, html = get("/user", id=user_id)
    assert status == 404
    assert "No such user" in html
    assert len(html) < 20_000, "what was typed is not repeated at length"


def test_no_item_by_that_id_is_a_clear_page_and_not_found(get: Get) -> None:
    status, _, html = get("/item", id="Emma")
    assert status == 404
    assert "No such item" in html
    assert '<a class="title" href="/item?id=emma">Emma</a>' in html, "a title with these words is offered"


def test_ids_that_begin_alike_are_offered(get: Get) -> None:
    _, _, html = get("/user", id="an")
    assert '<a href="/user?id=ann">ann</a>' in html


@pytest.mark.parametrize(
    ("text", "there"), [("ann", "/user?id=ann"), (" dune ", "/item?id=dune"), ("a/b", "/user?id=a%2Fb")]
)
def test_a_search_for_an_id_leads_to_its_page(get: Get, text: str, there: str) -> None:
    status, headers, _ = get("/search", q=text)
    assert (status, headers["location"]) == (303, there)


def test_a_search_for_what_is_a_user_and_an_item_offers_both(get: Get) -> None:
    status, _, html = get("/search", q=HTML)
    assert status == 200
    assert {urlsplit(link).path for link in Tags(html).links()} >= {"/user", "/item"}


@pytest.mark.parametrize("words", ["austen", "Emma AUSTEN", "persua"])
def test_a_search_finds_words_of_titles_and_creators_whatever_their_case(get: Get, words: str) -> None:
    status, _, html = get("/search", q=words)
    assert status == 200
    assert "Austen" in html


@pytest.mark.parametrize("text", ["", "   ", "no such words", LONG + "y", "%", "*", "[", "\\"])
def test_a_search_that_finds_nothing_says_so(get: Get, text: str) -> None:
    status, _, html = get("/search", q=text)
    assert status == 404
    assert "Nothing found" in html


def test_without_the_online_store_every_page_answers_and_says_what_is_missing(get: Get) -> None:
    for path, query in (
        ("/", {}),
        ("/user", {"id": "ann"}),
        ("/item", {"id": "dune"}),
        ("/why", {"user": "ann", "item": "dune"}),
    ):
        status, _, html = get(path, **query)
        assert status == 200
        assert "the online store does not answer" in html


def test_the_stylesheet_and_the_icon_come_from_here_and_change_their_address_with_their_content(get: Get) -> None:
    _, _, html = get("/")
    for name, kind in (("inspector.css", "text/css"), ("icon.svg", "image/svg+xml")):
        found = re.search(rf'"(/inspector/{re.escape(name)}\?v=[0-9a-f]+)"', html)
        assert found is not None
        status, headers, content = get(found[1])
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert "immutable" in headers["cache-control"]
        assert "//" not in content.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched from elsewhere"


def test_mounted_below_a_prefix_every_address_begins_with_it(readings: Readings, serve: Callable[[Any], str]) -> None:
    app, inside = FastAPI(), FastAPI()
    inside.include_router(build_router(readings.store, readings.registry, no_store))
    app.mount("/shop", inside)
    with urllib.request.urlopen(f"{serve(app)}/shop/user?id=ann") as answer:  # noqa: S310 - our own server
        tags = Tags(answer.read().decode()).tags
    addresses = [
        value for _, attributes in tags for name in ("href", "src", "action") if (value := attributes.get(name))
    ]
    assert [one for one in addresses if not one.startswith(("/shop/", "#"))] == []


def test_the_pages_are_no_part_of_the_documented_interface(get: Get) -> None:
    _, _, interface = get("/openapi.json")
    assert '"paths":{}' in interface.replace(" ", "")
