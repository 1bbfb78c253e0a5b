"""`/dashboard`: stored pages as they are, and nothing else of the folder or beside it."""

import http.client
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from recsys_assets.api.routes_dashboard import build_dashboard_routes
from resources.dashboard_folder import DashboardFolder

DAY = date(2026, 3, 14)
Get = Callable[[str], tuple[int, Mapping[str, str], str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def folder(home: Path) -> DashboardFolder:
    """One page, a file that is none, and one beside the folder."""
    folder = DashboardFolder(folder=str(home / "dashboard"))
    folder.write(DAY, "<p>all is well")
    for secret in (home / "dashboard" / "notes.html", home / "secret.html"):
        secret.write_text("secret")
    return folder


@pytest.fixture(scope="module")
def get(folder: DashboardFolder, home: Path, serve: Callable[[Any], str]) -> Get:
    """Asks for a path, exactly as it is written: of the pages, of the same below /shop, of none at all below /empty."""
    app, shop, empty = FastAPI(), FastAPI(), FastAPI()
    for one, pages in ((app, folder), (shop, folder), (empty, DashboardFolder(folder=str(home / "none")))):
        one.include_router(build_dashboard_routes(pages))
    app.mount("/shop", shop)
    app.mount("/empty", empty)
    address = urlsplit(serve(app)).netloc

    def ask(path: str) -> tuple[int, Mapping[str, str], str]:
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    return ask


def test_the_address_leads_to_the_newest_page_wherever_it_is_mounted(get: Get) -> None:
    for path in ("/dashboard", "/dashboard/"):
        status, headers, _ = get(path)
        assert (status, headers["location"]) == (307, "/dashboard/latest.html")
    assert get("/shop/dashboard")[1]["location"] == "/shop/dashboard/latest.html"


def test_a_page_comes_as_it_was_written(get: Get) -> None:
    for name in ("latest.html", "2026-03-14.html"):
        status, headers, text = get(f"/dashboard/{name}")
        assert (status, text) == (200, "<p>all is well")
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-cache"


def test_before_the_first_page_it_says_what_to_do(get: Get) -> None:
    status, _, text = get("/empty/dashboard/latest.html")
    assert status == 404
    assert "There is no page yet" in text
    assert "recsys doctor" in text


@pytest.mark.parametrize(
    "name",
    ["2026-03-13.html", "2026-13-99.html", "notes.html", ".html", "latest", "%2e%2e%2fsecret.html", "../secret.html"],
)
def test_what_is_no_page_of_a_day_is_not_found(get: Get, name: str) -> None:
    status, _, text = get(f"/dashboard/{name}")
    assert status == 404
    assert "secret" not in text
