"""The pages for people in a real browser: by keyboard alone, on a phone, in the dark, and to a screen reader."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from fastapi import FastAPI

from recsys_assets.cli.installation import Installation
from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.pages import build_router
from recsys_assets.inspector.readings import Readings
from recsys_assets.inspector.start_page import read_start_page

MIN_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""


@pytest.fixture(scope="module")
def address(finished: Installation, serve: Callable[[Any], str]) -> str:
    store = FeatureStore(finished.platform, finished.lake, finished.engine)
    app = FastAPI()
    app.include_router(build_router(store, finished.model_registry, finished.online_store.connect))
    return serve(app)


@pytest.fixture(scope="module")
def user_id(finished: Installation) -> str:
    """The user who bought most."""
    store = FeatureStore(finished.platform, finished.lake, finished.engine)
    return read_start_page(Readings(store, finished.model_registry, finished.online_store.connect)).users[0].user_id


def test_a_user_is_looked_up_and_read_by_keyboard_alone(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    while page.evaluate("document.activeElement.id") != "q":
        page.keyboard.press("Tab")
    page.keyboard.type(user_id)
    page.keyboard.press("Enter")
    page.wait_for_url("**/user?id=*")
    assert page.get_by_role("heading", level=1).inner_text().split()[:2] == ["User", user_id]
    headings = [one.inner_text() for one in page.get_by_role("heading", level=3).all()]
    assert headings == ["Final list", "als", "popularity"]


def test_whatever_has_the_focus_shows_it(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page(f"/user?id={user_id}")
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle + document.activeElement.tagName"
        )
        assert outline.startswith("solid"), outline


def test_the_skip_link_leads_past_the_bar(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page(f"/user?id={user_id}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_lists_stand_side_by_side_with_titles_and_reasons(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page(f"/user?id={user_id}")
    columns = page.locator(".list").all()
    boxes = [column.bounding_box() for column in columns]
    assert len({box["y"] for box in boxes}) == 1
    assert all(one["x"] + one["width"] <= other["x"] for one, other in pairwise(boxes))
    assert page.locator(".list.final .why", has_text="because they bought").count() > 0


def test_from_a_list_an_item_and_its_neighbours_are_one_key_away(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page(f"/user?id={user_id}")
    first = page.locator(".list.final li a.title").first
    title = first.inner_text()
    first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/item?id=*")
    assert title in page.get_by_role("heading", level=1).inner_text()
    assert page.locator(".list li").count() > 0


def test_why_an_item_is_not_on_the_list_is_asked_in_a_form(open_page: Callable[..., Any], user_id: str) -> None:
    page = open_page(f"/user?id={user_id}")
    page.get_by_label("Why is an item not on the list?").fill("nothing of that name")
    page.keyboard.press("Enter")
    page.wait_for_url("**/why?*")
    assert "A rule hides it." in page.locator("main").inner_text()


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Any], user_id: str, width: int) -> None:
    page = open_page("/", viewport={"width": width, "height": 740})
    for path in paths(page, user_id):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_its_ground(
    open_page: Callable[..., Any], contrasts: Callable[[Any], Any], user_id: str, scheme: str
) -> None:
    page = open_page("/", color_scheme=scheme)
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 25)"
    assert is_dark == (scheme == "dark")
    for path in paths(page, user_id):
        page.goto(path)
        faint = [one for one in contrasts(page) if one["ratio"] < MIN_CONTRAST]
        assert faint == [], path


def test_the_structure_is_one_that_a_screen_reader_can_walk(
    open_page: Callable[..., Any], structure: Callable[[Any], Any], user_id: str
) -> None:
    page = open_page("/")
    for path in paths(page, user_id):
        page.goto(path)
        found = structure(page)
        assert found["language"] == "en"
        assert found["landmarks"] == [1, 1, 1, 1], path
        assert found["headings"][0] == 1
        assert found["headings"].count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(found["headings"])), f"{path}: {found['headings']}"
        assert (found["unlabelled"], found["pictures"], found["scopeless"]) == (0, 0, 0), path
        assert all(found["tables"]), f"{path}: a table without a caption"
        assert len(found["ids"]) == len(set(found["ids"])), path
        assert set(found["referred"]) <= set(found["ids"]), path


def test_to_a_screen_reader_everything_that_takes_the_focus_has_a_name(
    open_page: Callable[..., Any], user_id: str
) -> None:
    page = open_page("/")
    for path in paths(page, user_id):
        page.goto(path)
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        nodes = [node for node in tree if not node["ignored"]]
        nameless = [
            node["role"]["value"]
            for node in nodes
            if _is_focusable(node) and not node.get("name", {}).get("value", "").strip()
        ]
        assert [role for role in nameless if role not in {"RootWebArea", "main"}] == [], path
        roles = {node["role"]["value"] for node in nodes}
        assert {"main", "banner", "contentinfo", "search", "searchbox"} <= roles, path


def _is_focusable(node: dict[str, Any]) -> bool:
    return any(one["name"] == "focusable" and one["value"].get("value") for one in node.get("properties", ()))


def paths(page: Any, user_id: str) -> list[str]:
    """The address of every kind of page."""
    start = page.url
    item = page.locator("[aria-labelledby=items] a").first.get_attribute("href")
    more = ["", f"user?id={user_id}", f"user?id={user_id}&lists=all&history=bought", f"why?user={user_id}&item=nothing"]
    return [*(f"{start}{path}" for path in (*more, "search?q=the", "user?id=", "item?id=")), f"{start}{item[1:]}"]
