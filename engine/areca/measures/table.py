"""Measures of an objects table, in true metres whatever its CRS."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import pyproj
import shapely
from dask.dataframe.dispatch import make_meta

from areca.errors import GridError
from areca.measures import notes
from areca.measures.centres import centre_columns, place_poles
from areca.measures.chunks import chunks_of
from areca.measures.columns import BOUNDING, Columns, Estimators, polygon_columns
from areca.measures.options import MeasureOptions
from areca.measures.placing import PlacedPolygons, placed
from areca.measures.shapes import (
    is_areal,
    is_quadrilateral,
    is_upright_box,
    polygons_of_collections,
)
from areca.measures.uncertainty import ERRORS, pixel_sizes
from areca.tiles.earth import earth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles.earth import Earth

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
"""The columns that `measure` adds by default, in this order."""
RECTANGLE = ("width_m", "length_m", "orientation_deg")
"""Those of the smallest rectangle, left out by the option `rectangle=False`."""


def measure(objects: Table, *, options: MeasureOptions | None = None) -> Table:
    """Add area, centre, radius and bounding geometry in true metres.

    Every object is measured in an equal-area frame around its own centre, so the CRS
    of the table may be anything with a place on the Earth: degrees, Web Mercator or
    UTM give the same figures. Edges are the shortest lines between the vertices; holes
    count as not covered; parts of a multipolygon are one object; a polygon that crosses
    itself is repaired first; of a collection the polygons count. Objects at the
    antimeridian and at a pole are whole. Heights are ignored. Objects beyond 2 km get
    area and perimeter by geodesics. A polygon that is as good as a line (no wider than
    the rounding of coordinates, some nm) has an area of 0. (The option `notes` says
    which objects were such.) A table with no geometry column, with no CRS, or with
    coordinates that are no place in it, ends in GridError.

    What `radius_m` means is named in `radius_method`. A value that is already there
    stays, unless the option `radius_method` sets one for all. Otherwise it is
    `"ellipse_of_box"` for a rectangle along the axes of the CRS and `"mask"` for any
    other polygon. The estimators:

    - `"mask"`: the outline's own area and perimeter.
    - `"ellipse_of_box"`: a box says how far a crown reaches, not what it covers, so
      area, perimeter and all else are those of the ellipse inside the smallest
      rectangle: area pi/4 * width * length. (The area of the box itself would
      overstate a round crown's radius by 12.8 %.)
    - `"model"`: the model gave the radius, and the polygon stands for a circle: its own
      area, and all else from the circle of that area.
    - `"bounding_circle"`, `"inscribed"`: `radius_m` of the smallest circle around the
      outline or the largest one inside it; area and perimeter are the outline's own.

    With the first three radius_m = sqrt(area_m2 / pi). A box that was reprojected is no
    rectangle along the axes any more: measure first, or give it the method.

    Args:
        objects: Table with a CRS. Other columns are kept, measures replaced.
        options: Which columns are wanted, and how.

    Returns:
        The same kind of table (lazy for dask_geopandas: nothing is computed) with
        `area_m2`, `perimeter_m`, `center_x`, `center_y` (CRS units), `center_lon`,
        `center_lat` (WGS 84 degrees), `radius_m`, `radius_method`, `width_m`,
        `length_m` (smallest rectangle around the object), `orientation_deg` (its long
        side, degrees clockwise from true north, 0 to 180; NaN for the method
        `"model"`, as a circle has no long side). NaN where the geometry is null or
        empty, and sizes of points and lines.

        With the option `bounding` also `bounding_radius_m` (smallest circle around),
        `inscribed_radius_m` (largest circle inside, to 1 %), `pole_x`, `pole_y` (its
        centre, the pole of inaccessibility, CRS units), `feret_min_m`, `feret_max_m`
        (calipers) and `circularity` (4 pi area / perimeter**2: 1 for a circle, 0.62
        for one drawn along the edges of pixels).

        With a pixel size also `area_sigma_m2` and `radius_sigma_m`, one standard
        deviation of what pixels hide (`areca.measures.uncertainty`): NaN where the
        pixel is not known, for circles of a model unless `edge_sigma_m` is given, and
        of radii that are not from the area.
    """
    require_crs(objects)
    knobs = options or MeasureOptions()
    if isinstance(objects, dgpd.GeoDataFrame):
        meta = _measured(make_meta(objects), knobs)
        return cast("Table", objects.map_partitions(_measured, knobs, meta=meta))
    return _measured(objects, knobs)


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


def _measured(objects: gpd.GeoDataFrame, options: MeasureOptions) -> gpd.GeoDataFrame:
    """Return one in-memory table with its measures."""
    earth = earth_of(require_crs(objects))
    drawn = objects.geometry.to_numpy()
    geometry, mixed = polygons_of_collections(drawn)
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    method, guessed = _radius_method(objects, geometry, present, options)
    pixel = pixel_sizes(objects, options)
    columns = {
        name: method if name == "radius_method" else np.full(len(objects), np.nan)
        for name in _names(options, errors=pixel is not None)
    }
    repaired, large = np.zeros((2, len(objects)), dtype=bool)
    for rows in chunks_of(geometry, np.flatnonzero(present)):
        for part in placed(geometry[rows], earth, objects.index[rows]):
            at = rows[part.rows]
            found: Columns = centre_columns(part, earth)
            if isinstance(part, PlacedPolygons):
                repaired[at], large[at] = part.was_invalid, part.is_large
                estimators = _estimators(geometry[at], method[at], options, pixel, at)
                found |= polygon_columns(part, estimators, options)
                place_poles(found, part, earth)
            for name in found.keys() & columns.keys():
                columns[name][at] = found[name]
    if options.notes:
        columns[notes.NOTE] = notes.notes_of(
            {
                notes.ABSENT: ~present,
                notes.NO_AREA: present & ~(columns["area_m2"] > 0),
                notes.COLLECTION: mixed,
                notes.HEIGHTS: shapely.has_z(drawn),
                notes.REPAIRED: repaired,
                notes.LARGE: large,
                notes.ACROSS: _across(drawn, earth),
                notes.BOX: guessed,
            }
        )
    return objects.assign(**columns)


def _across(drawn: NDArray[np.object_], earth: Earth) -> NDArray[np.bool_]:
    """Return whether geometries reach over more than half a turn, shape (n,)."""
    west, _, east, _ = shapely.bounds(drawn).T
    return np.asarray(east - west > (earth.turn or np.inf) / 2)


def _names(options: MeasureOptions, *, errors: bool) -> list[str]:
    """Return the columns that are wanted, in order."""
    left_out = () if options.rectangle else RECTANGLE
    return [
        *(name for name in MEASURES if name not in left_out),
        *(BOUNDING if options.bounding else ()),
        *(ERRORS if errors else ()),
    ]


def _radius_method(
    objects: gpd.GeoDataFrame,
    geometry: NDArray[np.object_],
    present: NDArray[np.bool_],
    options: MeasureOptions,
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return where each radius comes from; what the table says already stands.

    Returns:
        The method of each object, and which are boxes by their shape alone.
    """
    method = np.full(len(objects), None, dtype=np.object_)
    boxes = np.zeros(len(objects), dtype=bool)
    areal = present & is_areal(geometry)
    if options.radius_method is not None:
        method[areal] = options.radius_method
        return method, boxes
    method[areal] = "mask"
    boxes = present & is_upright_box(geometry)
    method[boxes] = "ellipse_of_box"
    if "radius_method" in objects:
        known = objects["radius_method"].notna().to_numpy(dtype=bool)
        method[known] = objects["radius_method"].to_numpy(dtype=np.object_)[known]
        boxes &= ~known
    return method, boxes


def _estimators(
    geometry: NDArray[np.object_],
    method: NDArray[np.object_],
    options: MeasureOptions,
    pixel: NDArray[np.float64] | None,
    rows: NDArray[np.intp],
) -> Estimators:
    """Return what each polygon is taken for."""
    box = np.asarray(method == "ellipse_of_box", dtype=bool)
    if options.radius_method is None and box.any():
        # A circle drawn for a box keeps the method, and is not made smaller again.
        box &= is_quadrilateral(geometry)
    return Estimators(
        box=box,
        disc=np.asarray(method == "model", dtype=bool),
        bounding=np.asarray(method == "bounding_circle", dtype=bool),
        inscribed=np.asarray(method == "inscribed", dtype=bool),
        pixel=None if pixel is None else pixel[rows],
    )
