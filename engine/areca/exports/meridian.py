"""Shapes as GeoJSON wants them (RFC 7946): degrees, right-hand rule, split at 180."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely

from areca.measures.places import WGS84

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

TURN = 360.0
WEST, EAST = -180.0, 180.0


def to_geojson_shapes(part: gpd.GeoDataFrame) -> NDArray[np.object_]:
    """Return the shapes of a table in longitude and latitude, WGS 84.

    Outer rings turn counter-clockwise (section 3.1.6). What crosses the antimeridian
    is cut there into parts of a multi-shape, none of which leaves -180 to 180 (section
    3.1.9). Heights are dropped.

    Args:
        part: In-memory table with a CRS. Shapes span less than half the globe and hold
            no pole.

    Returns:
        Shape (n,); None where there is no geometry.
    """
    to_degrees = pyproj.Transformer.from_crs(part.crs, WGS84, always_xy=True)
    shapes = np.asarray(shapely.force_2d(part.geometry.to_numpy()), object)
    placed = shapely.transform(
        shapes, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1]))
    )
    return split_at_antimeridian(placed)


def split_at_antimeridian(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Cut shapes in degrees where they cross the antimeridian.

    Args:
        shapes: Shape (n,). A crossing one jumps from 180 to -180, or goes on past 180.

    Returns:
        Shape (n,), outer rings counter-clockwise. What does not cross is as it was,
        but for the direction of rings.
    """
    bounds = shapely.bounds(shapes)
    west, east = bounds[:, 0], bounds[:, 2]
    with np.errstate(invalid="ignore"):
        across = (west < WEST) | (east > EAST) | (east - west > TURN / 2)
    whole = shapely.orient_polygons(shapes)
    if not across.any():
        return np.asarray(whole)
    # In one piece around 180: what jumped goes on, what went on stays.
    turned = shapely.transform(whole[across], _in_one_turn)
    western, eastern = (
        _shifted(
            shapely.intersection(turned, shapely.box(low, -90, low + TURN, 90)), low
        )
        for low in (WEST, EAST)
    )
    cut = np.asarray(whole).copy()
    cut[across] = shapely.union(western, eastern)
    return np.asarray(shapely.orient_polygons(cut))


def _in_one_turn(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([xy[:, 0] % TURN, xy[:, 1]])


def _shifted(shapes: NDArray[np.object_], low: float) -> NDArray[np.object_]:
    moved: NDArray[np.object_] = shapely.transform(
        shapes, lambda xy: xy - [low - WEST, 0]
    )
    return moved
