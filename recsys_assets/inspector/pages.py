"""The routes of the pages for people: which address shows what. HTTP stays in here; what is shown is data of others."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from recsys_assets.features.store import FeatureStore
from recsys_assets.inspector.absence import read_absence
from recsys_assets.inspector.item_page import read_item_page
from recsys_assets.inspector.readings import Readings
from recsys_assets.inspector.rendering import PAGE_HEADERS, STATIC, address, page, static_file
from recsys_assets.inspector.search import find, popular_items
from recsys_assets.inspector.start_page import read_start_page
from recsys_assets.inspector.user_page import Chosen, read_user_page
from resources.model_registry import ModelRegistry
from resources.online_store import Client

NOT_FOUND, SEE_OTHER = 404, 303
ALL = "all"
Id = Annotated[str, Query(alias="id")]
Text = Annotated[str, Query(alias="q")]


def build_router(store: FeatureStore, registry: ModelRegistry, connect: Callable[[], Client]) -> APIRouter:
    """The pages, to be included in an application, which decides who may see them.

    Args:
        store: Features and lists.
        registry: The models.
        connect: Gives a client of the online store; it may raise OnlineStoreError, and the pages then say so.
    """
    pages = Pages(Readings(store, registry, connect))
    router = APIRouter(include_in_schema=False)
    shown_at: dict[str, Callable[..., Response]] = {
        "/": pages.start,
        "/user": pages.user,
        "/item": pages.item,
        "/why": pages.why,
        "/search": pages.search,
    }
    for path, shown in shown_at.items():
        router.add_api_route(path, shown, response_class=HTMLResponse)
    for name in STATIC:
        router.add_api_route(f"/inspector/{name}", partial(static_file, name), response_class=Response)
    return router


class Pages:
    """The pages; they read files and sockets, so they are plain functions, which FastAPI runs in its threads."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def start(self, request: Request) -> HTMLResponse:
        """What is in use, and where to begin."""
        return self._page(request, "start.html", page=read_start_page(self._readings))

    def user(self, request: Request, user_id: Id = "", lists: str = "", history: str = "") -> HTMLResponse:
        """One user; `lists=all` shows the lists to their end, `history` is one of `user_page.Chosen`."""
        chosen: Chosen = next((one for one in get_args(Chosen) if one == history), "newest")
        shown = read_user_page(self._readings, user_id, all_places=lists == ALL, history=chosen)
        if shown is None:
            return self._nobody(request, user_id)
        return self._page(request, "user.html", page=shown, all_places=lists == ALL, history=chosen)

    def item(self, request: Request, item_id: Id = "") -> HTMLResponse:
        """One item."""
        shown = read_item_page(self._readings, item_id)
        if shown is not None:
            return self._page(request, "item.html", page=shown)
        found = find(self._readings, item_id)
        return self._page(request, "no_item.html", NOT_FOUND, found=found, in_use=self._readings.in_use())

    def why(self, request: Request, user: str = "", item: str = "") -> HTMLResponse:
        """Why an item is not on the list of a user."""
        answer = read_absence(self._readings, user, item)
        return self._nobody(request, user) if answer is None else self._page(request, "why.html", answer=answer)

    def search(self, request: Request, text: Text = "") -> Response:
        """What a search finds; an id that names one thing leads there at once."""
        found = find(self._readings, text.strip())
        if found.is_user != (found.item is not None):
            there = address("/user" if found.is_user else "/item", id=found.text)
            return RedirectResponse(f"{_root(request)}{there}", SEE_OTHER, headers=PAGE_HEADERS)
        status = NOT_FOUND if found.is_empty else 200
        return self._page(request, "search.html", status, found=found, in_use=self._readings.in_use())

    def _nobody(self, request: Request, user_id: str) -> HTMLResponse:
        found, popular = find(self._readings, user_id), popular_items(self._readings, user_id)
        in_use = self._readings.in_use()
        return self._page(request, "no_user.html", NOT_FOUND, found=found, popular=popular, in_use=in_use)

    def _page(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        return page(template, status, root=_root(request), hues=self._readings.hues, **values)


def _root(request: Request) -> str:
    """Where the application is mounted, behind a proxy that says so."""
    return str(request.scope.get("root_path", "")).rstrip("/")
