"""Simplification of all regions together: shared borders stay shared.

What a border looks like afterwards may depend on everything near it, so it is decided
once for a whole coverage: a fixed cell of the pixel grid, anchored to the origin of the
CRS like everything else here, whatever the blocks. Corners on the lines between cells
stay, and simplification only takes corners out, so the pieces of a border in two cells
still meet. What is kept is a set of points; every outline is drawn through the points
that lie on it, wherever the rest of it was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.objects.pieces import polygonise_block
from areca.objects.rings import draw_through
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CELL_PX = 512
"""Edge of the fixed cells, pixels from the origin of the CRS."""


def points_to_keep(
    labels: NDArray[np.integer], window: Window, tolerance_px: float
) -> NDArray[np.int64]:
    """Return the points that the borders of a block keep.

    Args:
        labels: Class of each pixel, shape (height, width) of the window. All classes
            count, also those that are no objects: give these one number.
        window: Whole cells, or less of them at the edge of the raster; absolute pixels.
        tolerance_px: Square root of the area of the smallest triangle that stays.

    Returns:
        x and y in absolute pixels, shape (n, 2), each point once.
    """
    found = [np.empty((0, 2), np.int64)]
    for cell in _cells(window):
        kept = _points_of_cell(labels[cell.slices_in(window)], tolerance_px)
        found.append(kept + np.array([cell.col0, cell.row0]))
    return np.unique(np.concatenate(found), axis=0)


def points_on(
    outlines: NDArray[np.object_], points: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the points that lie on outlines along pixel edges.

    Args:
        outlines: Shape (n,).
        points: What `points_to_keep` returned for the block they were traced in.
    """
    if not len(outlines):
        return np.empty((0, 2), np.int64)
    drawn = shapely.get_coordinates(draw_through(outlines, points))
    return np.unique(drawn.astype(np.int64), axis=0)


def _cells(window: Window) -> Iterator[Window]:
    for row in range(window.row0 // CELL_PX, -(-window.row1 // CELL_PX)):
        for col in range(window.col0 // CELL_PX, -(-window.col1 // CELL_PX)):
            top, left = row * CELL_PX, col * CELL_PX
            cell = Window(top, left, top + CELL_PX, left + CELL_PX)
            part = cell.intersection(window)
            if part is not None:
                yield part


def _points_of_cell(
    labels: NDArray[np.integer], tolerance_px: float
) -> NDArray[np.int64]:
    height, width = labels.shape
    # Counted from the cell: the same sums wherever it lies on the Earth.
    regions = polygonise_block(labels, Window(0, 0, height, width), nodata=None)
    outlines = shapely.from_wkb(regions["outline"].to_numpy(object))
    corners = np.unique(shapely.get_coordinates(outlines).astype(np.int64), axis=0)
    if len(outlines) == 1:
        return corners
    # Neighbours need the same vertices: a corner of one may lie on an edge of another.
    coverage = draw_through(outlines, corners)
    simple = shapely.coverage_simplify(coverage, tolerance_px, simplify_boundary=False)
    return np.unique(shapely.get_coordinates(simple).astype(np.int64), axis=0)
