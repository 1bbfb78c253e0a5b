"""Refuses bodies that are too large, as they stream in, whether or not their length was announced."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys_assets.api.problems import problem_response

MOST_BYTES = 2 * 1024 * 1024


class BodyLimit:
    """ASGI middleware: at most `most_bytes` of body are ever read.

    Args:
        app: What is behind.
        most_bytes: The largest body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self.app, self.most_bytes = app, most_bytes
        self._detail = f"the body is larger than {most_bytes:,} bytes; send less at once"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.most_bytes:
            await problem_response(413, "body-too-large", self._detail)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most_bytes:
                raise HTTPException(413, self._detail)
            return message

        await self.app(scope, counted, send)
