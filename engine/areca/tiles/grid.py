"""Where rasters lie on a common pixel grid: whole-pixel offsets, or a clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import rioxarray  # noqa: F401 - registers the .rio accessor
from affine import Affine
from odc.geo.geobox import GeoBox

from areca.errors import GridError

if TYPE_CHECKING:
    import xarray as xr

PIXEL_TOLERANCE = 0.01
"""Two grids are one when they agree to this share of a pixel at both ends."""


def pixel_offset(outer: GeoBox, inner: GeoBox) -> tuple[int, int]:
    """Return the row and column of the first pixel of `inner` inside `outer`.

    The result may be negative: `inner` need not lie within `outer`.

    Raises:
        GridError: The two do not share CRS, pixel and phase, so that pixels of one
            would have to be resampled to the other.
    """
    if outer.crs != inner.crs:
        raise GridError(
            f"grids differ in CRS: {outer.crs} and {inner.crs}. One would have to be "
            "warped, which is not supported here; choose items of one CRS"
        )
    first = ~outer.affine * inner.affine
    col, row = first.c, first.f
    last_col, last_row = first * (inner.shape.x, inner.shape.y)
    drift = max(
        abs(col - round(col)),
        abs(row - round(row)),
        abs(last_col - round(col) - inner.shape.x),
        abs(last_row - round(row) - inner.shape.y),
    )
    if drift > PIXEL_TOLERANCE:
        raise GridError(
            f"grids do not align: pixel {inner.affine.a:g} x {inner.affine.e:g} at "
            f"({inner.affine.c:.6f}, {inner.affine.f:.6f}) is off by {drift:.3f} pixel "
            f"from pixel {outer.affine.a:g} x {outer.affine.e:g} at "
            f"({outer.affine.c:.6f}, {outer.affine.f:.6f}). One would have to be "
            "warped, which is not supported here; choose items of one grid"
        )
    return round(row), round(col)


def cube_geobox(cube: xr.DataArray) -> GeoBox:
    """Return the place of a cube, also after it was cropped with `isel` or `sel`.

    The pixel size and the phase come from the transform stored in `spatial_ref`
    (exact), the offset from the coordinates (which a crop keeps).

    Args:
        cube: Dims (..., y, x) with pixel-centre coordinates and a CRS that rioxarray
            reads.

    Raises:
        GridError: The cube has no CRS, or its coordinates are no north-up grid.
    """
    crs = cube.rio.crs
    if crs is None:
        raise GridError(
            "the cube has no CRS, so nothing in it can be placed or measured. Set it "
            "with cube.rio.write_crs('EPSG:…')"
        )
    stored = cube.rio.transform()
    if stored.b or stored.d or stored.a <= 0 or stored.e >= 0:
        raise GridError(
            f"the cube's transform {tuple(stored)[:6]} is rotated or not north-up; "
            "warp it to a north-up grid first, for example with rio.reproject"
        )
    col = (float(cube.x[0]) - stored.c) / stored.a - 0.5
    row = (float(cube.y[0]) - stored.f) / stored.e - 0.5
    last_col = (float(cube.x[-1]) - stored.c) / stored.a - 0.5
    last_row = (float(cube.y[-1]) - stored.f) / stored.e - 0.5
    shape = (cube.sizes["y"], cube.sizes["x"])
    drift = max(
        abs(col - round(col)),
        abs(row - round(row)),
        abs(last_col - round(col) - shape[1] + 1),
        abs(last_row - round(row) - shape[0] + 1),
    )
    if drift > PIXEL_TOLERANCE:
        raise GridError(
            f"the cube's coordinates are off by {drift:.3f} pixel from the transform "
            "in its spatial_ref. After a change of resolution write the new one with "
            "cube.rio.write_transform(cube.rio.transform(recalc=True))"
        )
    affine = cast("Affine", stored * Affine.translation(round(col), round(row)))
    return GeoBox(shape, affine, crs.to_wkt() if crs.to_epsg() is None else str(crs))
