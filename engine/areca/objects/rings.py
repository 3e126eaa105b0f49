"""Rings of outlines as one array: through given points, or without small holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from areca.objects.corners import canonical, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def draw_through(
    outlines: NDArray[np.object_], points: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Draw outlines along pixel edges again, through given points only.

    Args:
        outlines: Polygons and multipolygons along pixel edges, shape (n,).
        points: Shape (m, 2): x and y of whole pixels, each once. At least three lie on
            each ring.

    Returns:
        The same rings with a vertex at every point that lies on them, wherever on an
        edge, and nowhere else. Shape (n,).
    """
    parts, rows = shapely.get_parts(outlines, return_index=True)
    if not len(parts):
        return outlines
    _, coordinates, (rings, shells) = shapely.to_ragged_array(parts)
    corners = coordinates.astype(np.int64)
    ring = np.repeat(np.arange(len(rings) - 1), np.diff(rings))
    edge = np.ones(len(corners), bool)
    edge[rings[1:] - 1] = False
    start = np.flatnonzero(edge)
    found = _points_on(corners[start], corners[start + 1], points)
    vertices = points[found.point]
    of_ring = ring[start][found.edge]
    # Every ring again ends where it began.
    first = np.flatnonzero(np.diff(of_ring, prepend=-1))
    counts = np.bincount(of_ring, minlength=len(rings) - 1)
    closed = np.insert(vertices, np.cumsum(counts), vertices[first], axis=0)
    drawn = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        closed.astype(np.float64),
        (np.append(0, np.cumsum(counts + 1)), shells),
    )
    return gather(np.asarray(drawn, object), rows)


class _OnEdges(NamedTuple):
    """Which points lie on which edges, in the order in which edges pass them."""

    edge: NDArray[np.int64]
    point: NDArray[np.int64]


def _points_on(
    start: NDArray[np.int64], stop: NDArray[np.int64], points: NDArray[np.int64]
) -> _OnEdges:
    """Return the points on half-open edges: their starts count, their ends do not."""
    edges, found, along = [], [], []
    for axis in (0, 1):
        across = 1 - axis
        mine = np.flatnonzero(start[:, across] == stop[:, across])
        low = points.min(axis=0, initial=2**62)
        span = points[:, axis].max(initial=low[axis]) - low[axis] + 2
        # One stretch of numbers for each line of pixel edges, with room at its ends.
        key = (points[:, across] - low[across]) * span + points[:, axis] - low[axis]
        order = np.argsort(key)
        line = (start[mine, across] - low[across]) * span
        here, there = (
            np.clip(ends[mine, axis] - low[axis], -1, span - 1)
            for ends in (start, stop)
        )
        forward = there > here
        begin = np.where(
            forward,
            np.searchsorted(key, line + here, side="left", sorter=order),
            np.searchsorted(key, line + there, side="right", sorter=order),
        )
        end = np.where(
            forward,
            np.searchsorted(key, line + there, side="left", sorter=order),
            np.searchsorted(key, line + here, side="right", sorter=order),
        )
        times = np.maximum(end - begin, 0)
        edge = np.repeat(mine, times)
        offset = np.arange(len(edge)) - np.repeat(np.cumsum(times) - times, times)
        point = order[np.repeat(begin, times) + offset]
        edges.append(edge)
        found.append(point)
        along.append(np.where(np.repeat(forward, times), offset, -offset))
    edge, point = np.concatenate(edges), np.concatenate(found)
    order = np.lexsort((np.concatenate(along), edge))
    return _OnEdges(edge[order], point[order])


def fill_small(
    outlines: NDArray[np.object_],
    is_small: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]],
) -> NDArray[np.object_]:
    """Fill the small holes of outlines along pixel edges.

    Args:
        outlines: Polygons and multipolygons, shape (n,).
        is_small: Which holes to fill: given their areas in pixels, shape (hole,), and
            the middles of their bounds in pixels, shape (hole, 2).

    Returns:
        Shape (n,). A part that lay in a hole of another part is taken up by it.
    """
    parts, rows = shapely.get_parts(outlines, return_index=True)
    if not shapely.get_num_interior_rings(parts).any():
        return outlines
    _, coordinates, (rings, shells) = shapely.to_ragged_array(parts)
    hole = np.ones(len(rings) - 1, bool)
    hole[shells[:-1]] = False
    area, middle = _sizes_of(coordinates, rings)
    kept = ~hole
    kept[hole] = ~is_small(area[hole], middle[hole])
    if kept.all():
        return outlines
    polygon = np.repeat(np.arange(len(parts)), np.diff(shells))
    filled = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        coordinates[np.repeat(kept, np.diff(rings))],
        (
            np.append(0, np.cumsum(np.diff(rings)[kept])),
            np.append(0, np.cumsum(np.bincount(polygon[kept]))),
        ),
    )
    gathered = gather(np.asarray(filled, object), rows)
    # Parts of one region that meet in corners may lie in each other's holes.
    changed = np.zeros(len(outlines), bool)
    changed[rows[polygon[~kept]]] = True
    changed &= shapely.get_num_geometries(gathered) > 1
    if changed.any():
        united = shapely.union_all(gathered[changed][:, None], axis=1)
        gathered[changed] = canonical(np.asarray(united, object))
    return gathered


def _sizes_of(
    coordinates: NDArray[np.float64], rings: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the area of each ring and the middle of its bounds.

    Args:
        coordinates: Vertices of all rings, shape (n, 2); each ring is closed.
        rings: Where each begins, and one past the last, shape (ring + 1,).
    """
    low = np.minimum.reduceat(coordinates, rings[:-1])
    high = np.maximum.reduceat(coordinates, rings[:-1])
    # From the ring's own corner: whole numbers that no product makes too large.
    x, y = (coordinates - np.repeat(low, np.diff(rings), axis=0)).T
    steps = np.zeros(len(x))
    steps[:-1] = (x[:-1] * y[1:] - x[1:] * y[:-1]) / 2
    steps[rings[1:] - 1] = 0
    return np.abs(np.add.reduceat(steps, rings[:-1])), (low + high) / 2
