"""Assembles the application: routes, middleware, problems, and what goes on beside the requests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from recsys_assets.api.keys import ApiKeys, RequireKey
from recsys_assets.api.limits import BodyLimit
from recsys_assets.api.metrics import Measured
from recsys_assets.api.problems import Problem, handle_problems
from recsys_assets.api.routes_events import add_event_routes
from recsys_assets.api.routes_health import add_health_routes
from recsys_assets.api.routes_lists import add_list_routes
from recsys_assets.api.services import Dependencies, Services

TITLE = "Recommendations"
DESCRIPTION = """\
Published lists, lists that are ranked now, similar items, and the events that users cause.

Every error is a problem document (RFC 9457). Where keys are configured, send one as `X-API-Key` or as a bearer token.
"""
SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def build_app(given: Dependencies, keys: ApiKeys, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The application.

    Args:
        given: What it works with.
        keys: Who may ask.
        pages: Routes for people, such as the inspector's.
    """
    services = Services(given)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.start)
        yield
        await run_in_threadpool(services.stop)

    app = FastAPI(
        title=TITLE,
        version=version("recsys-assets"),
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        middleware=[Middleware(Measured, services.metrics), Middleware(RequireKey, keys), Middleware(BodyLimit)],
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.services = services
    handle_problems(app)
    for add in (add_list_routes, add_event_routes, add_health_routes):
        add(app.router, services)
    for router in pages:
        app.include_router(router)
    app.openapi = lambda: _described(app, keys)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _described(app: FastAPI, keys: ApiKeys) -> dict[str, Any]:
    """The OpenAPI document, with problems and keys."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = described.setdefault("components", {})
        template = "#/components/schemas/{model}"
        problem = Problem.model_json_schema(ref_template=template)
        components.setdefault("schemas", {}).update(problem.pop("$defs", {}), Problem=problem)
        if not keys.is_open:
            components["securitySchemes"] = SECURITY
            described["security"] = [{name: []} for name in SECURITY]
        app.openapi_schema = described
    return app.openapi_schema
