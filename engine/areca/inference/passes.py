"""Tiles to forward passes: batches of one shape, the next queued while one is used."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from typing_extensions import override

from areca.features import inputs_of, standardize
from areca.inference.lanes import next_block
from areca.inference.maps import maps_of
from areca.inference.views import VIEWS
from areca.tiles import validity, with_nan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    import xarray as xr
    from numpy.typing import NDArray

    from areca.features import FeatureStack
    from areca.inference.predictor import Predictor
    from areca.inference.session import Session
    from areca.inference.views import View
    from areca.models.adapter import Raw
    from areca.models.card import ModelCard
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


STRIP_PX = 64
"""Rows that features are made of at a time, so that they stay in the cache."""


class _Waiting(NamedTuple):
    """A forward pass in the queue."""

    tiles: Sequence[Tile]
    view: View
    stack: NDArray[np.float32]
    future: Future[tuple[Raw, float]]


class Features:
    """What a model sees of a block, before it is standardised."""

    def __init__(
        self, pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> None:
        """Look where something was seen.

        Args:
            pixels: Shape (band, height, width), any numbers; floats are not finite
                where missing.
            valid: The same shape: where integers are not missing; None where none is.
        """
        if pixels.dtype.kind == "f":
            pixels = pixels.astype(np.float32, copy=False)
            finite = np.isfinite(pixels)
            valid = finite if valid is None else finite & valid
        self.pixels = pixels
        self._valid = None if valid is None or valid.all() else valid

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.pixels)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where any band was seen, shape (height, width); not to be written to."""
        if self._valid is None:
            return np.broadcast_to(np.True_, self.pixels.shape[1:])
        return np.asarray(self._valid.any(axis=0))

    def put(
        self, rows: slice, cols: slice, card: ModelCard, out: NDArray[np.float32]
    ) -> None:
        """Standardise a part of the block, missing pixels 0.

        Tile by tile: a tile stays in the cache of the processor, a block would not.

        Args:
            rows: Rows of the part.
            cols: Its columns.
            card: Its statistics.
            out: Shape (band, rows, columns), where the part goes.
        """
        standardize(self.pixels[:, rows, cols], card.mean, card.std, out=out)
        if self._valid is not None:
            np.copyto(out, np.float32(0), where=~self._valid[:, rows, cols])


class FusedFeatures(Features):
    """Indices and formulas, made of a tile when it is cut.

    In the cache of the processor they cost a fraction of a pass over the block. What
    needs its surroundings is made once a block instead, as tiles overlap.
    """

    def __init__(self, block: xr.DataArray, stack: FeatureStack) -> None:
        """Take a block in the numbers of its files.

        Args:
            block: A block of `areca.tiles.block_array`, with the bands that are needed.
            stack: What to make of it, pixel by pixel.
        """
        super().__init__(block.to_numpy(), validity(block))
        self._names = [str(name) for name in block.band.values]
        self._stack = stack

    @property
    @override
    def count(self) -> int:
        return len(self._stack.features)

    @property
    @override
    def valid(self) -> NDArray[np.bool_]:
        if self._valid is None:
            return super().valid
        names = self._names
        bands = dict(zip(names, self._valid, strict=True))
        # A feature was seen where all the bands that it is made of were.
        each = (inputs_of([text], names) for text in self._stack.features)
        seen = [np.logical_and.reduce([bands[n] for n in needed]) for needed in each]
        return np.asarray(np.logical_or.reduce(seen))

    @override
    def put(
        self, rows: slice, cols: slice, card: ModelCard, out: NDArray[np.float32]
    ) -> None:
        for start in range(rows.start, rows.stop, STRIP_PX):
            strip = slice(start, min(start + STRIP_PX, rows.stop))
            there = None if self._valid is None else self._valid[:, strip, cols]
            into = out[:, strip.start - rows.start : strip.stop - rows.start]
            floats = with_nan(self.pixels[:, strip, cols], there)
            self._stack.fill(floats, self._names, into)
            standardize(into, card.mean, card.std, out=into)
            missing = np.isnan(into)
            if missing.any():
                np.copyto(into, np.float32(0), where=missing)


def run_passes(
    features: Features,
    padded: Window,
    tiles: Sequence[Tile],
    how: tuple[Predictor, Session],
) -> Iterator[Pass]:
    """Yield the forward passes of some tiles, batch by batch and view by view.

    Args:
        features: The pixels of `padded`.
        padded: Absolute pixels; holds every tile with its halo.
        tiles: The tiles, in a fixed order.
        how: The predictor, and the model in memory.

    Yields:
        The passes; at most `READ_AHEAD` batches are in memory.
    """
    predictor, session = how
    options = predictor.options
    size = options.batch_tiles
    maps = maps_of(predictor) if session.reduces else None
    batches = [tiles[start : start + size] for start in range(0, len(tiles), size)]
    jobs = iter([(b, view) for b in batches for view in VIEWS[options.augment]])
    waiting: deque[_Waiting] = deque()
    block = next_block()
    while True:
        while len(waiting) < READ_AHEAD and (job := next(jobs, None)) is not None:
            batch, view = job
            stack = _stack(features, padded, batch, how)
            future = session.submit(
                view.of(stack), options.torch_threads, maps, block=block
            )
            waiting.append(_Waiting(batch, view, stack, future))
        if not waiting:
            return
        first = waiting.popleft()
        raw, seconds = first.future.result()
        yield Pass(tiles=first.tiles, view=first.view, raw=raw, seconds=seconds)
        session.take_back(first.stack)  # not before: an answer may be a view of it


def _stack(
    features: Features,
    padded: Window,
    batch: Sequence[Tile],
    how: tuple[Predictor, Session],
) -> NDArray[np.float32]:
    """Return tiles (n, band, tile, tile), filled up with zeros to one batch shape."""
    predictor, session = how
    card = predictor.model.card
    bands = features.count
    stack = session.lend(
        (predictor.options.batch_tiles, bands, card.tile_px, card.tile_px)
    )
    for number, tile in enumerate(batch):
        rows, cols = predictor.lattice.core(tile).grow(card.halo_px).slices_in(padded)
        features.put(rows, cols, card, stack[number])
    stack[len(batch) :] = 0
    return stack
