"""Blocks to workers: a bounded number in flight, one retry, holes listed."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Protocol

from distributed import as_completed
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from areca.catalog import redact
from areca.errors import RunError
from areca.runs.block_task import run_block
from areca.runs.ledger import BlockDone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client, Future

    from areca.runs.ledger import Ledger
    from areca.runs.plan import RunPlan
    from areca.tiles import Block

QUEUED_PER_WORKER = 1
"""Blocks that wait at a worker beyond those that run, so that none has to idle."""
TRIES = 2
"""A block that fails is tried once more, after all others."""


class Progress(Protocol):
    """Told of every block that ends; may draw a bar."""

    def __call__(self, done: BlockDone, *, total: int, resumed: bool) -> None:
        """Take note of one block."""


def run_blocks(
    client: Client, plan: RunPlan, ledger: Ledger, progress: Progress
) -> tuple[list[BlockDone], int]:
    """Run the blocks that are not done yet.

    The graph never holds the region: a few blocks per worker are in flight, and each
    returns about 1 kB. A lost scheduler ends in `RunError`; finished blocks are kept.

    Args:
        client: Where to run.
        plan: The blocks.
        ledger: What is done already.
        progress: Told of every block that ends.

    Returns:
        The report of every block, in the order of the plan (those with an `error`
        failed twice), and how many were done before.
    """
    total = len(plan.blocks)
    reports: dict[str, BlockDone] = {}
    waiting: deque[tuple[Block, int]] = deque()
    for block in plan.blocks:
        done = ledger.find(block)
        if done is None:
            waiting.append((block, 1))
        else:
            reports[done.name] = done
            progress(done, total=total, resumed=True)
    resumed = len(reports)
    for done in _drain(client, plan, ledger, waiting):
        reports[done.name] = done
        progress(done, total=total, resumed=False)
    return [reports[block.name] for block in plan.blocks], resumed


def _drain(
    client: Client, plan: RunPlan, ledger: Ledger, waiting: deque[tuple[Block, int]]
) -> Iterator[BlockDone]:
    """Yield the report of each block as it ends; failed ones join the queue once."""
    running: dict[object, tuple[Block, int]] = {}
    ended = as_completed()
    while waiting or running:
        # Asked each time: workers may come and go.
        limit = _in_flight(client)
        while waiting and len(running) < limit:
            block, attempt = waiting.popleft()
            future = client.submit(run_block, plan.task(block, ledger), pure=False)
            running[future.key] = (block, attempt)
            ended.add(future)
        future = next(ended)
        block, attempt = running.pop(future.key)
        done = _report(future, block, ledger)
        if done.error is not None and attempt < TRIES:
            waiting.append((block, attempt + 1))
        else:
            yield done


def submit_to(
    client: Client, worker: str, work: Callable[..., Any], *given: object
) -> Future[Any]:
    """Submit a task that one worker should run.

    If that worker dies, another one runs it: a task for it alone would wait for ever.

    Args:
        client: Where to run.
        worker: Address of the worker.
        work: What to do.
        given: Its arguments.

    Returns:
        The future.
    """
    return client.submit(
        work, *given, workers=[worker], allow_other_workers=True, pure=False
    )


def gather(client: Client, futures: list[Future[Any]], doing: str) -> list[Any]:
    """Return the results of tasks that must all succeed.

    Args:
        client: Where they run.
        futures: The tasks.
        doing: What they do, for the message.

    Raises:
        RunError: Their workers were lost.
    """
    try:
        return list(client.gather(futures))
    except (FutureCancelledError, CommClosedError, KilledWorker) as error:
        raise RunError(
            f"workers were lost while {doing} ({error}); all blocks are kept: run the "
            "same command to resume"
        ) from error


def _report(future: Future[BlockDone], block: Block, ledger: Ledger) -> BlockDone:
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        # A worker that died (KilledWorker) or a defect; the block is a hole, named.
        error = future.exception()
        text = redact(f"{type(error).__name__}: {error}{_place(future)}")
        return BlockDone(name=block.name, key=ledger.key, error=text)
    raise RunError(
        f"the scheduler is lost (block {block.name} is {future.status}); finished "
        "blocks are kept: run the same command to resume"
    )


def _place(future: Future[BlockDone]) -> str:
    """Return where a defect arose; empty for a worker that died."""
    frames = extract_tb(future.traceback())
    last = frames[-1] if frames else None
    return f" ({Path(last.filename).name}, line {last.lineno})" if last else ""


def _in_flight(client: Client) -> int:
    threads = client.nthreads()
    return sum(threads.values()) + QUEUED_PER_WORKER * len(threads) or 1
