"""One thread for the model, and a bound on who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """More wait already than may."""


class Queue:
    """Tasks one after another in one thread, as a model's random numbers are the process's own.

    Args:
        most: tasks at work or waiting; one more is refused, not kept.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def do(self, task: Callable[[], T]) -> T:
        """What a task returns or raises, once it had its turn.

        Raises:
            BusyError: where too many wait.
        """
        if self.taken >= self.most:
            raise BusyError
        self.taken += 1
        waiting = asyncio.get_running_loop().run_in_executor(self.thread, task)
        waiting.add_done_callback(self._leave)
        return await asyncio.shield(waiting)

    def _leave(self, done: asyncio.Future[T]) -> None:
        self.taken -= 1
        if not done.cancelled():
            done.exception()  # whoever asked may have gone; asyncio would say that nobody looked
