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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.objects.corners import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_AGREEMENT = 0.5
"""Length of the mean direction (1: all walls are parallel or at right angles) from
which a region has a main direction."""
LARGEST_SHIFT = 0.5
"""How far walls may move on average, in tolerances, for the result to be taken."""


@dataclass(frozen=True)
class _Edges:
    """Pixel edges of many rings, in their order."""

    ring: NDArray[np.int64]
    wall: NDArray[np.int64]
    start: NDArray[np.float64]
    """Shape (edge, 2), m."""
    stop: NDArray[np.float64]


@dataclass(frozen=True)
class _Walls:
    """Stretches of rings between corners, in the order of the rings."""

    ring: NDArray[np.int64]
    """Shape (wall,), ascending."""
    across: NDArray[np.bool_]
    """Whether it runs across the main direction of its region, shape (wall,)."""
    place: NDArray[np.float64]
    """Its distance from the axis that it runs along, shape (wall,), m."""
    weight: NDArray[np.float64]
    """What counts for its place, shape (wall,)."""


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
    _, coordinates, (rings, shells) = shapely.to_ragged_array(parts)
    home = rows[np.repeat(np.arange(len(parts)), np.diff(shells))]  # of each ring
    corner = shapely.bounds(outlines)[:, :2]
    ring = np.repeat(np.arange(len(home)), np.diff(rings))
    metres = np.einsum(
        "vi,vij->vj", coordinates - corner[home[ring]], axes_m[home[ring]]
    )
    edges = _edges(metres, rings, _corners(parts, coordinates, rings, tolerance_px))
    direction, agreement = _main_directions(edges, home, len(outlines))
    scale_m = np.sqrt(np.abs(np.linalg.det(axes_m)))
    walls = _walls(edges, direction[home])
    walls = _without_steps(_merged(walls), (scale_m * tolerance_px)[home])
    points = _turn(_meet(walls), -direction[home[walls.ring]])
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
    _, kept, (kept_rings, _) = shapely.to_ragged_array(simple)

    def named(
        vertices: NDArray[np.float64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        ring = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        x, y = (vertices - coordinates.min(axis=0)).astype(np.int64).T
        width, height = np.ptp(coordinates, axis=0).astype(np.int64) + 1
        return np.asarray((ring * height + y) * width + x)

    return np.isin(named(coordinates, rings), named(kept, kept_rings))


def _edges(
    metres: NDArray[np.float64], rings: NDArray[np.int64], corner: NDArray[np.bool_]
) -> _Edges:
    """Cut rings into edges and number the walls that they belong to."""
    start = np.ones(len(metres), bool)
    start[rings[1:] - 1] = False
    at = np.flatnonzero(start)
    ring = np.repeat(np.arange(len(rings) - 1), np.diff(rings) - 1)
    wall = np.cumsum(corner[at]) - 1
    # The edges before the first corner of a ring go on with its last wall.
    first = np.searchsorted(ring, np.arange(len(rings) - 1))
    last = np.append(first[1:], len(ring)) - 1
    opening = wall[first] - corner[at[first]]
    early = wall == opening[ring]
    wall[early] = wall[last][ring[early]]
    return _Edges(ring, wall, metres[at], metres[at + 1])


def _sums(groups: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(groups, values)


def _main_directions(
    edges: _Edges, home: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the main direction of each region, radians, and how walls agree on it."""
    step = edges.stop - edges.start
    length = np.hypot(*step.T)
    total = np.maximum(_sums(edges.wall, length), np.finfo(float).tiny)
    middle = (edges.start + edges.stop) / 2
    mean = np.stack([_sums(edges.wall, length * m) for m in middle.T], 1) / total[:, None]
    off = middle - mean[edges.wall]

    def moment(one: int, other: int) -> NDArray[np.float64]:
        own = step[:, one] * step[:, other] / 12
        return _sums(edges.wall, length * (off[:, one] * off[:, other] + own))

    angle = np.arctan2(2 * moment(0, 1), moment(0, 0) - moment(1, 1)) / 2
    chord = np.hypot(*(_sums(edges.wall, s) for s in step.T))
    ring = np.zeros(len(total), np.int64)
    ring[edges.wall] = edges.ring
    weight = chord**3
    turns = weight * np.exp(4j * angle)
    of_region = home[ring]
    real = np.bincount(of_region, turns.real, minlength=count)
    imaginary = np.bincount(of_region, turns.imag, minlength=count)
    every = np.bincount(of_region, weight, minlength=count)
    agreement = np.hypot(real, imaginary) / np.maximum(every, np.finfo(float).tiny)
    return np.arctan2(imaginary, real) / 4, agreement


def _turn(
    points: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points (n, 2) seen from axes turned by angles (n,), radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = points.T
    return np.column_stack([cosine * x + sine * y, cosine * y - sine * x])


def _walls(edges: _Edges, direction: NDArray[np.float64]) -> _Walls:
    """Return the walls as lines along the axes of their regions.

    Args:
        edges: Pixel edges, m.
        direction: Main direction at each ring, shape (ring,).
    """
    angle = direction[edges.ring]
    start, stop = _turn(edges.start, angle), _turn(edges.stop, angle)
    step, middle = stop - start, (start + stop) / 2
    along, up = (_sums(edges.wall, s) for s in step.T)
    across = np.abs(up) > np.abs(along)
    runs = np.where(across[edges.wall], np.abs(step[:, 1]), np.abs(step[:, 0]))
    places = np.where(across[edges.wall], middle[:, 0], middle[:, 1])
    weight = _sums(edges.wall, runs)
    place = _sums(edges.wall, runs * places) / weight
    # A wall halfway between the two directions says nothing of either.
    off = np.arctan2(np.minimum(np.abs(up), np.abs(along)),
                     np.maximum(np.abs(up), np.abs(along)))
    ring = np.zeros(len(weight), np.int64)
    ring[edges.wall] = edges.ring
    return _Walls(ring, across, place, weight * (np.cos(2 * off) ** 2 + 1e-6))


def _merged(walls: _Walls) -> _Walls:
    """Make one wall of neighbours of one direction, around each ring."""
    count = len(walls.ring)
    if not count:
        return walls
    fresh = np.ones(count, bool)
    fresh[1:] = (np.diff(walls.ring) != 0) | (walls.across[1:] != walls.across[:-1])
    group = np.cumsum(fresh) - 1
    # The last walls of a ring go on with its first.
    first = np.flatnonzero(np.diff(walls.ring, prepend=-1))
    last = np.append(first[1:], count) - 1
    same = (walls.across[first] == walls.across[last]) & (group[first] != group[last])
    target = np.arange(group[-1] + 1)
    target[group[last[same]]] = group[first[same]]
    _, group = np.unique(target[group], return_inverse=True)
    weight = _sums(group, walls.weight)
    begin = np.zeros(len(weight), np.int64)
    begin[group[::-1]] = np.arange(count)[::-1]
    return _Walls(
        walls.ring[begin],
        walls.across[begin],
        _sums(group, walls.weight * walls.place) / weight,
        weight,
    )


def _around(ring: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the wall before and the wall behind each wall of its ring."""
    count = len(ring)
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    last = np.append(first[1:], count) - 1
    before, behind = np.arange(count) - 1, np.arange(count) + 1
    before[first], behind[last] = last, first
    return before, behind


def _without_steps(walls: _Walls, shortest_m: NDArray[np.float64]) -> _Walls:
    """Take out walls shorter than the tolerance (ring,), m; each ring keeps four."""
    while len(walls.ring):
        before, behind = _around(walls.ring)
        length = np.abs(walls.place[behind] - walls.place[before])
        count = np.bincount(walls.ring)[walls.ring]
        short = (length < shortest_m[walls.ring]) & (count > 4)
        if not short.any():
            break
        order = np.lexsort((length, ~short, walls.ring))
        _, first = np.unique(walls.ring[order], return_index=True)
        gone = order[first]
        gone = gone[short[gone]]
        kept = np.ones(len(walls.ring), bool)
        kept[gone] = False
        walls = _merged(
            _Walls(*(getattr(walls, name)[kept]
                     for name in ("ring", "across", "place", "weight")))
        )
    return walls


def _meet(walls: _Walls) -> NDArray[np.float64]:
    """Return the corner at which each wall meets the next, shape (wall, 2), m."""
    _, behind = _around(walls.ring)
    one, other = walls.place, walls.place[behind]
    return np.column_stack(
        [np.where(walls.across, one, other), np.where(walls.across, other, one)]
    )


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
