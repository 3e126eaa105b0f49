"""The task of one block in a lazy graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from dask.delayed import delayed

from areca.inference.block import predict_block
from areca.tiles import (
    Window,
    block_array,
    chunks_of,
    join_chunks,
    pad_block,
    slice_padded,
    valid_where,
)

if TYPE_CHECKING:
    import xarray as xr
    from dask.delayed import Delayed

    from areca.inference.block import BlockPrediction
    from areca.inference.predictor import Predictor
    from areca.tiles import Block, Tile
    from areca.tiles.padded import Chunks


@dataclass(frozen=True, kw_only=True)
class Work:
    """The task of one block, and what it must know beside its pixels."""

    block: Block
    tiles: tuple[Tile, ...]
    halo_px: int
    """Pixels beyond each side of the block that its tiles see."""
    key: str
    """Name of the task; equal for equal pixels, predictor and block."""
    have: Window | None = None
    """What the cube has of the padded block, counted from the cube's first pixel."""
    want: Window | None = None
    """The padded block, counted from the cube's first pixel."""
    bands: tuple[str, ...] = ()
    nodata: float | None = None

    def __call__(self, chunks: Chunks, predictor: Predictor) -> BlockPrediction:
        """Return what the model says of the block.

        Args:
            chunks: What the cube has of the padded block (`areca.tiles.chunks_of`),
                shape (band, height, width).
            predictor: The model on its lattice.
        """
        pixels = join_chunks(chunks)
        valid = valid_where(pixels, self.nodata)
        have, want = self.have, self.want
        if have is not None and want is not None and have != want:
            seen = np.ones(pixels.shape, bool) if valid is None else valid
            valid = pad_block(seen, have, want, fill=False)
            pixels = pad_block(pixels, have, want, fill=0)
        block = block_array(pixels, self.bands, valid)
        return predict_block(block, self.block.window, self.tiles, predictor)


def whole(value: object, name: str) -> Delayed:
    """Return a value as one leaf of the graph, with a name of its own.

    Dask walks through all fields of a dataclass in every task that is given it, which
    was most of the cost of a graph; a leaf it takes as it is.

    Args:
        value: Anything.
        name: Its key in the graph; equal for equal values only.
    """
    return cast("Delayed", delayed(value, name=name, traverse=False))


def lazy_block(
    cube: xr.DataArray, window: Window, work: Work, predictor: Delayed
) -> Delayed:
    """Return the lazy candidates of one block: one task that reads its padded part.

    Args:
        cube: The bands that the model needs.
        window: The cube's pixels on the lattice.
        work: The block, without its part of the cube.
        predictor: The model on its lattice, one leaf for all blocks (`whole`).
    """
    want, (row, col) = work.block.window.grow(work.halo_px), (window.row0, window.col0)
    local = Window(want.row0 - row, want.col0 - col, want.row1 - row, want.col1 - col)
    part, have = slice_padded(cube, local)
    bands = tuple(map(str, cube.band.values))
    task = replace(work, have=have, want=local, bands=bands, nodata=cube.rio.nodata)
    run = whole(task, f"{work.key}-work")
    return cast("Delayed", run(chunks_of(part.data), predictor, dask_key_name=work.key))
