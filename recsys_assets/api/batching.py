"""Doing together what is asked for at the same time: one thread, one batch at a time, as large as there is demand.

While a batch is being done, requests wait and become the next one. So a round trip to the online store, or an `fsync`,
is shared by all requests of a busy moment, and a lonely request waits for nobody.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

MOST_AT_ONCE = 256
AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class OverloadedError(Exception):
    """More is waiting than can be done in time; asking again a little later helps."""


class _Waiting(NamedTuple, Generic[AskedT, AnswerT]):
    asked: AskedT
    answer: "asyncio.Future[AnswerT]"
    loop: asyncio.AbstractEventLoop


class Batches(Generic[AskedT, AnswerT]):
    """Requests from an event loop, worked off in batches by a thread of its own.

    Args:
        work: A batch to its answers, in order; what it raises, every request of the batch gets.
        name: Of the thread.
        most_waiting: Requests that may wait; more are refused, so that an outage piles nothing up.
    """

    def __init__(self, work: Callable[[Sequence[AskedT]], Sequence[AnswerT]], name: str, most_waiting: int) -> None:
        self._work, self._most_waiting = work, most_waiting
        self._queue: SimpleQueue[_Waiting[AskedT, AnswerT] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, asked: AskedT) -> "asyncio.Future[AnswerT]":
        """The answer, when its batch is done.

        Raises:
            OverloadedError: Too many are waiting.
        """
        if self._queue.qsize() >= self._most_waiting:
            raise OverloadedError(f"{self._most_waiting} requests are waiting already")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AnswerT] = loop.create_future()
        self._queue.put(_Waiting(asked, answer, loop))
        return answer

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            error: Exception | None = None
            answers: Sequence[AnswerT] = ()
            try:
                answers = self._work([one.asked for one in batch])
            except Exception as raised:  # noqa: BLE001 - it is for whoever asked
                error = raised
            _deliver(batch, answers, error)

    def _next(self) -> list[_Waiting[AskedT, AnswerT]] | None:
        """What waits, at least one; None when this is closed and nothing waits any more."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MOST_AT_ONCE:
            try:
                one = self._queue.get_nowait()
            except Empty:
                break
            if one is None:
                self._queue.put(None)  # for the next round
                break
            batch.append(one)
        return batch


def _deliver(batch: Sequence[_Waiting[AskedT, AnswerT]], answers: Sequence[AnswerT], error: Exception | None) -> None:
    """Wake every loop once, however many of its requests are answered."""
    places: dict[asyncio.AbstractEventLoop, list[int]] = {}
    for place, one in enumerate(batch):
        places.setdefault(one.loop, []).append(place)

    def wake(mine: Sequence[int]) -> None:
        for place in mine:
            answer = batch[place].answer
            if answer.done():  # whoever asked has gone
                continue
            if error is None:
                answer.set_result(answers[place])
            else:
                answer.set_exception(error)

    for loop, mine in places.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(wake, mine)
