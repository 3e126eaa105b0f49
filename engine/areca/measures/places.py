"""Centres of objects as places on the Earth, for distances between objects.

Neighbours are searched in geocentric coordinates: a straight line through the ground
between two places 1 km apart is 1 part in 10^9 shorter than the geodesic, there is no
zone, no antimeridian and no pole, and one tree serves the whole globe.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from areca.measures.table import measure

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

WGS84 = "EPSG:4326"
EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the ellipsoid."""
_GEOCENTRIC, _GEODETIC = "EPSG:4978", "EPSG:4979"
_CENTRES = ("center_lon", "center_lat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Points on the WGS 84 ellipsoid with their directions; all shapes are (n, 3)."""

    xyz: NDArray[np.float64]
    """Geocentric coordinates, m."""
    east: NDArray[np.float64]
    """Unit vectors to the east."""
    north: NDArray[np.float64]
    """Unit vectors to the north."""

    def __len__(self) -> int:
        return len(self.xyz)

    @classmethod
    def of(cls, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Places:
        """Return the places of longitudes and latitudes.

        Args:
            lon: Shape (n,), WGS 84 degrees.
            lat: Shape (n,), WGS 84 degrees.
        """
        height = np.zeros(len(lon))
        xyz = np.column_stack(_from_degrees().transform(lon, lat, height))
        east_of, north_of = np.radians(lon), np.radians(lat)
        nothing = np.zeros(len(lon))
        east = np.column_stack([-np.sin(east_of), np.cos(east_of), nothing])
        up = np.column_stack(
            [
                np.cos(north_of) * np.cos(east_of),
                np.cos(north_of) * np.sin(east_of),
                np.sin(north_of),
            ]
        )
        return cls(xyz=xyz.reshape(-1, 3), east=east, north=np.cross(up, east))

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Places:
        """Return the places of an index or a mask, copied."""
        return Places(
            xyz=self.xyz[index], east=self.east[index], north=self.north[index]
        )

    def join(self, more: Places) -> Places:
        """Return these places and then others."""
        return Places(
            xyz=np.concatenate([self.xyz, more.xyz]),
            east=np.concatenate([self.east, more.east]),
            north=np.concatenate([self.north, more.north]),
        )

    def to_plane(
        self, here: NDArray[np.intp], there: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return how far places lie to the east and to the north of some of these.

        Args:
            here: Shape (n,), indices of the places that are looked from.
            there: Geocentric places, shape (n, k, 3), m.

        Returns:
            Shape (n, k, 2), m, in the tangent plane of each place; short of the
            geodesic by (distance / earth radius)**2 / 6, 1e-11 for 50 m.
        """
        reach = there - self.xyz[here][:, None]
        axes = np.stack([self.east[here], self.north[here]], axis=-1)
        return np.asarray(reach @ axes)

    def from_plane(self, metres: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the geocentric places east and north of each place.

        Args:
            metres: Shape (n, k, 2), m to the east and to the north of each place.

        Returns:
            Shape (n, k, 3), m, in the tangent plane: 0.2 mm above the ground 50 m away.
        """
        axes = np.stack([self.east, self.north], axis=1)
        return np.asarray(self.xyz[:, None] + metres @ axes)


def to_degrees(
    xyz: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude, WGS 84 degrees, shape (n,) each.

    Args:
        xyz: Geocentric places, shape (n, 3), m; their height is dropped.
    """
    x, y, z = xyz.T
    lon, lat, _ = _from_degrees().transform(x, y, z, direction="INVERSE")
    return np.asarray(lon), np.asarray(lat)


def centres_of(objects: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """Return the centres of objects.

    Args:
        objects: In-memory table with a CRS; it is measured where `center_lon` or
            `center_lat` is missing.

    Returns:
        Shape (n, 2): longitude and latitude, WGS 84 degrees; NaN where an object has
        no geometry.
    """
    known = set(_CENTRES) <= set(objects.columns)
    table = objects if known else measure(objects)
    lon, lat = (table[n].to_numpy(np.float64, na_value=np.nan) for n in _CENTRES)
    return np.column_stack([lon, lat])


def arc_length(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances along the ground for straight lines through it.

    Args:
        chord: Any shape, m.

    Returns:
        Distances on a sphere of the Earth's mean radius, m: off by less than 1e-8 of
        the geodesic up to 5 km.
    """
    across = 2 * EARTH_RADIUS_M
    return np.asarray(across * np.arcsin(np.minimum(chord / across, 1.0)))


@lru_cache(maxsize=1)
def _from_degrees() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_GEODETIC, _GEOCENTRIC, always_xy=True)
