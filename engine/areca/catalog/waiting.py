"""Work that waits for the network rather than for the processor: several at once."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Given = TypeVar("Given")
    Found = TypeVar("Found")

THREADS = max(16, 4 * (os.cpu_count() or 1))
"""Threads of a process that wait. They stay, for GDAL keeps connections by thread."""


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "areca-waiting")


# A forked process has none of the threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


def all_at_once(work: Callable[[Given], Found], given: Sequence[Given]) -> list[Found]:
    """Return what a function gives for each of several things, in their order.

    The last is done in the caller's thread, which would only wait. The function sees
    the caller's context, such as the signer of links, and must not call this one.

    An exception of the function comes through, not before all have ended: none then
    writes to an array that was given up.

    Args:
        work: What waits.
        given: What it takes, one at a time.
    """
    *others, last = given
    futures = [_pool().submit(copy_context().run, work, one) for one in others]
    try:
        found = work(last)
    finally:
        wait(futures)
    return [*(future.result() for future in futures), found]
