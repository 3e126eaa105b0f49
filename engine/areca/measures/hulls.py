"""Convex hulls of many objects as flat arrays, and what turning calipers find on them.

The calipers (Shamos 1978; Toussaint 1983, "Solving geometric problems with the rotating
calipers") do not turn here step by step: the corner that lies furthest in a direction
begins the first edge that turns past it, and sorted angles of edges are searched for
all directions of all hulls at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.rings import Rings, Sizes

TURN = 1 << 38
"""Steps of a full turn: angles are searched as whole numbers, so that the answer does
not depend on how many hulls lie before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hulls:
    """Convex polygons, counter-clockwise, the first corner not repeated.

    A hull may have two corners or one.
    """

    x: NDArray[np.float64]
    """Shape (corner,), m."""
    y: NDArray[np.float64]
    """Shape (corner,), m."""
    starts: NDArray[np.intp]
    """First corner of each hull, shape (object,); none is empty."""

    @property
    def counts(self) -> NDArray[np.intp]:
        """Corners of each hull, shape (object,)."""
        return np.diff(self.starts, append=len(self.x))

    @property
    def owner(self) -> NDArray[np.intp]:
        """Hull of each corner, shape (corner,)."""
        return np.repeat(np.arange(len(self.starts)), self.counts)

    @property
    def following(self) -> NDArray[np.intp]:
        """The corner after each, shape (corner,)."""
        after = np.arange(1, len(self.x) + 1)
        after[self.starts + self.counts - 1] = self.starts
        return after

    def taken(self, rows: NDArray[np.bool_]) -> Hulls:
        """Return the hulls of some objects, shape (object,), numbered anew."""
        counts = self.counts
        corners = np.repeat(rows, counts)
        kept = counts[rows]
        return Hulls(
            x=self.x[corners], y=self.y[corners], starts=np.cumsum(kept) - kept
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calipers:
    """What lies furthest from each edge of each hull, shape (corner,) each.

    Edge i runs from corner i to the next one of its hull.
    """

    east: NDArray[np.float64]
    """Direction of the edge, a unit vector."""
    north: NDArray[np.float64]
    height: NDArray[np.float64]
    """Extent of the hull across the edge, m."""
    extent: NDArray[np.float64]
    """Extent of the hull along the edge, m."""
    behind: NDArray[np.float64]
    """How far the hull reaches back behind the corner the edge begins at, m."""
    far: NDArray[np.intp]
    """The corner furthest across."""


def hulls_of_rings(rings: Rings, sizes: Sizes) -> Hulls:
    """Find the convex hulls of polygons.

    Args:
        rings: In metres.
        sizes: What `sizes_of` says of them.

    Returns:
        One hull for each object.
    """
    star = sizes.is_star
    found = _hulls_of_stars(rings.taken(star), sizes.is_ccw[star])
    if star.all():
        return found
    others = rings.taken(~star)
    owner = np.repeat(others.owner, others.lengths)
    return _merged(found, hulls_of_points(others.x, others.y, owner), star)


def hulls_of_points(
    x: NDArray[np.float64], y: NDArray[np.float64], owner: NDArray[np.intp]
) -> Hulls:
    """Find the convex hulls of points.

    Args:
        x: m, shape (point,).
        y: m, shape (point,).
        owner: The set of each point: 0, 0, .., 1, 1, .., ascending with no gap.

    Returns:
        One hull for each set.
    """
    # As lines: GEOS makes an object of every point of a multipoint, which takes longer
    # than all hulls. A line needs two points, so the first is also the last.
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    ends = np.append(starts[1:], len(owner))
    at = np.insert(np.arange(len(owner)), ends, starts)
    lines = shapely.linestrings(np.column_stack([x[at], y[at]]), indices=owner[at])
    return hulls_of(np.asarray(lines))


def hulls_of(geometry: NDArray[np.object_]) -> Hulls:
    """Return the convex hulls of geometries in metres, none empty, shape (object,)."""
    hull = shapely.orient_polygons(shapely.convex_hull(geometry))
    coordinates, owner = shapely.get_coordinates(hull, return_index=True)
    counts = shapely.get_num_coordinates(hull).astype(np.intp)
    ends = np.cumsum(counts)
    kept = np.ones(len(coordinates), dtype=bool)
    kept[ends[counts > 2] - 1] = False  # a closed ring says its first corner twice
    counts = np.bincount(owner[kept], minlength=len(geometry))
    return Hulls(
        x=coordinates[kept, 0],
        y=coordinates[kept, 1],
        starts=np.cumsum(counts) - counts,
    )


def calipers(hulls: Hulls) -> Calipers:
    """Return what calipers find on every edge of hulls."""
    after = hulls.following
    east, north = hulls.x[after] - hulls.x, hulls.y[after] - hulls.y
    length = np.sqrt(east * east + north * north)
    angle = np.arctan2(north, east)
    first = np.repeat(angle[hulls.starts], hulls.counts)
    step = np.rint((angle - first) % (2 * np.pi) * (TURN / (2 * np.pi)))
    # Rounding may take what lies a hair before the first edge for a full turn.
    turned = step.astype(np.int64) % TURN
    owner = hulls.owner
    order = turned + owner * TURN
    one = hulls.counts[owner] == 1
    east = np.divide(east, length, where=~one, out=np.ones_like(east))
    north = np.divide(north, length, where=~one, out=np.zeros_like(north))

    def furthest(quarters: int) -> NDArray[np.intp]:
        """Return the corner furthest along the edge, turned left by right angles."""
        target = (turned + (quarters + 1) * (TURN // 4)) % TURN
        corner = np.searchsorted(order, target + owner * TURN)
        ends = hulls.starts + hulls.counts
        return np.where(corner == ends[owner], hulls.starts[owner], corner)

    def offsets(
        corner: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return hulls.x[corner] - hulls.x, hulls.y[corner] - hulls.y

    far = furthest(1)
    dx, dy = offsets(far)
    height = np.abs(dy * east - dx * north)
    dx, dy = offsets(furthest(0))
    ahead = dx * east + dy * north
    dx, dy = offsets(furthest(2))
    behind = -(dx * east + dy * north)
    return Calipers(
        east=east,
        north=north,
        height=height,
        extent=ahead + behind,
        behind=behind,
        far=far,
    )


def longest_pairs(
    hulls: Hulls, found: Calipers
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the two corners furthest apart of each hull, shape (object,) each.

    Their distance is the largest caliper (Feret) diameter.
    """
    here = np.arange(len(hulls.x))
    after = hulls.following
    before = np.empty_like(after)
    before[after] = here
    # Between parallel edges rounding decides which corner is the furthest one; with
    # its neighbours no pair is missed.
    pairs = [
        (one, two)
        for one in (here, after)
        for two in (found.far, after[found.far], before[found.far])
    ]
    squares = np.stack(
        [
            (hulls.x[one] - hulls.x[two]) ** 2 + (hulls.y[one] - hulls.y[two]) ** 2
            for one, two in pairs
        ]
    )
    best = squares.argmax(axis=0)
    at = first_largest(squares[best, here], hulls.starts)
    ones = np.stack([one[at] for one, _ in pairs])
    twos = np.stack([two[at] for _, two in pairs])
    chosen = best[at], np.arange(len(at))
    return ones[chosen], twos[chosen]


def first_largest(
    values: NDArray[np.float64], starts: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the index of the largest value of each stretch, the first of equals.

    Args:
        values: Shape (n,), not NaN.
        starts: First value of each stretch, shape (object,), ascending.
    """
    counts = np.diff(starts, append=len(values))
    top = np.repeat(np.maximum.reduceat(values, starts), counts)
    hits = np.flatnonzero(values == top)
    return hits[np.searchsorted(hits, starts)]


def _hulls_of_stars(rings: Rings, is_ccw: NDArray[np.bool_]) -> Hulls:
    """Return the hulls of rings whose vertices are in order of angle around 0.

    As in Graham's scan (1972), a vertex that does not turn outwards is no corner of the
    hull. All such vertices go at once, in rounds, until none is left: one that is
    passed over lies in the triangle of the origin and its neighbours, and a corner of
    the hull turns outwards whatever its neighbours are.
    """
    last = np.zeros(len(rings.x), dtype=bool)
    counts = rings.lengths - 1
    last[rings.starts + counts] = True
    x, y = rings.x[~last], rings.y[~last]
    corner = np.arange(len(x))
    owner = np.repeat(np.arange(len(counts)), counts)
    mirrored_y = np.where(is_ccw, 1.0, -1.0)[owner] * y  # then all turn one way
    kept = np.ones(len(x), dtype=bool)
    while len(corner):
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        ends = np.append(starts[1:], len(corner)) - 1
        px, py = x[corner], mirrored_y[corner]
        to_east, to_north = np.empty_like(px), np.empty_like(py)
        to_east[:-1], to_north[:-1] = np.diff(px), np.diff(py)
        to_east[ends] = px[starts] - px[ends]
        to_north[ends] = py[starts] - py[ends]
        from_east, from_north = np.roll(to_east, 1), np.roll(to_north, 1)
        from_east[starts], from_north[starts] = to_east[ends], to_north[ends]
        flat = from_east * to_north <= from_north * to_east
        kept[corner[flat]] = False
        # What is convex already is looked at no more.
        busy = np.repeat(np.logical_or.reduceat(flat, starts), ends - starts + 1)
        left = busy & ~flat
        corner, owner = corner[left], owner[left]
    owner = np.repeat(np.arange(len(counts)), counts)[kept]
    counts = np.bincount(owner, minlength=len(counts))
    starts = np.cumsum(counts) - counts
    here = np.arange(len(owner))
    mirrored = (2 * starts + counts - 1)[owner] - here
    here = np.where(is_ccw[owner], here, mirrored)
    return Hulls(x=x[kept][here], y=y[kept][here], starts=starts)


def _merged(one: Hulls, other: Hulls, is_one: NDArray[np.bool_]) -> Hulls:
    """Return the hulls of two sets in the order of `is_one`, shape (object,)."""
    counts = np.empty(len(is_one), dtype=np.intp)
    counts[is_one], counts[~is_one] = one.counts, other.counts
    corners = np.repeat(is_one, counts)
    x, y = np.empty(len(corners)), np.empty(len(corners))
    x[corners], y[corners] = one.x, one.y
    x[~corners], y[~corners] = other.x, other.y
    return Hulls(x=x, y=y, starts=np.cumsum(counts) - counts)
