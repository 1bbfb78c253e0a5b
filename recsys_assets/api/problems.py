"""Every error as a problem document (RFC 9457, `application/problem+json`), and how OpenAPI tells of them.

What a problem says never repeats what was sent: it may be long, secret, or no text at all.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from recsys_assets.api.batching import OverloadedError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "1"
PREFIX = "urn:recsys:problem:"
MOST_ERRORS = 20
"""Of a long list in which everything is wrong, the first few say enough."""
DETAILS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; /openapi.json says what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take that method; the header Allow says which it takes",
    HTTPStatus.BAD_REQUEST: "the body cannot be read as JSON; deeply nested JSON is refused too",
}

NOT_SENT_AS_JSON = "send JSON, and say so by the header `Content-Type: application/json`"


class FieldError(BaseModel):
    """One value that is wrong."""

    place: str = Field(description="where: `query/limit`, or a JSON pointer into the body", examples=["body/limit"])
    detail: str = Field(description="what would be right", examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(description="which kind of problem", examples=[f"{PREFIX}invalid-request"])
    title: str = Field(description="the same for every problem of the kind", examples=["Unprocessable Content"])
    status: int = Field(description="the HTTP status", examples=[422])
    detail: str = Field(description="what was wrong here, and what would be right")
    errors: Annotated[list[FieldError] | None, Field(description="the values that are wrong, the first few")] = None


class ProblemError(Exception):
    """Raised by an endpoint to answer with a problem."""

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers


def problem_response(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as a response."""
    content: dict[str, Any] = {
        "type": PREFIX + kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        content["errors"] = errors
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(ProblemError)
    async def told(_: Request, error: ProblemError) -> JSONResponse:
        return problem_response(error.status, error.kind, error.detail, headers=error.headers)

    @app.exception_handler(OverloadedError)
    async def overloaded(_: Request, error: OverloadedError) -> JSONResponse:
        return problem_response(503, "overloaded", str(error), headers={"Retry-After": RETRY_SECONDS})

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"place": _place(one["loc"]), "detail": str(one["msg"])} for one in error.errors()]
        if errors and errors[0]["place"] == "body" and "json" not in request.headers.get("content-type", ""):
            errors = [{"place": "body", "detail": NOT_SENT_AS_JSON}]
        detail = f"{len(errors)} values of the request cannot be used" if len(errors) > 1 else _sentence(errors)
        return problem_response(422, "invalid-request", detail, errors=errors[:MOST_ERRORS])

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        return problem_response(status, kind, DETAILS.get(status, error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        del error  # the server logs it; what it says is nobody's business
        return problem_response(500, "internal-error", "something went wrong here; the log of the server says what")


def problems(*statuses: Literal[400, 401, 404, 413, 422, 503]) -> dict[int | str, dict[str, Any]]:
    """What an endpoint tells OpenAPI of its errors."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in (*statuses, 401)
    }


def _place(location: Sequence[int | str]) -> str:
    return "/".join(str(part).replace("~", "~0").replace("/", "~1")[:100] for part in location)


def _sentence(errors: Sequence[Mapping[str, str]]) -> str:
    return f"{errors[0]['place']}: {errors[0]['detail']}" if errors else "the request cannot be used"
