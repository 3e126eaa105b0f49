"""Blocks to workers: a bounded number in flight, one retry, holes listed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from distributed import as_completed

from areca.errors import RunError
from areca.runs.block_task import BlockDone, BlockTask, find_done, run_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client, Future

QUEUED_PER_WORKER = 1
"""Blocks that wait at a worker beyond those that run, so that none has to idle."""
TRIES = 2
"""A block that fails is tried once more, after all others."""


class Progress(Protocol):
    """Told of every block that ends; may draw a bar."""

    def __call__(self, done: BlockDone, *, total: int, resumed: bool) -> None:
        """Take note of one block."""


def run_blocks(
    client: Client, tasks: Sequence[BlockTask], progress: Progress
) -> tuple[list[BlockDone], int]:
    """Run the blocks that are not done yet.

    The graph never holds the region: a few blocks per worker are in flight, and each
    returns about 1 kB.

    Args:
        client: Where to run.
        tasks: All blocks, in order.
        progress: Told of every block that ends.

    Returns:
        The report of every block, in the order of the tasks (those with an `error`
        failed twice), and how many were done before.
    A lost scheduler ends in `RunError`; finished blocks are kept.
    """
    reports: dict[str, BlockDone] = {}
    waiting: deque[tuple[BlockTask, int]] = deque()
    for task in tasks:
        done = find_done(task)
        if done is None:
            waiting.append((task, 1))
        else:
            reports[done.name] = done
            progress(done, total=len(tasks), resumed=True)
    resumed = len(reports)
    for done in _drain(client, waiting):
        reports[done.name] = done
        progress(done, total=len(tasks), resumed=False)
    return [reports[task.block.name] for task in tasks], resumed


def _drain(
    client: Client, waiting: deque[tuple[BlockTask, int]]
) -> Iterator[BlockDone]:
    """Yield the report of each block as it ends; failed ones join the queue once."""
    running: dict[object, tuple[BlockTask, int]] = {}
    ended = as_completed()
    limit = _in_flight(client)
    while waiting or running:
        while waiting and len(running) < limit:
            task, attempt = waiting.popleft()
            future = client.submit(run_block, task, pure=False)
            running[future.key] = (task, attempt)
            ended.add(future)
        future = next(ended)
        task, attempt = running.pop(future.key)
        done = _report(future, task)
        if done.error is not None and attempt < TRIES:
            waiting.append((task, attempt + 1))
        else:
            yield done


def _report(future: Future[BlockDone], task: BlockTask) -> BlockDone:
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        # A worker that died (KilledWorker) or a defect; the block is a hole, named.
        error = future.exception()
        text = f"{type(error).__name__}: {error}"
        return BlockDone(name=task.block.name, key=task.key, error=text)
    raise RunError(
        f"the scheduler is lost (block {task.block.name} is {future.status}); finished "
        "blocks are kept: run the same command to resume"
    )


def _in_flight(client: Client) -> int:
    threads = client.nthreads()
    return sum(threads.values()) + QUEUED_PER_WORKER * len(threads) or 1
