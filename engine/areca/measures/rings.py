"""Polygons as flat arrays of closed rings: area, outline and centre of all at once.

GEOS needs a geometry for each of these; on flat arrays they are a handful of sums, and
vertices need not be put back into geometries once they are in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.measures.shapes import POLYGON

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEEDLE = 1e-6
"""Area over perimeter**2 of what is as good as a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """The rings of many polygons, one after the other; each ends where it begins."""

    x: NDArray[np.float64]
    """Shape (vertex,)."""
    y: NDArray[np.float64]
    """Shape (vertex,)."""
    starts: NDArray[np.intp]
    """First vertex of each ring, shape (ring,)."""
    owner: NDArray[np.intp]
    """Object of each ring, shape (ring,): ascending, every object has one."""
    sign: NDArray[np.float64]
    """1 for a shell, -1 for a hole, shape (ring,)."""

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Vertices of each ring, shape (ring,)."""
        return np.diff(self.starts, append=len(self.x))

    @property
    def lasts(self) -> NDArray[np.intp]:
        """Last vertex of each ring, shape (ring,)."""
        return np.append(self.starts[1:], len(self.x)) - 1

    @property
    def firsts(self) -> NDArray[np.intp]:
        """First ring of each object, shape (object,)."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    @property
    def vertex_counts(self) -> NDArray[np.intp]:
        """Vertices of each object, shape (object,)."""
        return np.diff(self.starts[self.firsts], append=len(self.x))

    def moved(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Rings:
        """Return the same rings with other coordinates, shape (vertex,) each."""
        return replace(self, x=x, y=y)

    def taken(self, rows: NDArray[np.bool_]) -> Rings:
        """Return the rings of some objects, shape (object,), numbered anew."""
        rings = rows[self.owner]
        vertices = np.repeat(rings, self.lengths)
        lengths = self.lengths[rings]
        return Rings(
            x=self.x[vertices],
            y=self.y[vertices],
            starts=np.cumsum(lengths) - lengths,
            owner=(np.cumsum(rows) - 1)[self.owner[rings]],
            sign=self.sign[rings],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the rings of each object add up to, shape (object,) each."""

    area: NDArray[np.float64]
    perimeter: NDArray[np.float64]
    """Of all rings, holes too."""
    centre_x: NDArray[np.float64]
    """Centroid; NaN where there is no area."""
    centre_y: NDArray[np.float64]
    is_star: NDArray[np.bool_]
    """Whether one ring turns once around the origin and never back, and is no needle.
    Such a polygon is valid, and its vertices are in order of angle."""
    is_ccw: NDArray[np.bool_]
    """Whether the first ring runs counter-clockwise."""

    def taken(self, rows: NDArray[np.bool_]) -> Sizes:
        """Return the sizes of some objects, shape (object,)."""
        return Sizes(
            **{field.name: getattr(self, field.name)[rows] for field in fields(self)}
        )


def rings_of(geometry: NDArray[np.object_]) -> Rings:
    """Take polygons apart.

    Args:
        geometry: Polygons and multipolygons, none of them empty, shape (object,).

    Returns:
        Their rings in two dimensions, object by object.
    """
    simple = (shapely.get_type_id(geometry) == POLYGON) & (
        shapely.get_num_interior_rings(geometry) == 0
    )
    if simple.all():
        rings, owner = geometry, np.arange(len(geometry))
        sign = np.ones(len(geometry))
    else:
        parts, part_owner = shapely.get_parts(geometry, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        owner = part_owner[part]
        sign = np.where(np.diff(part, prepend=-1) > 0, 1.0, -1.0)
    lengths = shapely.get_num_coordinates(rings).astype(np.intp)
    coordinates = shapely.get_coordinates(rings)
    filled = lengths > 0  # a part of a multipolygon may be empty
    lengths = lengths[filled]
    return Rings(
        x=np.ascontiguousarray(coordinates[:, 0]),
        y=np.ascontiguousarray(coordinates[:, 1]),
        starts=np.cumsum(lengths) - lengths,
        owner=owner[filled],
        sign=sign[filled],
    )


def edges_of(rings: Rings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the way from each vertex to the next, shape (vertex,) each.

    It is 0 at the last vertex of a ring. (Of every ring: sums over objects then have
    the same terms wherever an object stands, and so the same bits.)
    """
    steps = np.zeros((2, len(rings.x)))
    for step, values in zip(steps, (rings.x, rings.y), strict=True):
        np.subtract(values[1:], values[:-1], out=step[:-1])
    steps[:, rings.lasts] = 0.0
    return steps[0], steps[1]


def sizes_of(rings: Rings) -> Sizes:
    """Measure objects in a plane.

    Args:
        rings: Rings of at least one object; best around the origin, for precision.

    Returns:
        Area and centroid by Green's theorem. They are right for valid polygons; which
        way a ring runs does not matter.
    """
    x, y, starts, lasts = rings.x, rings.y, rings.starts, rings.lasts
    east, north = edges_of(rings)
    cross = x * north - y * east  # twice the area of a triangle
    twice = np.add.reduceat(cross, starts)
    turn = np.sign(twice) * rings.sign
    sums = [
        np.abs(twice) * rings.sign,
        # np.hypot guards against overflow, which costs more than all the rest.
        np.add.reduceat(np.sqrt(east * east + north * north), starts),
        np.add.reduceat((2 * x + east) * cross, starts) * turn,
        np.add.reduceat((2 * y + north) * cross, starts) * turn,
    ]
    cross[lasts] = cross[lasts - 1]  # nothing turns back between two rings
    ahead = np.minimum.reduceat(cross, starts) > 0
    back = np.maximum.reduceat(cross, starts) < 0
    rises = (y < 0) & (y + north >= 0)
    once = np.add.reduceat(rises, starts, dtype=np.intp) == 1
    solid = np.abs(twice) > 2 * NEEDLE * sums[1] ** 2
    star, ccw = (ahead | back) & once & solid, twice > 0
    if len(firsts := rings.firsts) < len(starts):
        sums = [np.add.reduceat(column, firsts) for column in sums]
        star = star[firsts] & (np.diff(firsts, append=len(starts)) == 1)
        ccw = ccw[firsts]
    twice, perimeter, moment_x, moment_y = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        centre_x, centre_y = moment_x / (3 * twice), moment_y / (3 * twice)
    return Sizes(
        area=twice / 2,
        perimeter=perimeter,
        centre_x=np.where(twice > 0, centre_x, np.nan),
        centre_y=np.where(twice > 0, centre_y, np.nan),
        is_star=star,
        is_ccw=ccw,
    )
