"""Areas of interest: from what users give to one geometry in degrees."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
from pyproj import Geod
from shapely import force_2d, make_valid
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points, unary_union

from areca.errors import AoiError

if TYPE_CHECKING:
    from collections.abc import Sequence

Aoi = (
    str
    | Path
    | tuple[float, float, float, float]
    | BaseGeometry
    | gpd.GeoSeries
    | gpd.GeoDataFrame
)
"""What an area of interest may be given as."""

_GEOD = Geod(ellps="WGS84")


def read_aoi(aoi: Aoi) -> BaseGeometry:
    """Return an area of interest as one geometry in EPSG:4326.

    Args:
        aoi: `"W,S,E,N"` in degrees, four numbers, a vector file of any CRS, a shapely
            geometry in degrees, or a GeoSeries or GeoDataFrame with a CRS.

    Raises:
        AoiError: It cannot be read, is empty, has no area, is swapped, leaves the range
            of degrees, or spans more than half the globe.
    """
    numbers = _numbers(aoi)
    if numbers is not None:
        return _from_box(numbers, aoi)
    if isinstance(aoi, (str, Path)):
        shapes = _from_file(Path(aoi))
        return _check(_in_degrees(shapes, str(aoi)), str(aoi))
    if isinstance(aoi, gpd.GeoDataFrame):
        return _check(_in_degrees(aoi.geometry, "the GeoDataFrame"), "the GeoDataFrame")
    if isinstance(aoi, gpd.GeoSeries):
        return _check(_in_degrees(aoi, "the GeoSeries"), "the GeoSeries")
    if isinstance(aoi, BaseGeometry):
        return _check(force_2d(aoi), "the geometry")
    raise AoiError(
        f"an area of interest cannot be a {type(aoi).__name__}; give 'W,S,E,N' in "
        "degrees, a vector file or a geometry"
    )


def span_of(geometry: BaseGeometry) -> float:
    """Return the degrees of longitude that a geometry spans, the short way round.

    Parts that meet at the 180th meridian (RFC 7946) are near to each other.
    """
    return min(_span(geometry, 0.0), _span(geometry, 360.0))


def _span(geometry: BaseGeometry, turn: float) -> float:
    bounds = [part.bounds for part in getattr(geometry, "geoms", [geometry])]
    edges = [
        (west + turn, east + turn) if east <= 0 else (west, east)
        for west, _, east, _ in bounds
    ]
    first, last = min(west for west, _ in edges), max(east for _, east in edges)
    return float(last - first)


def distance_km(one: BaseGeometry, others: Sequence[BaseGeometry]) -> float:
    """Return the distance from a geometry to the nearest of others, all in degrees.

    Measured along the ellipsoid between the points nearest in degrees, so it is a
    hint and no exact minimum. Zero when they touch.
    """
    lines = [nearest_points(one, other) for other in others if not other.is_empty]
    metres = [_GEOD.inv(a.x, a.y, b.x, b.y)[2] for a, b in lines]
    return min(metres, default=math.nan) / 1000


def _numbers(aoi: object) -> list[float] | None:
    """Return the four numbers of a box, None when it is something else.

    Raises:
        AoiError: It is a box, but not of four finite numbers.
    """
    parts: Sequence[object]
    if isinstance(aoi, str):
        parts = aoi.split(",")
    elif isinstance(aoi, (tuple, list)):
        parts = aoi
    else:
        return None
    try:
        numbers = [float(str(part)) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 4 and all(map(math.isfinite, numbers)):
        return numbers
    if isinstance(aoi, str) and not numbers:
        return None
    raise AoiError(f"the box {aoi!r} is not four numbers; give W,S,E,N in degrees")


def _from_box(numbers: list[float], aoi: object) -> BaseGeometry:
    west, south, east, north = numbers
    is_across = west > east and east + 360 - west < 180 and -180 <= east <= west <= 180
    if (west >= east and not is_across) or south >= north:
        raise AoiError(
            f"the box {aoi!r} is empty or swapped: it must be W,S,E,N with S < N, and "
            "W < E unless it crosses the 180th meridian"
        )
    if is_across:
        halves = (box(west, south, 180, north), box(-180, south, east, north))
        return _check(unary_union([half for half in halves if half.area]), "the box")
    return _check(box(west, south, east, north), f"the box {aoi!r}")


def _from_file(path: Path) -> gpd.GeoSeries:
    if not path.exists():
        raise AoiError(
            f"there is no area of interest {str(path)!r}; give W,S,E,N in degrees or a "
            "vector file"
        )
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            return gpd.read_parquet(path).geometry
        return gpd.read_file(path).geometry
    except (RuntimeError, OSError, ValueError, AttributeError) as err:
        reason = " ".join(str(err).split())[:200]
        raise AoiError(
            f"cannot read the area of interest {str(path)!r}: {reason}. Give a vector "
            "file such as GeoJSON, GeoPackage or GeoParquet"
        ) from err


def _in_degrees(shapes: gpd.GeoSeries, name: str) -> BaseGeometry:
    if shapes.crs is None:
        raise AoiError(f"{name} has no CRS; set one, for example with set_crs(4326)")
    solid = shapes[~(shapes.isna() | shapes.is_empty)]
    if not len(solid):
        raise AoiError(f"{name} holds no geometry; give at least one polygon")
    flat = gpd.GeoSeries(force_2d(list(solid)), crs=shapes.crs)
    if flat.crs != "EPSG:4326":
        # Straight lines of one CRS are bent in another: follow them with more points.
        west, south, east, north = flat.total_bounds
        flat = flat.segmentize(max(east - west, north - south, 1e-9) / 32)
        flat = flat.to_crs("EPSG:4326")
    valid: BaseGeometry = flat.make_valid().union_all()
    return valid


def _check(geometry: BaseGeometry, name: str) -> BaseGeometry:
    if geometry.is_empty:
        raise AoiError(f"{name} is empty; give at least one polygon")
    west, south, east, north = geometry.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise AoiError(
            f"{name} reaches ({west:g}, {south:g}, {east:g}, {north:g}), which are no "
            "degrees of longitude and latitude. Another CRS, or latitude first?"
        )
    if span_of(geometry) > 180:
        raise AoiError(
            f"{name} spans {span_of(geometry):g} degrees of longitude, more than half "
            "the globe. Does it cross the 180th meridian? Give its two halves"
        )
    valid = make_valid(geometry)
    if not valid.area > 0:
        raise AoiError(f"{name} has no area; give a polygon, not points or lines")
    return valid
