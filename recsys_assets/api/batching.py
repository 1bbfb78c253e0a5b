"""Doing together what is asked for at the same time: one thread, one batch at a time, as large as there is demand.

While a batch is being done, requests wait and become the next one. So a round trip to the online store, or an `fsync`,
is shared by all requests of a busy moment, and a lonely request waits for nobody.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

MOST_AT_ONCE = 256
AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class OverloadedError(Exception):
    """More is waiting than can be done in time; asking again a little later helps."""


class _Waiting(NamedTuple, Generic[AskedT, AnswerT]):
    asked: AskedT
    answer: "asyncio.Future[AnswerT]"


class _Batch(NamedTuple, Generic[AskedT, AnswerT]):
    waiting: Sequence[_Waiting[AskedT, AnswerT]]
    loop: asyncio.AbstractEventLoop


class Batches(Generic[AskedT, AnswerT]):
    """Requests from one event loop, worked off in batches by a thread of its own.

    The thread is woken once for a batch and not for each request: waking it costs more than asking the store does.

    Args:
        work: A batch to its answers, in order; what it raises, every request of the batch gets.
        name: Of the thread.
        most_waiting: Requests that may wait; more are refused, so that an outage piles nothing up.
    """

    def __init__(self, work: Callable[[Sequence[AskedT]], Sequence[AnswerT]], name: str, most_waiting: int) -> None:
        self._work, self._most_waiting = work, most_waiting
        self._waiting: list[_Waiting[AskedT, AnswerT]] = []
        self._is_busy = False
        self._batches: SimpleQueue[_Batch[AskedT, AnswerT] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, asked: AskedT) -> "asyncio.Future[AnswerT]":
        """The answer, when its batch is done.

        Raises:
            OverloadedError: Too many are waiting.
        """
        if len(self._waiting) >= self._most_waiting:
            raise OverloadedError(f"{self._most_waiting} requests are waiting already")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AnswerT] = loop.create_future()
        self._waiting.append(_Waiting(asked, answer))
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._begin, loop)  # others of this moment may come along
        return answer

    def close(self) -> None:
        """Finish what has begun, and end the thread; nothing is asked any more."""
        self._batches.put(None)
        self._thread.join()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the next batch to the thread."""
        batch = _Batch(self._waiting[:MOST_AT_ONCE], loop)
        del self._waiting[:MOST_AT_ONCE]
        self._batches.put(batch)

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            error: Exception | None = None
            answers: Sequence[AnswerT] = ()
            try:
                answers = self._work([one.asked for one in batch.waiting])
            except Exception as raised:  # noqa: BLE001 - it is for whoever asked
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed
                batch.loop.call_soon_threadsafe(self._end, batch, answers, error)

    def _end(self, batch: _Batch[AskedT, AnswerT], answers: Sequence[AnswerT], error: Exception | None) -> None:
        """Give the answers out, and begin with what has come meanwhile."""
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            batch.loop.call_soon(self._begin, batch.loop)
        for place, (_, answer) in enumerate(batch.waiting):
            if answer.done():  # whoever asked has gone
                continue
            if error is None:
                answer.set_result(answers[place])
            else:
                answer.set_exception(error)
