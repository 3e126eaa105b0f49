"""The ellipsoid under a CRS, and the way from its coordinates to angles."""

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
        with np.errstate(invalid="ignore"):  # beyond the map both are infinite
            world = float(across[0] - across[1])
        # On other maps both are one place: rounding must not pass for a world of 1 nm.
        least = 1.0 if self.to_angles is None else self.semi_major_m
        return world if np.isfinite(world) and world >= least else None

    def in_one_piece(
        self, x: NDArray[np.float64], centre: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return x of shapes around `centre` that go on past the edge of the map."""
        turn = self.turn  # a transformation each time
        if turn is None:
            return x
        return np.asarray(x - turn * np.rint((x - centre) / turn))

    def radii(
        self, latitude: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the radii of curvature in the prime vertical and the meridian, m.

        Snyder 1987, USGS PP 1395, p. 24, for latitudes in radians of any shape.
        """
        sine = np.sin(latitude)
        shrink = 1 - self.eccentricity_squared * sine * sine
        normal = self.semi_major_m / np.sqrt(shrink)
        return normal, normal * (1 - self.eccentricity_squared) / shrink

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
