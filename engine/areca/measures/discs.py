"""Objects as circles on the ground: their centre and their radius, drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import shapely
from dask.dataframe.dispatch import make_meta

from areca.measures.table import measure, require_crs
from areca.objects.circles import equal_area_factor
from areca.tiles.earth import Earth, earth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.table import Table


def circles(objects: Table, *, segments: int = 64) -> Table:
    """Replace each geometry by the circle of its radius around its centre.

    Vertices lie at one geodesic distance from the centre, a little outside the circle,
    so that the polygon has the area of the circle.

    Args:
        objects: Table with a CRS. It is measured first where `radius_m` is missing.
        segments: Vertices of each circle.

    Returns:
        The same kind of table (lazy for dask_geopandas), geometry replaced, None where
        an object has no centre or no radius. A circle over the antimeridian goes on
        past 180 degrees (or past the edge of the map).
    """
    require_crs(objects)
    if isinstance(objects, dgpd.GeoDataFrame):
        meta = _with_circles(make_meta(objects), segments)
        return cast("Table", objects.map_partitions(_with_circles, segments, meta=meta))
    return _with_circles(objects, segments)


def _with_circles(objects: gpd.GeoDataFrame, segments: int) -> gpd.GeoDataFrame:
    """Return one in-memory table with circles as its geometry."""
    needed = {"center_x", "center_y", "radius_m"}
    table = objects if needed <= set(objects.columns) else measure(objects)
    centre_x, centre_y, radius = (
        table[name].to_numpy(np.float64)
        for name in ("center_x", "center_y", "radius_m")
    )
    drawn = np.isfinite(centre_x) & np.isfinite(radius)
    rings = _geodesic_rings(
        earth_of(require_crs(objects)),
        np.column_stack([centre_x[drawn], centre_y[drawn], radius[drawn]]),
        segments,
    )
    geometry = np.full(len(table), None, dtype=np.object_)
    geometry[drawn] = shapely.polygons(shapely.linearrings(rings))
    return table.set_geometry(gpd.GeoSeries(geometry, index=table.index, crs=table.crs))


def _geodesic_rings(
    earth: Earth, discs: NDArray[np.float64], segments: int
) -> NDArray[np.float64]:
    """Return the vertices, shape (n, segments, 2), of discs (x, y, radius in m)."""
    longitude, latitude = earth.angles(discs[:, 0], discs[:, 1])
    reach = discs[:, 2] * equal_area_factor(segments)
    # Counter-clockwise from the east, as circle_polygons draws in a plane.
    azimuth = 90.0 - np.arange(segments) * (360.0 / segments)
    shape = (len(discs), segments)
    start_lon, start_lat, bearing, distance = (
        np.broadcast_to(values, shape).ravel()
        for values in (
            np.degrees(longitude)[:, None],
            np.degrees(latitude)[:, None],
            azimuth,
            reach[:, None],
        )
    )
    lon, lat, _ = earth.geod.fwd(start_lon, start_lat, bearing, distance)
    x, y = earth.coordinates(np.radians(lon), np.radians(lat))
    x = earth.in_one_piece(x.reshape(shape), discs[:, :1])
    return np.stack([x, y.reshape(shape)], axis=-1)
