"""`/dashboard`: the stored pages of the days, as they lie in their folder. What stands on them stays out."""

from collections.abc import Callable
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from recsys_assets.monitoring.dashboard_page import no_page
from resources.dashboard_folder import LATEST, SUFFIX, DashboardFolder

PATH = "/dashboard"
NOT_FOUND, TEMPORARY = 404, 307
HEADERS = {
    # A page is one file: its styles stand in it, and nothing else is ever loaded or run.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def build_dashboard_routes(folder: DashboardFolder) -> APIRouter:
    """The pages, to be included in an application, which decides who may see them.

    Args:
        folder: Where they lie; links between them are names of files, so that they lead on from here too.
    """
    router = APIRouter(include_in_schema=False)

    def to_newest(request: Request) -> RedirectResponse:
        """Lead to the newest page, also behind a proxy that mounts the application elsewhere."""
        root = str(request.scope.get("root_path", "")).rstrip("/")
        return RedirectResponse(f"{root}{PATH}/{LATEST}", TEMPORARY, headers=HEADERS)

    def stored(name: str) -> HTMLResponse:
        """A page by the name of its file."""
        found = folder.read() if name == LATEST else _of_day(folder, name)
        if found is not None:
            return HTMLResponse(found, headers=HEADERS)
        return HTMLResponse(no_page(max(folder.days(), default=None)), NOT_FOUND, HEADERS)

    shown_at: dict[str, Callable[..., Response]] = {PATH: to_newest, f"{PATH}/": to_newest, f"{PATH}/{{name}}": stored}
    for path, shown in shown_at.items():
        router.add_api_route(path, shown, response_class=HTMLResponse)
    return router


def _of_day(folder: DashboardFolder, name: str) -> str | None:
    """The page of a day; None where the name is none of a day's, so that nothing else is ever read."""
    try:
        day = date.fromisoformat(name.removesuffix(SUFFIX))
    except ValueError:
        return None
    return folder.read(day)
