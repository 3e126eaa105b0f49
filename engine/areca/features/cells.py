"""Cells of the lattice: what sums over a region are taken over.

Chunks, workers and crops divide a region otherwise each time; cells lie on the grid of
the CRS, so a sum within one has the same pixels in the same order whatever is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.tiles import BlockGrid, Lattice, chunks_of, cube_geobox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from areca.tiles import Window
    from areca.tiles.padded import Chunks

CELL_PX = 512
"""Edge of the cells that sums are taken over."""
CELLS_ASIDE = 4
"""A task takes so many cells each way."""


def cell_parts(cube: xr.DataArray) -> Iterator[tuple[Window, Chunks]]:
    """Yield parts of a cube that are made of whole cells, row by row; nothing is read.

    Args:
        cube: Dims (band, y, x) with a CRS.

    Yields:
        The absolute pixels of a part, and what a delayed function is given of them,
        for `areca.tiles.join_chunks`.
    """
    geobox = cube_geobox(cube)
    lattice = Lattice.of(geobox, core_px=CELL_PX)
    region = lattice.window(geobox)
    grid = BlockGrid(
        lattice=lattice, region=region, tiles_down=CELLS_ASIDE, tiles_across=CELLS_ASIDE
    )
    for block in grid.blocks():
        window = block.window.intersection(region)
        if window is not None:
            rows, cols = window.slices_in(region)
            yield window, chunks_of(cube.isel(y=rows, x=cols).data)


def sampled_cells(
    window: Window, step: int
) -> Iterator[tuple[tuple[int, int], slice, slice]]:
    """Yield the cells of a window, and which of its pixels stand for each.

    Args:
        window: Absolute pixels.
        step: One of so many rows and columns, counted from the origin of the grid.

    Yields:
        Row and column of the cell, and the rows and columns of the window.
    """
    for row in range(window.row0 // CELL_PX, -(-window.row1 // CELL_PX)):
        rows = _sampled(row, window.row0, window.row1, step)
        for col in range(window.col0 // CELL_PX, -(-window.col1 // CELL_PX)):
            yield (row, col), rows, _sampled(col, window.col0, window.col1, step)


def _sampled(cell: int, start: int, stop: int, step: int) -> slice:
    first = max(cell * CELL_PX, start)
    first += -first % step
    return slice(first - start, min((cell + 1) * CELL_PX, stop) - start, step)
