"""How large a pixel is on the ground."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pyproj import CRS, Geod, Transformer

from areca.errors import GridError

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


def ground_pixel_m(geobox: GeoBox) -> tuple[float, float]:
    """Return width and height of the middle pixel on the ellipsoid, m.

    Lengths are geodesic, so a degree or a Mercator metre is never taken for a metre.

    Args:
        geobox: A grid with a CRS.

    Raises:
        GridError: The grid lies where its CRS is not defined.
    """
    crs = CRS.from_user_input(str(geobox.crs))
    height, width = geobox.shape
    centre = (width / 2, height / 2)
    steps = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    points = [geobox.affine * (centre[0] + dx, centre[1] + dy) for dx, dy in steps]
    to_lonlat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    x, y = zip(*points, strict=True)
    lon, lat = to_lonlat.transform(x, y)
    if not all(map(math.isfinite, (*lon, *lat))):
        raise GridError(
            f"the grid around {points[0]} lies where {crs.name} is not defined; check "
            "its transform"
        )
    geod = crs.get_geod() or Geod(ellps="WGS84")
    _, _, across = geod.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, down = geod.inv(lon[0], lat[0], lon[2], lat[2])
    return float(across), float(down)
