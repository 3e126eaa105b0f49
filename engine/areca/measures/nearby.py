"""Small objects to metres by a local map of second order, not vertex by vertex.

Transforming a vertex through PROJ costs more than all that is measured with it. Over a
few hundred metres a map projection is a polynomial of second order to 1e-9: eight
places around an object tell it, six to find the polynomial and two to try it. Where
these do not agree (large objects, the edge of a map), vertices go through PROJ one by
one.

It is also the safer way. PROJ before 9.7 is off by up to 1.3 mm in the equal-area
projections (github.com/OSGeo/PROJ/issues/4440), everywhere alike but for the origin of
laea, which is exact: a vertex there is out of line with its neighbours, and a box of
24 m2 that has one loses 2e-5 of its area. Eight places a little apart do not show
that. (In coordinates that PROJ has moved from there the vertex is out of line, and they
are measured as they are.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.measures.frames import LocalFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.rings import Rings
    from areca.tiles.earth import Earth

KNOTS = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], np.float64)
"""Where the polynomial is found, in half sizes of the object."""
TRIALS = np.array([[-0.6, -0.5], [-0.5, 0.6]])
"""Where it is tried: off the axes, so that no term of third order is hidden."""
REACH_M = 50.0
"""Least distance of the knots. Coordinates are rounded to some nm, which would show in
the scale of an object of half a metre."""
TOLERANCE = 2e-9
"""Largest error of the polynomial, as a share of the distance of the knots."""
FRAME_REACH = 3e-4
"""Largest object (from its middle, in earth radii) that a local frame is used for.

About 2 km, less towards the poles; the frame is off by 1e-7 of the area there."""
PLANE_REACH = 0.1
"""Largest object that a plane is used for at all, 640 km."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyMaps:
    """One map from the CRS to metres for each object."""

    frames: LocalFrames
    """Frames around the middle of each object's bounds in the CRS."""
    middle_x: NDArray[np.float64]
    """CRS units, shape (object,)."""
    middle_y: NDArray[np.float64]
    terms: NDArray[np.float64]
    """Factors of dx, dy, dx*dx, dx*dy, dy*dy for metres to the east and to the north,
    shape (2, 5, object)."""
    holds: NDArray[np.bool_]
    """Whether the map is as good as PROJ for the whole object, shape (object,)."""

    def placed(self, rings: Rings) -> Rings:
        """Return rings in CRS units, one set for each map, in metres."""
        return rings.moved(*self._metres(rings.x, rings.y, rings.vertex_counts))

    def metres_of(self, geometry: NDArray[np.object_]) -> NDArray[np.float64]:
        """Return vertices of geometries in CRS units, shape (object,), in metres.

        As the coordinates of the geometries, shape (vertex, 2).
        """
        vertices = shapely.get_coordinates(geometry)
        counts = shapely.get_num_coordinates(geometry).astype(np.intp)
        return np.column_stack(self._metres(vertices[:, 0], vertices[:, 1], counts))

    def _metres(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        counts: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return vertices, so many of each object, in metres."""
        dx = x - np.repeat(self.middle_x, counts)
        dy = y - np.repeat(self.middle_y, counts)

        def metres(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            a, b, aa, ab, bb = (np.repeat(term, counts) for term in terms)
            return np.asarray(dx * (a + aa * dx + ab * dy) + dy * (b + bb * dy))

        return metres(self.terms[0]), metres(self.terms[1])

    @property
    def axis(self) -> NDArray[np.float64]:
        """Direction of the CRS's x axis, radians from the east, shape (object,)."""
        angle = np.arctan2(self.terms[1, 0], self.terms[0, 0])
        return np.where(np.isfinite(angle), angle, 0.0)

    def taken(self, rows: NDArray[np.bool_]) -> NearbyMaps:
        """Return the maps of some objects, shape (object,)."""
        return NearbyMaps(
            frames=self.frames.taken(rows),
            middle_x=self.middle_x[rows],
            middle_y=self.middle_y[rows],
            terms=self.terms[..., rows],
            holds=self.holds[rows],
        )


def nearby_maps(earth: Earth, bounds: NDArray[np.float64]) -> NearbyMaps:
    """Find the map of each object.

    Args:
        earth: The CRS.
        bounds: Of each object, shape (object, 4): west, south, east, north, CRS units.

    Returns:
        Maps; those that do not hold, as around an object that spans the antimeridian,
        are of no use.
    """
    with np.errstate(invalid="ignore"):  # a vertex may be nowhere
        west, south, east, north = bounds.T
        middle_x, middle_y = (west + east) / 2, (south + north) / 2
        least = REACH_M / earth.metres_per_unit
        half_x = np.maximum((east - west) / 2, least)
        half_y = np.maximum((north - south) / 2, least)
        steps = np.concatenate([KNOTS, TRIALS])
        at_x, at_y = middle_x + steps[:, :1] * half_x, middle_y + steps[:, 1:] * half_y
    longitude, latitude = earth.angles(at_x.ravel(), at_y.ravel())
    count = len(bounds)
    frames = LocalFrames(
        earth=earth, longitude=longitude[:count], latitude=latitude[:count]
    )
    with np.errstate(invalid="ignore", over="ignore"):  # off the map it is infinite
        at = np.stack(
            frames.metres(longitude, latitude, np.tile(np.arange(count), len(steps)))
        ).reshape(2, len(steps), count)
        terms = _terms(at)
        u, v = TRIALS[:, :1], TRIALS[:, 1:]
        a, b, aa, ab, bb = (terms[:, i, None] for i in range(5))
        missed = at[:, len(KNOTS) :] - (u * (a + aa * u + ab * v) + v * (b + bb * v))
        size = np.abs(terms[:, :2]).max(axis=(0, 1))
        holds = (np.abs(missed) <= TOLERANCE * size).all(axis=(0, 1))
        holds &= ~too_large(frames, size)
        scale = np.stack([half_x, half_y, half_x**2, half_x * half_y, half_y**2])
        terms = terms / scale
    return NearbyMaps(
        frames=frames, middle_x=middle_x, middle_y=middle_y, terms=terms, holds=holds
    )


def too_large(frames: LocalFrames, reach_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True where a frame would be off by more than 1e-7 of the area.

    Args:
        frames: Frames of the objects.
        reach_m: Distance from the middle to the far end of each, shape (object,).
    """
    return _steepness(frames, reach_m) > FRAME_REACH


def beyond_plane(
    frames: LocalFrames, reach_m: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return True where lengths in a frame would be off by about 1 % or more."""
    return _steepness(frames, reach_m) > PLANE_REACH


def _steepness(
    frames: LocalFrames, reach_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the angle that an object spans; near a pole its meridians turn faster."""
    slope = np.maximum(1.0, np.abs(np.tan(frames.latitude)))
    if frames.pole is not None:
        slope[frames.pole != 0] = 1.0
    return np.asarray(reach_m / frames.earth.semi_major_m * slope)


def _terms(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms, shape (2, 5, object), in half sizes, from metres at KNOTS."""
    _, right, left, up, down, corner = (at[:, i] for i in range(len(KNOTS)))
    a, aa = (right - left) / 2, (right + left) / 2
    b, bb = (up - down) / 2, (up + down) / 2
    return np.stack([a, b, aa, corner - a - b - aa - bb, bb], axis=1)
