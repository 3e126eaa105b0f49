"""How large a pixel is on the ground."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pyproj import CRS, Geod, Transformer

from areca.errors import GridError
from areca.tiles.earth import earth_of, wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from areca.tiles.lattice import Lattice
    from areca.tiles.window import Window

NODE_M = 2_000
"""How far apart on the ground the nodes lie; a larger pixel is measured itself."""
MOST_NODE_PX = 256


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


def ground_axes_m(
    lattice: Lattice, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far one step along x, and one along y, leads on the ellipsoid.

    By the radii of curvature in the meridian and in the prime vertical (Snyder 1987,
    USGS PP 1395, p. 24) at the place itself, so it holds for one step, not for many.
    The area of a pixel is the absolute determinant.

    Args:
        lattice: What pixels are counted on.
        x: Columns, fractional absolute pixels, shape (n,).
        y: Rows, counted downwards, shape (n,).

    Returns:
        Shape (n, 2, 2), m: east and north of a step along x, then of one along y.

    Raises:
        GridError: A place lies where the CRS is not defined.
    """
    earth = earth_of(CRS.from_user_input(lattice.crs))
    steps = np.array([[-0.5, 0], [0.5, 0], [0, -0.5], [0, 0.5]])[:, :, None]
    east, north = lattice.to_crs(x + steps[:, 0], y + steps[:, 1])
    longitude, latitude = earth.angles(east, north)
    if not (np.isfinite(longitude) & np.isfinite(latitude)).all():
        raise GridError(
            f"{earth.crs.name} is not defined at all of {len(x)} places; check the "
            "transform of the raster"
        )
    middle = latitude.mean(axis=0)
    vertical, meridian = earth.radii(middle)
    turn = wrapped(longitude[1::2] - longitude[::2])
    rise = latitude[1::2] - latitude[::2]
    metres = [vertical * np.cos(middle) * turn, meridian * rise]
    return np.moveaxis(np.stack(metres, axis=1), 2, 0)


def pixel_sizes_m(
    lattice: Lattice, window: Window
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the width and the height of each pixel of a window on the ellipsoid, m.

    Measured at nodes that are anchored to the lattice and interpolated between them, so
    that a pixel has one size, to the last bit, in whatever window it is asked for.

    Args:
        lattice: What pixels are counted on.
        window: The pixels wanted; may reach beyond the raster.

    Returns:
        Two arrays, shape (height, width) of the window.

    Raises:
        GridError: The window lies where the CRS is not defined.
    """  # noqa: DOC502 - raised by ground_axes_m
    earth = earth_of(CRS.from_user_input(lattice.crs))
    pixel_m = max(lattice.pixel_x, lattice.pixel_y) * earth.metres_per_unit
    step = min(max(int(NODE_M / pixel_m), 1), MOST_NODE_PX)
    rows, row_share = _nodes(window.row0, window.row1, step)
    cols, col_share = _nodes(window.col0, window.col1, step)
    y, x = np.meshgrid(rows + 0.5, cols + 0.5, indexing="ij")
    axes = ground_axes_m(lattice, x.ravel(), y.ravel())
    lengths = np.hypot(axes[:, :, 0], axes[:, :, 1]).reshape(*x.shape, 2)
    across, down = (
        _between(_between(lengths[..., axis], row_share).T, col_share).T
        for axis in (0, 1)
    )
    return across, down


def _nodes(
    start: int, stop: int, step: int
) -> tuple[NDArray[np.float64], tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return nodes around some pixels, and between which of them each pixel lies."""
    pixels = np.arange(start, stop)
    first = start // step
    nodes = np.arange(first, (stop - 1) // step + 2) * step
    return nodes.astype(np.float64), (pixels // step - first, pixels % step / step)


def _between(
    values: NDArray[np.float64], place: tuple[NDArray[np.int64], NDArray[np.float64]]
) -> NDArray[np.float64]:
    index, share = place
    low, high = values[index], values[index + 1]
    return np.asarray(low + (high - low) * share[:, None])
