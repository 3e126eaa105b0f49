"""Vector labels from a file, on the grid of the image they belong to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from pyogrio.errors import DataSourceError

from areca.errors import LabelError
from areca.tiles import ground_pixel_m

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


def read_labels(path: str | Path, geobox: GeoBox) -> gpd.GeoDataFrame:
    """Return the labels of a file in the CRS of the image, checked.

    Args:
        path: GeoParquet, or any vector file that GDAL reads.
        geobox: Grid of the image that the labels belong to.

    Returns:
        The rows whose geometry touches the image, columns kept, index 0..n-1.

    Raises:
        LabelError: the file is unreadable, has no CRS, no rows, a null, empty or
            invalid geometry, or no label on the image.
    """
    frame = _read(Path(path))
    if frame.crs is None:
        raise LabelError(
            f"{path}: the labels have no CRS, so they cannot be put on the image; "
            "write them again with the CRS they were drawn in"
        )
    if frame.empty:
        raise LabelError(f"{path}: there are no labels in the file (0 rows)")
    _check_geometry(frame, path)
    frame = frame.to_crs(geobox.crs.to_wkt() if geobox.crs else frame.crs)
    image = shapely.box(*geobox.extent.boundingbox)
    inside = frame[frame.intersects(image)].reset_index(drop=True)
    if inside.empty:
        raise LabelError(
            f"{path}: none of {len(frame)} labels lies on the image; labels span "
            f"{_rounded(frame.total_bounds)}, the image {_rounded(image.bounds)} in "
            f"{geobox.crs}. Is it the right pair of files?"
        )
    return inside


def read_area(path: str | Path, geobox: GeoBox) -> gpd.GeoDataFrame:
    """Return the polygons within which labels hold, in the CRS of the image.

    Raises:
        LabelError: as `read_labels`, or a geometry is no polygon.
    """
    frame = read_labels(path, geobox)
    kinds = sorted(set(frame.geom_type) - {"Polygon", "MultiPolygon"})
    if kinds:
        raise LabelError(
            f"{path}: an area must be made of polygons, this file has {kinds}"
        )
    return frame


def pixel_size_m(geobox: GeoBox) -> float:
    """Return the edge of a ground pixel at the middle of the grid, m.

    The geometric mean of width and height, so that an area in pixels times its square
    is right.
    """
    across, down = ground_pixel_m(geobox)
    return math.sqrt(across * down)


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.is_file():
        raise LabelError(f"there is no label file {path}")
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            return gpd.read_parquet(path)
        return gpd.read_file(path)
    except (DataSourceError, ValueError) as error:
        raise LabelError(f"{path} cannot be read as labels: {error}") from error


def _check_geometry(frame: gpd.GeoDataFrame, path: str | Path) -> None:
    shapes = np.asarray(frame.geometry.array, dtype=object)
    for fault, mask in (
        ("null or empty", shapely.is_missing(shapes) | shapely.is_empty(shapes)),
        ("invalid", ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)),
    ):
        if mask.any():
            raise LabelError(
                f"{path}: {int(mask.sum())} of {len(frame)} geometries are {fault}, "
                f"the first in row {int(np.flatnonzero(mask)[0])}; repair or remove "
                "them"
            )


def _rounded(bounds: object) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in np.asarray(bounds))
