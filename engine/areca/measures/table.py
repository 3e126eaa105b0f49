"""Measures of an objects table, in true metres whatever its CRS."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from dask.dataframe.dispatch import make_meta

from areca.errors import GridError
from areca.measures.frames import Earth, LocalFrames, earth_of, frames_around, wrapped
from areca.measures.shapes import (
    ellipse_perimeter,
    is_areal,
    is_quadrilateral,
    is_upright_box,
    repaired,
    smallest_rectangles,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Table = TypeVar("Table", gpd.GeoDataFrame, dgpd.GeoDataFrame)

MEASURES = (
    "area_m2",
    "perimeter_m",
    "center_x",
    "center_y",
    "center_lon",
    "center_lat",
    "radius_m",
    "radius_method",
    "width_m",
    "length_m",
    "orientation_deg",
)
"""The columns that `measure` adds, in this order."""

FRAME_REACH = 3e-4
"""Largest object (from its middle, in earth radii) that a local frame is used for.

About 2 km, less towards the poles; larger ones are measured with pyproj's Geod.
"""


def measure(objects: Table) -> Table:
    """Add area, centre, radius and bounding geometry in true metres.

    Every object is measured in an equal-area frame around its own centre, so the CRS
    of the table may be anything with a place on the Earth: degrees, Web Mercator or
    UTM give the same figures. Edges are the shortest lines between the vertices; holes
    count as not covered; parts of a multipolygon are one object; a polygon that crosses
    itself is repaired first. Objects at the antimeridian are whole. Heights are
    ignored. A table with no geometry column, with no CRS, or with coordinates outside
    it, ends in GridError.

    What `radius_m` means is named in `radius_method`. A value that is already there
    stays (`"model"`: the model gave the radius, and the polygon stands for a circle:
    its own area, and the perimeter, width and length of the circle of that area).
    Otherwise it is:

    - `"ellipse_of_box"` for a rectangle along the axes of the CRS. A box says how far a
      crown reaches, not what it covers, so `area_m2` and `perimeter_m` are those of
      the ellipse inside the box: area pi/4 * width * length. (The area of the box
      itself would overstate a round crown's radius by 12.8 %.)
    - `"mask"` for any other polygon: its own area.

    A box that was reprojected is no rectangle along the axes any more: measure first,
    or give it the method `"ellipse_of_box"`.
    In all cases radius_m = sqrt(area_m2 / pi).

    Args:
        objects: Table with a CRS. Other columns are kept, measures replaced.

    Returns:
        The same kind of table (lazy for dask_geopandas: nothing is computed) with
        `area_m2`, `perimeter_m`, `center_x`, `center_y` (CRS units), `center_lon`,
        `center_lat` (WGS 84 degrees), `radius_m`, `radius_method`, `width_m`,
        `length_m` (smallest rectangle around the object), `orientation_deg` (its long
        side, degrees clockwise from true north, 0 to 180; NaN for the method
        `"model"`, as a circle has no long side). NaN where the geometry is null or
        empty, and sizes of points and lines.
    """
    require_crs(objects)
    if isinstance(objects, dgpd.GeoDataFrame):
        meta = _measured(make_meta(objects))
        return cast("Table", objects.map_partitions(_measured, meta=meta))
    return _measured(objects)


def require_crs(objects: gpd.GeoDataFrame | dgpd.GeoDataFrame) -> pyproj.CRS:
    """Return the CRS of a table.

    Raises:
        GridError: it has none, or no geometry column that could have one.
    """
    if not _has_geometry(objects):
        raise GridError(
            f"a {type(objects).__name__} with the columns {list(objects.columns)} has "
            "no geometry column, so nothing in it has a size or a place. Make one "
            "first, for example geopandas.GeoDataFrame(table, "
            "geometry=geopandas.GeoSeries.from_wkt(table['geometry']), crs='EPSG:...')."
        )
    if objects.crs is None:
        raise GridError(
            f"cannot measure a table of {len(objects.columns)} columns: it has no CRS, "
            "so its units have no size. Name it first: objects.set_crs('EPSG:...')."
        )
    return pyproj.CRS(objects.crs)


def _has_geometry(table: object) -> bool:
    """Return whether a table names a geometry column and holds it."""
    if isinstance(table, dgpd.GeoDataFrame):
        table = make_meta(table)
    return (
        isinstance(table, gpd.GeoDataFrame)
        and table.active_geometry_name in table.columns
    )


def _measured(objects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return one in-memory table with its measures."""
    earth = earth_of(require_crs(objects))
    geometry = objects.geometry.to_numpy()
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    method = _radius_method(objects, geometry, present)
    found = pd.DataFrame(
        np.nan, index=objects.index, columns=list(MEASURES), dtype=np.float64
    )
    found["radius_method"] = method
    if present.any():
        # A circle drawn for a box keeps the method, and is not made smaller again.
        boxes = ((method == "ellipse_of_box") & is_quadrilateral(geometry))[present]
        measures = _measures(geometry[present], boxes, earth)
        for name, values in _rounded_off(measures, method[present] == "model").items():
            column = np.full(len(objects), np.nan)
            column[present] = values
            found[name] = column
    return objects.assign(**{name: found[name] for name in MEASURES})


def _radius_method(
    objects: gpd.GeoDataFrame,
    geometry: NDArray[np.object_],
    present: NDArray[np.bool_],
) -> NDArray[np.object_]:
    """Return where each radius comes from; what the table says already stands."""
    method = np.full(len(objects), None, dtype=np.object_)
    method[present & is_areal(geometry)] = "mask"
    method[present & is_upright_box(geometry)] = "ellipse_of_box"
    if "radius_method" in objects:
        known = objects["radius_method"].notna().to_numpy(dtype=bool)
        method[known] = objects["radius_method"].to_numpy(dtype=np.object_)[known]
    return method


def _measures(
    geometry: NDArray[np.object_], boxes: NDArray[np.bool_], earth: Earth
) -> dict[str, NDArray[np.float64]]:
    """Return the measures, shape (n,) each, of geometries that are not empty."""
    local, frames = _in_metres(geometry, earth)
    areal = is_areal(local)
    rectangles = smallest_rectangles(local)
    area = np.where(areal, shapely.area(local), np.nan)
    perimeter = np.where(areal, shapely.length(local), np.nan)
    for row in np.flatnonzero(areal & _too_large(local, frames)):
        area[row], perimeter[row] = _geodesic(local[row], frames, int(row))
    area[boxes] *= np.pi / 4
    perimeter[boxes] = ellipse_perimeter(
        rectangles.width_m[boxes], rectangles.length_m[boxes]
    )
    centre = shapely.get_coordinates(shapely.centroid(local))
    rows = np.arange(len(local))
    x, y = earth.coordinates(*frames.angles(centre[:, 0], centre[:, 1], rows))
    longitude, latitude = _to_wgs84(earth.crs).transform(x, y)
    return {
        "area_m2": area,
        "perimeter_m": perimeter,
        "center_x": x,
        "center_y": y,
        "center_lon": np.degrees(wrapped(np.radians(longitude))),
        "center_lat": latitude,
        "radius_m": np.sqrt(area / np.pi),
        "width_m": np.where(areal, rectangles.width_m, np.nan),
        "length_m": np.where(areal, rectangles.length_m, np.nan),
        "orientation_deg": np.where(areal, rectangles.orientation_deg, np.nan),
    }


def _rounded_off(
    measures: dict[str, NDArray[np.float64]], discs: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Return the measures with those of circles where `discs`, shape (n,), is True.

    A circle is drawn as a polygon of equal area: its area is right, but its outline is
    longer (0.16 % with 32 sides), it is narrower, and its long side means nothing.
    """
    diameter = 2 * measures["radius_m"]
    of_a_disc = {
        "perimeter_m": np.pi * diameter,
        "width_m": diameter,
        "length_m": diameter,
        "orientation_deg": np.full(discs.shape, np.nan),
    }
    return measures | {
        name: np.where(discs, values, measures[name])
        for name, values in of_a_disc.items()
    }


def _in_metres(
    geometry: NDArray[np.object_], earth: Earth
) -> tuple[NDArray[np.object_], LocalFrames]:
    """Move each geometry into its own frame, all vertices at once, and repair it.

    Returns:
        Valid geometries in metres, and their frames.

    Raises:
        GridError: coordinates that are no place in the CRS.
    """
    vertices, owner = shapely.get_coordinates(geometry, return_index=True)
    longitude, latitude = earth.angles(vertices[:, 0], vertices[:, 1])
    placed = np.isfinite(longitude) & (np.abs(latitude) < np.pi / 2 + 1e-9)
    if not placed.all():
        x, y = vertices[np.argmin(placed)]
        raise GridError(
            f"({x:g}, {y:g}) is no place in {earth.crs.name!r}, and so for "
            f"{int((~placed).sum())} of {placed.size} vertices. The table names the "
            "wrong CRS, or holds y before x: set the CRS the coordinates are in."
        )
    frames = frames_around(earth, longitude, latitude, owner)
    metres = np.column_stack(frames.metres(longitude, latitude, owner))
    # Two columns of new coordinates: heights are dropped here.
    return repaired(shapely.set_coordinates(geometry.copy(), metres)), frames


def _too_large(local: NDArray[np.object_], frames: LocalFrames) -> NDArray[np.bool_]:
    """Return True where the frame would be off by more than 1e-7 of the area."""
    reach = np.abs(shapely.bounds(local)).max(axis=1) / frames.earth.semi_major_m
    slope = np.maximum(1.0, np.abs(np.tan(frames.latitude)))
    return np.asarray(reach * slope > FRAME_REACH)


def _geodesic(
    local: shapely.Geometry, frames: LocalFrames, row: int
) -> tuple[float, float]:
    """Return area (m2) and perimeter (m) of one large object by geodesics."""
    oriented = shapely.orient_polygons(local)
    metres = shapely.get_coordinates(oriented)
    angles = frames.angles(metres[:, 0], metres[:, 1], np.full(len(metres), row))
    degrees = shapely.set_coordinates(oriented, np.degrees(np.column_stack(angles)))
    area, perimeter = frames.earth.geod.geometry_area_perimeter(degrees)
    return abs(area), perimeter


@lru_cache(maxsize=64)
def _to_wgs84(crs: pyproj.CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
