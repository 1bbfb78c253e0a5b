"""`/health/live`, `/health/ready` and `/metrics`: for those who run the API."""

from enum import Enum
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from recsys_assets.api.schemas import Component, Liveness, Readiness
from recsys_assets.api.services import Services

TAGS: list[str | Enum] = ["operation"]
Status = Literal["ready", "degraded", "unready"]


def add_health_routes(router: APIRouter, services: Services) -> None:
    """Add the routes that tell how the API does.

    Args:
        router: Of the application itself.
        services: What they tell of.
    """

    @router.get("/health/live", tags=TAGS, summary="Whether the process answers")
    async def live() -> Liveness:
        """It does, if this is answered; nothing else is looked at."""
        return Liveness()

    @router.get(
        "/health/ready",
        tags=TAGS,
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "Nothing can be served"}},
        summary="Whether lists can be served, and how each component does",
    )
    async def ready() -> Response:
        """Ready to serve as long as any list can be served, if only the popular items from memory."""
        status = _status(services)
        components = {
            name: Component(is_well=state.is_well, detail=state.detail, since=state.since.isoformat(timespec="seconds"))
            for name, state in services.components.states().items()
        }
        content = Readiness(status=status, components=components).model_dump()
        return JSONResponse(content, 503 if status == "unready" else 200)

    @router.get(
        "/metrics",
        tags=TAGS,
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "For Prometheus"}},
        summary="Figures for Prometheus",
    )
    def metrics() -> Response:
        """Requests, lists, events, loads, and the state of the components, of all workers."""
        services.measure()
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _status(services: Services) -> Status:
    if not services.can_serve:
        return "unready"
    return "ready" if all(state.is_well for state in services.components.states().values()) else "degraded"
