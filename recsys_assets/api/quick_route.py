"""A route that reads its parameters by one pydantic model, which is most of what a stored list costs to serve.

FastAPI describes the parameters by the signature of the endpoint and would find them one by one; the model finds them
at once, and says the same of wrong ones. A test holds the two against each other.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

Answer = Callable[[Any], Awaitable[Response]]


def quick_route(model: type[BaseModel], answer: Answer) -> type[APIRoute]:
    """A class of routes, for a router's `route_class`.

    Args:
        model: The parameters of path and query, by their names.
        answer: From such a model to the response.
    """

    class QuickRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handler(request: Request) -> Response:
                path = request.path_params
                given = {**request.query_params, **path} if request.scope["query_string"] else path
                try:
                    asked = model.model_validate(given)
                except ValidationError as error:
                    raise RequestValidationError([_placed(one, path) for one in error.errors()]) from error
                return await answer(asked)

            return handler

    return QuickRoute


def _placed(error: Any, path: dict[str, Any]) -> dict[str, Any]:
    """An error with the place of the parameter before its name."""
    where = "path" if error["loc"][0] in path else "query"
    return {**error, "loc": (where, *error["loc"])}
