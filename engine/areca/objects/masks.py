"""Outlines of many masks at once: those of the instances in one tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.objects.corners import gather_in_order
from areca.objects.pieces import polygonise_block
from areca.tiles import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mask_outlines(
    masks: NDArray[np.bool_], *, row: int = 0, col: int = 0
) -> NDArray[np.object_]:
    """Return the edge of the pixels of each mask as one valid polygon or multipolygon.

    Pixels that meet only at a corner are parts of a multipolygon. The area is exactly
    the number of pixels; nothing is smoothed. Masks may overlap.

    Args:
        masks: Shape (n, height, width).
        row: Added to rows: the absolute row of the first one.
        col: Added to columns.

    Returns:
        Shape (n,): x to the right, y down; pixel (row, col) reaches from (col, row) to
        (col + 1, row + 1). An empty mask gives an empty polygon.
    """
    outlines = np.full(len(masks), shapely.Polygon(), object)
    if not masks.any():
        return outlines
    top, height = _extent(np.asarray(masks.any(axis=2)))
    left, width = _extent(np.asarray(masks.any(axis=1)))
    # One below the other in one raster, with an empty row between: tracing costs a
    # millisecond for a call, however little there is to trace.
    ends = np.cumsum(height + 1)
    place = ends - height - 1
    stack = np.zeros((int(ends[-1]), int(width.max())), np.uint8)
    for number, mask in enumerate(masks):
        rows = slice(top[number], top[number] + height[number])
        cols = slice(left[number], left[number] + width[number])
        there = slice(place[number], place[number] + height[number])
        stack[there, : width[number]] = mask[rows, cols]
    pieces = polygonise_block(
        stack, Window(0, 0, *stack.shape), skip=(0,), connectivity=8
    )
    parts, piece = shapely.get_parts(
        shapely.from_wkb(pieces["outline"].to_numpy(object)), return_index=True
    )
    first = pieces["row"].to_numpy()[piece]
    owner = np.searchsorted(ends, first, side="right")
    coordinates, part = shapely.get_coordinates(parts, return_index=True)
    shift = np.column_stack([left + col, top + row - place])
    moved = shapely.set_coordinates(parts, coordinates + shift[owner[part]])
    found, home = np.unique(owner, return_inverse=True)
    outlines[found] = gather_in_order(moved, home)
    return outlines


def _extent(some: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first true position and the length up to the last, shape (n,) each."""
    first = some.argmax(axis=1)
    length = some.shape[1] - some[:, ::-1].argmax(axis=1) - first
    return first, np.where(some.any(axis=1), length, 0)
