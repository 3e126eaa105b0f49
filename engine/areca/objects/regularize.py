"""Outlines with right angles: what walls looked like before they became pixels.

For each region alone, and so the same however the raster is cut:

1. Douglas and Peucker (1973) finds the corners; between two of them lies a wall.
2. The direction of a wall is the principal axis of the pixel edges along it. The main
   direction of the region is the mean of the directions of its walls modulo 90 degrees,
   taken on the circle of four times the angle (Mardia and Jupp 2000, Directional
   Statistics, 1.3), each weighted by its length cubed: by how well it is known.
3. Every wall becomes a line along the main direction or across it, whichever is nearer,
   through the mean of its pixel edges; walls of one kind in a row become one. So the
   area is kept: the stairs of an oblique edge lie as much outside as inside.
4. Steps shorter than the tolerance are taken out, the shortest first.

Angles and lengths are those on the ground, also where a pixel is no square there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.objects.corners import gather
from areca.objects.walls import (
    cut_edges,
    draw_walls,
    main_directions,
    meet,
    merge,
    turn,
    without_steps,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_AGREEMENT = 0.5
"""Length of the mean direction (1: all walls are parallel or at right angles) from
which a region has a main direction."""
LARGEST_SHIFT = 0.5
"""How far walls may move on average, in tolerances, for the result to be taken."""


def regularize(
    outlines: NDArray[np.object_],
    axes_m: NDArray[np.float64],
    tolerance_px: float,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Give outlines right angles, where these fit.

    Args:
        outlines: Canonical polygons and multipolygons along pixel edges, shape (n,).
        axes_m: Shape (n, 2, 2): metres east and north of one step along x, and of one
            along y, where the region lies.
        tolerance_px: How far corners may move, pixels.

    Returns:
        Outlines in pixels, and which of them have right angles now; the others are
        given back as they were: those without a main direction (a disc), and those
        that right angles would move too far or make invalid.
    """
    parts, rows = shapely.get_parts(outlines, return_index=True)
    if not len(parts):
        return outlines, np.zeros(0, bool)
    _, coordinates, offsets = shapely.to_ragged_array(parts)
    rings, shells = (ends.astype(np.int64) for ends in offsets)
    home = rows[np.repeat(np.arange(len(parts)), np.diff(shells))]  # of each ring
    corner = shapely.bounds(outlines)[:, :2]
    ring = np.repeat(np.arange(len(home)), np.diff(rings))
    metres = np.einsum(
        "vi,vij->vj", coordinates - corner[home[ring]], axes_m[home[ring]]
    )
    edges = cut_edges(metres, rings, _corners(parts, coordinates, rings, tolerance_px))
    direction, agreement = main_directions(edges, home, len(outlines))
    scale_m = np.sqrt(np.abs(np.linalg.det(axes_m)))
    walls = draw_walls(edges, direction[home])
    walls = without_steps(merge(walls), (scale_m * tolerance_px)[home])
    points = turn(meet(walls), -direction[home[walls.ring]])
    inverse = np.linalg.inv(axes_m)[home[walls.ring]]
    pixels = np.einsum("vi,vij->vj", points, inverse) + corner[home[walls.ring]]
    counts = np.bincount(walls.ring, minlength=len(home))
    fit = agreement >= LEAST_AGREEMENT
    fit[home[counts < 4]] = False
    drawn = _draw(pixels, walls.ring, shells, rows, fit)
    return _accepted(outlines, drawn, fit, tolerance_px)


def _corners(
    polygons: NDArray[np.object_],
    coordinates: NDArray[np.float64],
    rings: NDArray[np.int64],
    tolerance_px: float,
) -> NDArray[np.bool_]:
    """Return which vertices are corners between walls, shape (vertex,)."""
    simple = shapely.simplify(polygons, tolerance_px, preserve_topology=True)
    _, kept, offsets = shapely.to_ragged_array(simple)

    def named(
        vertices: NDArray[np.float64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        ring = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        x, y = (vertices - coordinates.min(axis=0)).astype(np.int64).T
        width, height = np.ptp(coordinates, axis=0).astype(np.int64) + 1
        return np.asarray((ring * height + y) * width + x)

    return np.isin(named(coordinates, rings), named(kept, offsets[0].astype(np.int64)))


def _draw(
    points: NDArray[np.float64],
    ring: NDArray[np.int64],
    shells: NDArray[np.int64],
    rows: NDArray[np.int64],
    fit: NDArray[np.bool_],
) -> NDArray[np.object_]:
    """Return the polygons of the regions that fit, shape (fit,)."""
    polygon = np.repeat(np.arange(len(rows)), np.diff(shells))
    good = fit[rows[polygon]]
    chosen = good[ring]
    points, ring = points[chosen], ring[chosen]
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    counts = np.diff(np.append(first, len(ring)))
    closed = np.insert(points, np.cumsum(counts), points[first], axis=0)
    own = polygon[good]
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        closed,
        (
            np.append(0, np.cumsum(counts + 1)),
            np.append(0, np.cumsum(np.unique(own, return_counts=True)[1])),
        ),
    )
    _, home = np.unique(rows[fit[rows]], return_inverse=True)
    return gather(np.asarray(polygons, object), home)


def _accepted(
    outlines: NDArray[np.object_],
    drawn: NDArray[np.object_],
    fit: NDArray[np.bool_],
    tolerance_px: float,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return the drawn outlines that are valid and near, else those that were."""
    chosen = np.flatnonzero(fit)
    good = shapely.is_valid(drawn)
    moved = shapely.area(
        shapely.symmetric_difference(outlines[chosen[good]], drawn[good])
    )
    near = moved <= LARGEST_SHIFT * tolerance_px * shapely.length(drawn[good])
    good[good] = near
    result, done = outlines.copy(), np.zeros(len(outlines), bool)
    result[chosen[good]], done[chosen[good]] = drawn[good], True
    return result, done
