"""Contrast-limited adaptive histogram equalisation on cells of the lattice.

Zuiderveld 1994 (Graphics Gems IV). Contextual cells are counted from the origin of the
grid, not from the block, and their histograms have fixed bins; so a pixel is the same
in every block. The mappings of the four nearest cells are mixed, weighted by distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from areca.errors import GridError
from areca.features.windows import window_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer
    from areca.tiles import Window

BINS = 256


def clahe_reach(cell: float) -> int:
    """Return how far the cells around a pixel reach: one and a half of their edge.

    Less the pixel itself.
    """
    return int(cell + cell // 2) - 1


def clahe(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return values of even contrast, 0 to 1.

    A cell without a pixel takes no part; a mapping is the share of pixels of its cell
    up to a level, once no level has more than `clip` of the cell's pixels.

    Raises:
        GridError: The block does not say where it lies.
    """
    if layer.place is None:
        raise GridError(
            "clahe needs to know where its cells lie, and this block does not say "
            "where it lies; use areca.stack_features or areca.tiles.placed"
        )
    cell = int(options["cell"])
    levels = window_levels(layer, BINS, options["low"], options["high"])
    window = layer.place.window
    row_cells, row_share = _cells(window.row0, window.row1, cell)
    col_cells, col_share = _cells(window.col0, window.col1, cell)
    first = (window.row0 // cell - 1, window.col0 // cell - 1)
    shape = (window.row1 // cell + 2 - first[0], window.col1 // cell + 2 - first[1])
    maps, filled = _mappings(levels, window, (cell, options["clip"]), (first, shape))
    total = np.zeros(levels.shape, np.float64)
    weights = np.zeros(levels.shape, np.float64)
    bins = np.maximum(levels, 0)
    for down in (0, 1):
        rows = (row_cells + down - first[0])[:, None]
        of_row = (row_share if down else 1 - row_share)[:, None]
        for across in (0, 1):
            cols = (col_cells + across - first[1])[None, :]
            of_col = (col_share if across else 1 - col_share)[None, :]
            weight = np.where(filled[rows, cols], of_row * of_col, 0)
            total += weight * maps[rows, cols, bins]
            weights += weight
    return layer.where_valid(total / np.where(weights > 0, weights, 1))


def _cells(
    start: int, stop: int, cell: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the earlier of the two cells that a pixel lies between, and its share.

    The share is that of the later cell; a mapping holds at the middle of its cell.
    """
    place = (np.arange(start, stop) + 0.5) / cell - 0.5
    earlier = np.floor(place).astype(np.int64)
    return earlier, place - earlier


def _mappings(
    levels: NDArray[np.int16],
    window: Window,
    options: tuple[int, float],
    cells: tuple[tuple[int, int], tuple[int, int]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the mapping of each cell, shape (rows, cols, bins), and which have one."""
    cell, clip = options
    first, shape = cells
    rows = np.arange(window.row0, window.row1) // cell - first[0]
    cols = np.arange(window.col0, window.col1) // cell - first[1]
    number = (rows[:, None] * shape[1] + cols[None, :]) * BINS + levels
    counts = np.bincount(number[levels >= 0], minlength=shape[0] * shape[1] * BINS)
    counts = counts.reshape(*shape, BINS)
    pixels = counts.sum(axis=-1, keepdims=True)
    # What is cut off is dealt out evenly, once: a level can end just above the clip.
    most = np.maximum(clip * pixels, 1)
    clipped = np.minimum(counts, most)
    clipped += (pixels - clipped.sum(axis=-1, keepdims=True)) / BINS
    maps = np.cumsum(clipped, axis=-1) / np.maximum(pixels, 1)
    return maps, pixels[..., 0] > 0
