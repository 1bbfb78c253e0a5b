"""A few threads for what takes milliseconds of computing, such as ranking. More than can be done soon is refused."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from recsys_assets.api.batching import OverloadedError

AnswerT = TypeVar("AnswerT")
P = ParamSpec("P")


class Workers:
    """Runs functions beside the event loop.

    Args:
        threads: How many at once.
        most_waiting: How many may wait.
    """

    def __init__(self, threads: int, most_waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "worker")
        self._free = threads + most_waiting

    async def run(self, work: Callable[P, AnswerT], *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        """The answer of a function.

        Raises:
            OverloadedError: Too many are waiting.
        """
        if self._free <= 0:
            raise OverloadedError("more lists are being ranked than can be done in time")
        self._free -= 1
        try:
            return await asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))
        finally:
            self._free += 1

    def close(self) -> None:
        """Finish what has begun."""
        self._threads.shutdown()
