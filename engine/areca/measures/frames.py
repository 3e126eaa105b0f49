"""Local frames in true metres, one for each object, computed for all at once.

Each object gets its own equal-area frame around its own centre. Starting point is the
ellipsoidal sinusoidal projection (Snyder 1987, USGS PP 1395, eq. 30-1 and 30-2): it is
exactly equal-area, and exact in scale along its central meridian and along every
parallel. Its parallels are straight, while on the ground they bend towards the pole;
the term `bend` puts that curve back. It shears along y only, so areas stay exact, and
lengths and angles become those of a tangent plane to second order (what is left is of
the order of (size / earth radius)**2, 1e-12 for a tree).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from areca.errors import GridError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Earth:
    """The way from the coordinates of one CRS to angles on its own ellipsoid."""

    crs: pyproj.CRS
    """Horizontal CRS of the coordinates."""
    to_angles: pyproj.Transformer | None
    """CRS to its geodetic CRS, x before y; None where that is the CRS itself."""
    radians_per_unit: float
    """Size of one unit of the geodetic CRS (a degree, or now and then a grad)."""
    metres_per_unit: float
    """Size of one unit of the CRS, roughly (a degree: along a meridian)."""
    semi_major_m: float
    eccentricity_squared: float

    def angles(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return longitude and latitude in radians for coordinates in the CRS."""
        if self.to_angles is not None:
            x, y = self.to_angles.transform(x, y)
        return x * self.radians_per_unit, y * self.radians_per_unit

    def coordinates(
        self, longitude: NDArray[np.float64], latitude: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coordinates in the CRS for angles in radians."""
        x = longitude / self.radians_per_unit
        y = latitude / self.radians_per_unit
        if self.to_angles is not None:
            x, y = self.to_angles.transform(x, y, direction="INVERSE")
        return x, y

    @property
    def turn(self) -> float | None:
        """Once around the Earth in CRS units, where x goes on at the antimeridian.

        None for a map on which that is one place or none. Mercator, for one, brings
        what lies past 180 degrees back in at the other side.
        """
        across = self.coordinates(np.array([np.pi, -np.pi]), np.zeros(2))[0]
        world = float(across[0] - across[1])
        # On other maps both are one place: rounding must not pass for a world of 1 nm.
        least = 1.0 if self.to_angles is None else self.semi_major_m
        return world if np.isfinite(world) and world >= least else None

    def in_one_piece(
        self, x: NDArray[np.float64], centre: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return x of shapes around `centre` that go on past the edge of the map."""
        if self.turn is None:
            return x
        return np.asarray(x - self.turn * np.rint((x - centre) / self.turn))

    @property
    def geod(self) -> pyproj.Geod:
        """Geodesics on this ellipsoid."""
        return pyproj.Geod(a=self.semi_major_m, es=self.eccentricity_squared)


@lru_cache(maxsize=64)
def earth_of(crs: pyproj.CRS) -> Earth:
    """Find the ellipsoid under a CRS. No datum shift is made.

    Args:
        crs: Any CRS with a place on the Earth.

    Returns:
        The way to angles. Building it takes milliseconds, so it is kept.

    Raises:
        GridError: the CRS has no ellipsoid (a local, engineering or geocentric CRS).
    """
    geodetic = crs.geodetic_crs
    ellipsoid = crs.ellipsoid
    if geodetic is None or ellipsoid is None or crs.is_geocentric:
        raise GridError(
            f"cannot measure in {crs.name!r}: it names no place on the Earth, so its "
            "units have no known size. Set the CRS that the coordinates are in."
        )
    same = crs.is_geographic
    major, minor = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    unit = float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0
    return Earth(
        crs=crs,
        to_angles=None
        if same
        else pyproj.Transformer.from_crs(crs, geodetic, always_xy=True),
        radians_per_unit=float(geodetic.axis_info[0].unit_conversion_factor),
        metres_per_unit=unit * float(major) if same else unit,
        semi_major_m=float(major),
        eccentricity_squared=1.0 - (minor / major) ** 2,
    )


def wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles in radians brought into [-pi, pi)."""
    turned: NDArray[np.float64] = (angle + np.pi) % (2 * np.pi) - np.pi
    # Taking the remainder costs an ulp of pi (3 nm on the ground): only where needed.
    return np.where(np.abs(angle) < np.pi, angle, turned)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFrames:
    """One frame for each object: x to the east, y to true north, in metres."""

    earth: Earth
    longitude: NDArray[np.float64]
    """Origins, shape (n,), radians; may lie outside +-pi, see `frames_around`."""
    latitude: NDArray[np.float64]
    """Origins, shape (n,), radians."""

    def taken(self, rows: NDArray[np.bool_]) -> LocalFrames:
        """Return the frames of some objects, shape (n,)."""
        return LocalFrames(
            earth=self.earth,
            longitude=self.longitude[rows],
            latitude=self.latitude[rows],
        )

    def metres(
        self,
        longitude: NDArray[np.float64],
        latitude: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map angles to metres.

        Args:
            longitude: Shape (vertex,), radians, any turn.
            latitude: Shape (vertex,), radians.
            frame: The frame of each vertex, shape (vertex,), indices into the frames.

        Returns:
            Metres to the east and to the north of the origin, shape (vertex,) each.
        """
        normal, curvature = self._radii(latitude)
        x = normal * np.cos(latitude) * wrapped(longitude - self.longitude[frame])
        lat0 = self.latitude[frame]
        # Simpson's rule on the curvature. The usual series gives the distance from the
        # equator, and the difference of two of these loses seven digits on a tree.
        ends = self._radii(self.latitude)[1][frame] + curvature
        middle = self._radii((lat0 + latitude) / 2)[1]
        y = (latitude - lat0) * (ends + 4 * middle) / 6
        return x, y + self._bend(self.latitude)[frame] * x * x

    def angles(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        frame: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return longitude and latitude in radians for metres; undoes `metres`."""
        lat0 = self.latitude[frame]
        arc = y - self._bend(lat0) * x * x
        start = self._radii(lat0)[1]
        latitude = lat0 + arc / start
        # Newton: the derivative is known exactly, three steps reach rounding.
        for _ in range(3):
            here = self._radii(latitude)[1]
            middle = self._radii((lat0 + latitude) / 2)[1]
            reached = (latitude - lat0) * (start + here + 4 * middle) / 6
            latitude = latitude + (arc - reached) / here
        parallel = self._radii(latitude)[0] * np.cos(latitude)
        return self.longitude[frame] + x / parallel, latitude

    def _radii(
        self, latitude: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the radii of curvature in the prime vertical and the meridian, m."""
        sine = np.sin(latitude)
        shrink = 1 - self.earth.eccentricity_squared * sine * sine
        normal = self.earth.semi_major_m / np.sqrt(shrink)
        return normal, normal * (1 - self.earth.eccentricity_squared) / shrink

    def _bend(self, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return half the curvature that a parallel shows on the ground, 1/m."""
        return np.tan(latitude) / (2 * self._radii(latitude)[0])


def frames_around(
    earth: Earth,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    frame: NDArray[np.intp],
) -> LocalFrames:
    """Centre one frame on each object.

    Args:
        earth: Ellipsoid of the angles.
        longitude: Vertices, shape (vertex,), radians.
        latitude: Vertices, shape (vertex,), radians.
        frame: Object of each vertex, shape (vertex,): 0, 0, .., 1, 1, .., ascending
            with no gap.

    Returns:
        Frames on the middle of each object's bounds. Longitudes are followed from the
        first vertex over the antimeridian, so a crown at 180 degrees is one crown.
    """
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    first = longitude[starts]
    east = wrapped(longitude - first[frame])

    def middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
        low = np.minimum.reduceat(values, starts)
        return np.asarray((low + np.maximum.reduceat(values, starts)) / 2)

    if not starts.size:
        empty = np.empty(0, np.float64)
        return LocalFrames(earth=earth, longitude=empty, latitude=empty)
    return LocalFrames(
        earth=earth, longitude=first + middle(east), latitude=middle(latitude)
    )
