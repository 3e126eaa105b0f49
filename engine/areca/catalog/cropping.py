"""The part of a grid that an area of interest covers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pyproj import Transformer
from shapely import transform, wkt

from areca.catalog.aoi import distance_km, read_aoi
from areca.catalog.masks import densified
from areca.errors import AoiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odc.geo.geobox import GeoBox

    from areca.catalog.aoi import Aoi
    from areca.catalog.scenes import Scene


def window_of(
    grid: GeoBox, aoi: Aoi, scenes: Sequence[Scene]
) -> tuple[int, int, int, int]:
    """Return the pixels of a grid around an area.

    Args:
        grid: The grid.
        aoi: The area, see `areca.catalog.aoi.read_aoi`.
        scenes: What lies on the grid, for the message of an error.

    Returns:
        Row, column, height and width.

    Raises:
        AoiError: The area does not touch the grid.
    """
    area = read_aoi(aoi)
    west, south, east, north = area.bounds
    left, bottom, right, top = bounds_on(area, str(grid.crs))
    height, width = grid.shape
    outer = (0, 0, height, width)
    if all(map(math.isfinite, (left, bottom, right, top))):
        col0, row0 = ~grid.affine * (left, top)
        col1, row1 = ~grid.affine * (right, bottom)
        # An edge that falls on a pixel border by all but noise is that border.
        outer = (
            max(0, math.floor(row0 + 1e-6)),
            max(0, math.floor(col0 + 1e-6)),
            min(height, math.ceil(row1 - 1e-6)),
            min(width, math.ceil(col1 - 1e-6)),
        )
    row, col, row_end, col_end = outer
    if row >= row_end or col >= col_end:
        away = distance_km(area, [wkt.loads(scene.footprint) for scene in scenes])
        raise AoiError(
            f"the area ({west:.6g}, {south:.6g}, {east:.6g}, {north:.6g}) lies outside "
            f"the items, {away:,.1f} km from the nearest. Check the order W,S,E,N"
        )
    return row, col, row_end - row, col_end - col


def bounds_on(aoi: Aoi, crs: str) -> tuple[float, float, float, float]:
    """Return the bounds of an area in another CRS.

    Args:
        aoi: The area, see `areca.catalog.aoi.read_aoi`.
        crs: The CRS.

    Returns:
        Left, bottom, right and top; not finite where the CRS is not defined there.
    """
    there = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    placed = transform(
        densified(read_aoi(aoi)),
        lambda lonlat: np.column_stack(there.transform(lonlat[:, 0], lonlat[:, 1])),
    )
    left, bottom, right, top = placed.bounds
    return left, bottom, right, top
