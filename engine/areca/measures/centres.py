"""Places in local frames as coordinates of the CRS and of WGS 84."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from areca.measures.placing import PlacedPolygons
from areca.tiles.earth import wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.columns import Columns
    from areca.measures.frames import LocalFrames
    from areca.measures.placing import PlacedOthers
    from areca.tiles.earth import Earth


def centre_columns(placed: PlacedPolygons | PlacedOthers, earth: Earth) -> Columns:
    """Return the centroids in the CRS and in degrees of WGS 84, shape (n,) each."""
    if isinstance(placed, PlacedPolygons):
        middle = placed.sizes.centre_x, placed.sizes.centre_y
    else:
        middle = placed.x, placed.y
    x, y = _coordinates(earth, placed.frames, *middle)
    longitude, latitude = _to_wgs84(earth.crs).transform(x, y)
    return {
        "center_x": x,
        "center_y": y,
        "center_lon": np.degrees(wrapped(np.radians(longitude))),
        "center_lat": latitude,
    }


def place_poles(columns: Columns, placed: PlacedPolygons, earth: Earth) -> None:
    """Bring the poles of inaccessibility, if any, from metres into the CRS."""
    if "pole_x" in columns:
        columns["pole_x"], columns["pole_y"] = _coordinates(
            earth, placed.frames, columns["pole_x"], columns["pole_y"]
        )


def _coordinates(
    earth: Earth,
    frames: LocalFrames,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coordinates in the CRS of one place in each frame, NaN for NaN."""
    known = np.isfinite(x)
    longitude, latitude = frames.angles(x, y, np.arange(len(x)))
    east, north = np.full((2, len(x)), np.nan)
    east[known], north[known] = earth.coordinates(longitude[known], latitude[known])
    return east, north


@lru_cache(maxsize=64)
def _to_wgs84(crs: pyproj.CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
