"""Tiles to forward passes: batches of one shape, the next queued while one is used."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.inference.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from areca.inference.predictor import Predictor
    from areca.inference.session import Session
    from areca.inference.views import View
    from areca.models.adapter import Raw
    from areca.tiles import Tile, Window

READ_AHEAD = 2
"""Forward passes that one block keeps in the queue: the one that runs, and the next."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass over a batch of tiles."""

    tiles: Sequence[Tile]
    """The tiles of the batch; the pass may be longer, filled up with zeros."""
    view: View
    """How the tiles were turned."""
    raw: Raw
    """What the model gave."""
    seconds: float
    """Time of the pass."""


def run_passes(
    pixels: NDArray[np.float32],
    padded: Window,
    tiles: Sequence[Tile],
    how: tuple[Predictor, Session],
) -> Iterator[Pass]:
    """Yield the forward passes of some tiles, batch by batch and view by view.

    Args:
        pixels: Shape (band, height, width) of `padded`, standardised, missing 0.
        padded: Absolute pixels; holds every tile with its halo.
        tiles: The tiles, in a fixed order.
        how: The predictor, and the model in memory.

    Yields:
        The passes; at most `READ_AHEAD` batches are in memory.
    """
    predictor, session = how
    options = predictor.options
    size = options.batch_size
    batches = [tiles[start : start + size] for start in range(0, len(tiles), size)]
    jobs = iter([(b, view) for b in batches for view in VIEWS[options.augment]])
    waiting: deque[tuple[Sequence[Tile], View, Future[tuple[Raw, float]]]] = deque()
    while True:
        while len(waiting) < READ_AHEAD and (job := next(jobs, None)) is not None:
            batch, view = job
            stack = view.of(_stack(pixels, padded, batch, predictor))
            future = session.submit(stack, options.torch_threads)
            waiting.append((batch, view, future))
        if not waiting:
            return
        batch, view, future = waiting.popleft()
        raw, seconds = future.result()
        yield Pass(tiles=batch, view=view, raw=raw, seconds=seconds)


def _stack(
    pixels: NDArray[np.float32],
    padded: Window,
    batch: Sequence[Tile],
    predictor: Predictor,
) -> NDArray[np.float32]:
    """Return tiles (n, band, tile, tile), filled up with zeros to one batch shape."""
    card = predictor.model.card
    shape = (predictor.options.batch_size, pixels.shape[0], card.tile_px, card.tile_px)
    stack = np.zeros(shape, np.float32)
    for number, tile in enumerate(batch):
        rows, cols = predictor.lattice.core(tile).grow(card.halo_px).slices_in(padded)
        stack[number] = pixels[:, rows, cols]
    return stack
