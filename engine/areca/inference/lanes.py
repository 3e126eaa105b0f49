"""The queue of forward passes of a process: the block that began first goes first.

Were passes taken in the order in which they come, the blocks in the threads of a worker
would take turns, end together and read their successors together, and the device would
wait meanwhile. In this order one block ends early and reads while others are predicted.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")
_BLOCKS = itertools.count()


class _Job(NamedTuple):
    """A pass in the queue; compared by its block, then by when it came."""

    block: int
    number: int
    future: Future[Any]
    work: Callable[[], Any]


class Lanes:
    """A few threads that run passes, in the order of the blocks."""

    def __init__(self, count: int) -> None:
        """Start nothing yet.

        Args:
            count: Passes that may run at once.
        """
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="areca-forward")
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: list[_Job] = []

    def submit(self, block: int, work: Callable[[], Answer]) -> Future[Answer]:
        """Queue a pass.

        Args:
            block: The number of its block, from `next_block`.
            work: The pass.

        Returns:
            A future of what the pass gives.
        """
        future: Future[Answer] = Future()
        with self._lock:
            job = _Job(block, next(self._numbers), future, work)
            heapq.heappush(self._waiting, job)
        self._threads.submit(self._run_first)
        return future

    def _run_first(self) -> None:
        with self._lock:
            job = heapq.heappop(self._waiting)
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            job.future.set_result(job.work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            job.future.set_exception(error)


def next_block() -> int:
    """Return the number of a block whose passes begin now."""
    return next(_BLOCKS)
