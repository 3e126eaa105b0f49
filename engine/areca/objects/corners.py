"""Outlines along pixel edges, kept as corners that can be added.

A set of pixels is its indicator I (1 inside, 0 outside). The second difference
``I(x, y) - I(x - 1, y) - I(x, y - 1) + I(x - 1, y - 1)`` is zero but at the corners of
the outline: +1 or -1 where it turns, +2 or -2 where two pixels touch in a corner only.
It is linear: the corners of two disjoint sets, added, are the corners of their union.
So parts of an object are united by adding whole numbers, and what is left on a former
seam cancels to zero; no floating-point overlay takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from areca.errors import InputError
from areca.objects.groups import first_of_each

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ROOM = 2**62


@dataclass(frozen=True)
class Corners:
    """Corners of many parts; a part is a set of pixels joined by their edges."""

    part: NDArray[np.int64]
    """Number of the part, shape (n,)."""
    x: NDArray[np.int64]
    """Absolute pixel edge to the right, shape (n,)."""
    y: NDArray[np.int64]
    """Absolute pixel edge downwards, shape (n,)."""
    jump: NDArray[np.int64]
    """Second difference of the indicator, shape (n,)."""

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Corners:
        """Return some of the corners.

        Args:
            chosen: Positions, or shape (n,) of booleans.
        """
        return Corners(
            self.part[chosen], self.x[chosen], self.y[chosen], self.jump[chosen]
        )


def _order(
    major: NDArray[np.int64], middle: NDArray[np.int64], minor: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the order by three keys; one sort of a joint key where that has room."""
    middle, minor = middle - middle.min(), minor - minor.min()
    spans = [int(key.max()) + 1 for key in (major, middle, minor)]
    if spans[0] * spans[1] * spans[2] >= _ROOM:
        return np.lexsort((minor, middle, major))
    order: NDArray[np.int64] = np.argsort(
        (major * spans[1] + middle) * spans[2] + minor
    )
    return order


def add_corners(corners: Corners) -> Corners:
    """Add the corners that lie on one spot of one part and drop those that cancel.

    Returns:
        Corners ordered by part, y and x; each spot once.
    """
    if not len(corners.part):
        return corners
    ordered = corners.take(_order(corners.part, corners.y, corners.x))
    fresh = np.ones(len(ordered.part), bool)
    fresh[1:] = (
        (np.diff(ordered.part) != 0)
        | (np.diff(ordered.y) != 0)
        | (np.diff(ordered.x) != 0)
    )
    starts = np.flatnonzero(fresh)
    jump = np.add.reduceat(ordered.jump, starts)
    kept = starts[jump != 0]
    return Corners(
        ordered.part[kept], ordered.x[kept], ordered.y[kept], jump[jump != 0]
    )


def outline_corners(polygons: NDArray[np.object_]) -> Corners:
    """Return the corners of polygons; part i is polygon i.

    Collinear vertices give two corners that cancel when added.

    Args:
        polygons: Valid polygons with axis-parallel edges between whole pixels,
            shape (n,).

    Raises:
        InputError: an edge is oblique or ends within a pixel.
    """
    if not len(polygons):
        return Corners(*(np.empty(0, np.int64) for _ in range(4)))
    turned = shapely.orient_polygons(polygons, exterior_cw=True)
    _, coordinates, (rings, shells) = shapely.to_ragged_array(turned)
    whole = coordinates.astype(np.int64)
    vertices = np.diff(rings[shells])
    part = np.repeat(np.arange(len(polygons)), vertices)
    edge = np.ones(len(whole), bool)
    edge[rings[1:] - 1] = False
    start = np.flatnonzero(edge)
    moves = whole[start + 1] != whole[start]
    if (whole != coordinates).any() or moves.all(axis=1).any():
        raise InputError(
            f"{len(polygons)} outlines hold an edge that does not follow pixel edges; "
            "give outlines in pixels, before they are simplified or projected"
        )
    start = start[moves[:, 0]]  # the horizontal edges meet every corner once
    spots = np.concatenate([start, start + 1])
    jump = np.repeat(np.array([-1, 1]), len(start))
    return Corners(part[spots], whole[spots, 0], whole[spots, 1], jump)


def _links(corners: Corners) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Link added corners to rings.

    In a row of pixel edges, and in a column, the corners of a part come in pairs, the
    ends of one edge. A corner of two touching pixels stands there twice; it is passed
    so that the pixels outside are kept apart, which makes every ring simple: a hole
    touches its shell in a point instead of the shell touching itself.

    Returns:
        The corner of each vertex and the vertex that follows it, shape (m,) each.
    """
    times = np.abs(corners.jump)
    owner = np.repeat(np.arange(len(times)), times)
    first = np.cumsum(times) - times
    down = _order(corners.part, corners.x, corners.y)
    begin = np.cumsum(times[down]) - times[down]
    copy = np.arange(len(owner)) - np.repeat(begin, times[down])
    copy = np.where(np.repeat(corners.jump[down], times[down]) == 2, 1 - copy, copy)
    column = np.repeat(first[down], times[down]) + copy
    along = np.arange(len(owner)) ^ 1
    across = np.empty_like(along)
    across[column[0::2]], across[column[1::2]] = column[1::2], column[0::2]
    return owner, np.where(corners.jump[owner] > 0, across, along)


def trace(corners: Corners) -> NDArray[np.object_]:
    """Return one valid polygon per part, in the order of the part numbers.

    Every ring starts at its upper left corner and has no collinear vertices; shells
    run clockwise in pixel coordinates (counter-clockwise on a map, where y points up),
    holes the other way and in the order of their first corners. So equal sets of
    pixels give equal bytes.

    Args:
        corners: What `add_corners` returned, of parts joined by pixel edges.
    """
    if not len(corners.part):
        return np.empty(0, object)
    owner, follow = _links(corners)
    count = len(owner)
    rows = np.arange(count + 1)
    graph = csr_array((np.ones(count, np.int8), follow, rows), shape=(count, count))
    number, ring = connected_components(graph, connection="strong")
    leader = first_of_each(ring)
    sizes = np.bincount(ring)[np.argsort(leader)]
    leader = np.sort(leader)
    # The rings in a row as one path: SciPy then walks all of them in one call.
    before = np.empty(count, np.int64)
    before[follow] = rows[:count]
    follow[before[leader[:-1]]] = leader[1:]
    graph = csr_array((np.ones(count, np.int8), follow, rows), shape=(count, count))
    path = breadth_first_order(graph, 0, return_predecessors=False)
    path = np.insert(path, np.cumsum(sizes), leader)
    spots = owner[path]
    coordinates = np.column_stack([corners.x[spots], corners.y[spots]]).astype(float)
    part = corners.part[owner[leader]]
    shells = np.append(np.flatnonzero(np.diff(part, prepend=-1)), number)
    rings = np.append(0, np.cumsum(sizes + 1))
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, coordinates, (rings, shells)
    )
    return np.asarray(polygons, object)


def gather(
    polygons: NDArray[np.object_], rows: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Gather polygons to one geometry per row: a multipolygon where there are several.

    Args:
        polygons: Shape (n,).
        rows: Ascending row of each polygon, every row from 0 on at least once.

    Returns:
        Shape (row,).
    """
    if not len(rows):
        return np.empty(0, object)
    parts = np.bincount(rows)
    gathered: NDArray[np.object_] = polygons[np.cumsum(parts) - parts]
    several = parts > 1
    chosen = several[rows]
    if chosen.any():
        ranks = np.cumsum(several) - 1
        gathered[several] = shapely.multipolygons(
            polygons[chosen], indices=ranks[rows[chosen]]
        )
    return gathered


def canonical(geometries: ArrayLike) -> NDArray[np.object_]:
    """Return outlines with one order of rings and without collinear vertices.

    Outlines of the same pixels become equal byte for byte, whoever drew them.

    Args:
        geometries: Valid polygons or multipolygons along pixel edges, shape (n,);
            others are refused as by `outline_corners`.

    Returns:
        Shape (n,).
    """
    parts, rows = shapely.get_parts(np.atleast_1d(geometries), return_index=True)
    return gather_in_order(trace(add_corners(outline_corners(parts))), rows)


def gather_in_order(
    polygons: NDArray[np.object_], rows: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Gather polygons as `gather` does, the parts of a row in the order of `canonical`.

    Args:
        polygons: Traced, shape (n,), in any order within a row.
        rows: As for `gather`.

    Returns:
        Shape (row,).
    """
    first = shapely.get_point(shapely.get_exterior_ring(polygons), 0)
    order = np.lexsort((shapely.get_x(first), shapely.get_y(first), rows))
    return gather(polygons[order], rows)
