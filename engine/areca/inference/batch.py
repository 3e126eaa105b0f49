"""The batch size "auto": measured on a device by forward passes on empty batches.

1, 2, 4, 8, ... tiles. The next size is not tried where a block has no more tiles, where
the memory would pass `MEMORY_SHARE`, where the device has no room, or once a size was
not at least `GAIN` times as fast, in tiles per second, as the best before it. The
smallest size that no later one has beaten by that much is taken: a processor does not
hold tiles in memory that bring it nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from areca.errors import DeviceLostError, DeviceMemoryError, PredictError
from areca.inference.maps import maps_of
from areca.inference.session import check_model, session_of
from areca.runtime import (
    memory_limit_bytes,
    peak_memory_bytes,
    reset_peak_memory,
    resident_memory_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from areca.inference.predictor import Predictor
    from areca.inference.session import Session

MEMORY_SHARE = 0.5
"""Share of a process's part of the memory that the passes may take, with the model and
what the process holds. The rest is for the pixels of blocks, and for tiles that show
more objects than an empty one."""
GAIN = 1.05
"""By what factor a batch must be faster than a smaller one to be taken."""
REPEATS = 3
"""Passes that are timed; the fastest counts, as others work on the machine too."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Forward passes with one batch size on an empty batch."""

    batch_size: int
    seconds: float
    """Time of one pass; of passes that run side by side, their share of it."""
    idle_bytes: int
    """Memory of the process, or of its device, before the passes."""
    peak_bytes: int
    """Largest memory during the passes."""

    def tiles_per_s(self, tiles: int) -> float:
        """Return the speed over a block: its last batch is filled up.

        Args:
            tiles: Tiles of the block.
        """
        return tiles / (-(-tiles // self.batch_size) * self.seconds)


@dataclass(frozen=True, kw_only=True)
class MeasuredBatch:
    """Which batch size a device should get, and why."""

    batch_size: int
    reason: str
    """Why no larger one."""
    budget_bytes: int
    """Memory that was not to be passed."""
    trials: tuple[Trial, ...]
    """What was measured, the smallest batch first."""


def choose_batch(
    attempt: Callable[[int], Trial], *, tiles: int, budget_bytes: int
) -> MeasuredBatch:
    """Return the batch size that some trials speak for.

    Args:
        attempt: Runs passes of a batch size; may raise `DeviceMemoryError`.
        tiles: Tiles of a whole block; batches never cross blocks.
        budget_bytes: Memory that must not be passed.
    """
    best = attempt(1)
    trials, reason = [best], ""
    while not reason:
        last = trials[-1]
        size = 2 * last.batch_size
        # Not tried where twice the memory of half the batch would be too much: on a
        # processor there is no error to catch, the system ends the process.
        ahead = last.idle_bytes + 2 * (last.peak_bytes - last.idle_bytes)
        if size > tiles:
            reason = f"a block has {tiles} tiles"
        elif ahead > budget_bytes:
            reason = f"{size} tiles would take more than the memory allowed"
        else:
            trial, reason = _try(attempt, size)
            if trial is None:
                continue
            trials.append(trial)
            if trial.peak_bytes > budget_bytes:
                reason = f"{size} tiles take more than the memory allowed"
            elif trial.tiles_per_s(tiles) < GAIN * best.tiles_per_s(tiles):
                reason = f"{size} tiles a pass are not {GAIN - 1:.0%} faster"
            else:
                best = trial
    return MeasuredBatch(
        batch_size=best.batch_size,
        reason=reason,
        budget_bytes=budget_bytes,
        trials=tuple(trials),
    )


def _try(attempt: Callable[[int], Trial], size: int) -> tuple[Trial | None, str]:
    """Return a trial, or why there is none.

    Raises:
        DeviceLostError: The device answers no more.
    """
    try:
        return attempt(size), ""
    except DeviceLostError:
        raise
    except DeviceMemoryError:
        return None, f"{size} tiles do not fit into the memory of the device"
    except (PredictError, RuntimeError, ValueError) as error:
        # A graph that was exported for one batch size.
        return None, f"the model fails on {size} tiles: {str(error).splitlines()[0]}"


def measure_batch(predictor: Predictor, *, sharers: int = 1) -> MeasuredBatch:
    """Measure the batch size of a model on the device of this process.

    The passes are those of a block: the same threads, two at once where blocks run two
    at once, class maps made on the device where blocks make them there.

    Args:
        predictor: The model and how to run it; its batch size is not read.
        sharers: Processes that use this device (for "cpu": this machine's memory).

    Returns:
        What was measured. `areca.errors.ModelError` where the model does not fit its
        card, `areca.errors.DeviceMemoryError` where not even one tile fits.
    """
    one = replace(predictor.options, batch_size=1)
    check_model(predictor.model, one)
    session = session_of(predictor.model, one)
    memory: HostMemory | DeviceMemory = HostMemory(sharers)
    if session.device.type == "cuda":
        memory = DeviceMemory(session.device, sharers)
    side = predictor.options.block_tiles + 2 * predictor.ring_tiles
    return choose_batch(
        partial(_attempt, replace(predictor, options=one), session, memory),
        tiles=side**2,
        budget_bytes=memory.budget_bytes,
    )


def _attempt(
    predictor: Predictor,
    session: Session,
    memory: HostMemory | DeviceMemory,
    size: int,
) -> Trial:
    card, threads = predictor.model.card, predictor.options.torch_threads
    maps = maps_of(predictor) if session.reduces else None
    idle = memory.now_bytes()
    shape = (size, len(card.bands), card.tile_px, card.tile_px)
    batches = [session.lend(shape) for _ in range(session.lanes)]
    for batch in batches:
        batch.fill(0)
    seconds = []
    try:
        # The first passes plan their kernels and touch new memory; they are not timed.
        for _ in range(1 + REPEATS):
            start = time.perf_counter()
            passes = [session.submit(batch, threads, maps) for batch in batches]
            # All of them, also where one fails: the others still read their batch.
            failed = [error for done in passes if (error := done.exception())]
            if failed:
                raise failed[0]
            seconds.append((time.perf_counter() - start) / len(passes))
    finally:
        for batch in batches:
            session.take_back(batch)
    return Trial(
        batch_size=size,
        seconds=min(seconds[1:]),
        idle_bytes=idle,
        peak_bytes=memory.peak_bytes(),
    )


class HostMemory:
    """Memory of this process, for a model on the processor."""

    def __init__(self, sharers: int) -> None:
        """Allow a share of what this process may use."""
        self.budget_bytes = int(MEMORY_SHARE * memory_limit_bytes(sharers))

    def now_bytes(self) -> int:
        """Return what is used, and let the peak start anew."""
        reset_peak_memory()
        return resident_memory_bytes()

    def peak_bytes(self) -> int:
        """Return the largest memory since `now_bytes`."""
        return peak_memory_bytes()


class DeviceMemory:
    """Memory of a CUDA device that torch holds for this process."""

    def __init__(self, device: torch.device, sharers: int) -> None:
        """Allow a share of this process's part, and of what is free."""
        self._device = device
        free, total = torch.cuda.mem_get_info(device)
        mine = torch.cuda.memory_reserved(device)
        self.budget_bytes = int(MEMORY_SHARE * min(total / sharers, free + mine))

    def now_bytes(self) -> int:
        """Return what is used, and let the peak start anew."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        return torch.cuda.memory_allocated(self._device)

    def peak_bytes(self) -> int:
        """Return the largest memory since `now_bytes`, with what torch keeps."""
        return torch.cuda.max_memory_reserved(self._device)
