"""The page of a day in a real browser: on a phone, in the dark, to a screen reader, and without a network."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from recsys_assets.api.routes_dashboard import build_dashboard_routes
from recsys_assets.monitoring.dashboard_data import Dashboard
from recsys_assets.monitoring.dashboard_page import render
from resources.dashboard_folder import DashboardFolder

MIN_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""
NOW = datetime(2026, 3, 15, 6, 5, tzinfo=UTC)
EMPTY, CALM, BUSY = "/dashboard/2026-03-12.html", "/dashboard/2026-03-13.html", "/dashboard/2026-03-14.html"
PAGES = (EMPTY, CALM, BUSY, "/dashboard/2026-03-01.html")


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, empty_page: Dashboard, calm_page: Dashboard, busy_page: Dashboard
) -> DashboardFolder:
    """Three pages on end."""
    folder = DashboardFolder(folder=str(tmp_path_factory.mktemp("home") / "dashboard"))
    for place, page in enumerate((empty_page, calm_page, busy_page)):
        before = date(2026, 3, 11 + place) if place else None
        folder.write(date(2026, 3, 12 + place), render(page, NOW, before))
    return folder


@pytest.fixture(scope="module")
def address(folder: DashboardFolder, serve: Callable[[Any], str]) -> str:
    app = FastAPI()
    app.include_router(build_dashboard_routes(folder))
    return serve(app)


def test_the_address_leads_to_the_newest_page_and_from_there_to_older_ones(open_page: Callable[..., Any]) -> None:
    page = open_page("/dashboard")
    assert page.url.endswith("/dashboard/latest.html")
    page.get_by_role("link", name="13 Mar 2026").click()
    assert page.url.endswith(CALM)
    page.get_by_role("link", name="The newest page").click()
    assert page.url.endswith("/dashboard/latest.html")


def test_a_page_is_read_and_leads_on_in_its_folder_without_any_network(browser: Any, folder: DashboardFolder) -> None:
    window = browser.new_context(offline=True)
    page, asked, complaints = window.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((Path(folder.folder) / "latest.html").as_uri())
    page.get_by_role("link", name="13 Mar 2026").click()
    assert page.url.endswith("/2026-03-13.html")
    assert page.get_by_role("img").count() > 0
    window.close()
    assert [Path(url).name for url in asked] == ["latest.html", "2026-03-13.html"]
    assert complaints == []


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Any], width: int) -> None:
    for path in PAGES:
        page = open_page(path, viewport={"width": width, "height": 740})
        for opened in page.locator("summary").all():
            opened.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_words_in_pictures_are_large_enough_on_a_phone_and_not_too_large_on_a_desk(
    open_page: Callable[..., Any],
) -> None:
    for width, smallest, largest in ((360, 9.5, 13), (1280, 10, 16)):
        page = open_page(BUSY, viewport={"width": width, "height": 740})
        sizes = page.evaluate(
            "[...document.querySelectorAll('.picture text')].map(one => parseFloat(getComputedStyle(one).fontSize)"
            " * one.getScreenCTM().d)"
        )
        assert sizes
        assert smallest <= min(sizes) <= max(sizes) <= largest, width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_its_ground(
    open_page: Callable[..., Any], contrasts: Callable[[Any], Any], scheme: str
) -> None:
    for path in PAGES:
        page = open_page(path, color_scheme=scheme)
        is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 25)"
        assert is_dark == (scheme == "dark")
        found = contrasts(page)
        assert found
        assert [one for one in found if one["ratio"] < MIN_CONTRAST] == [], path


def test_pictures_change_their_colours_with_the_page(open_page: Callable[..., Any]) -> None:
    ink = "getComputedStyle(document.querySelector('.picture text')).fill"
    light, dark = (open_page(BUSY, color_scheme=scheme).evaluate(ink) for scheme in ("light", "dark"))
    assert light != dark


def test_the_structure_is_one_that_a_screen_reader_can_walk(
    open_page: Callable[..., Any], structure: Callable[[Any], Any]
) -> None:
    for path in PAGES:
        found = structure(open_page(path))
        assert found["language"] == "en"
        assert found["landmarks"] == [1, 1, 1, 0], path
        assert found["headings"][0] == 1
        assert found["headings"].count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(found["headings"])), f"{path}: {found['headings']}"
        assert found["scopeless"] == 0
        assert all(found["tables"]), f"{path}: a table without a caption"
        assert len(found["ids"]) == len(set(found["ids"])), path
        assert set(found["referred"]) <= set(found["ids"]), path


def test_a_picture_is_read_aloud_by_its_title_and_its_description(open_page: Callable[..., Any]) -> None:
    page = open_page(BUSY)
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    pictures = [node for node in tree if node.get("role", {}).get("value") in ("img", "image") and not node["ignored"]]
    names = [node["name"]["value"] for node in pictures]
    assert any(name.startswith("Click-through rate of als by day From") for name in names)
    assert all(names)


def test_the_numbers_of_every_picture_stand_in_a_table_too(open_page: Callable[..., Any]) -> None:
    page = open_page(BUSY)
    for opened in page.locator("summary").all():
        opened.focus()
        page.keyboard.press("Enter")
    for section, captions in {
        "online": "Figures by day and version",
        "offline": "Reports by slot and version",
        "data": "Events by day",
        "experiment": "Every arm",
    }.items():
        place = page.locator(f"section[aria-labelledby={section}]")
        assert place.locator(".picture").count() >= 1
        assert place.locator("caption", has_text=captions).is_visible()


def test_the_status_leads_to_its_section(open_page: Callable[..., Any]) -> None:
    page = open_page(BUSY)
    page.locator(".status a").first.click()
    target = page.url.partition("#")[2]
    assert page.locator(f"h2#{target}").count() == 1
