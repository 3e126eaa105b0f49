"""Bands of several rasters as one cube, if they lie on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr

from areca.errors import BandError, GridError
from areca.features.lineage import LINEAGE, lineage
from areca.tiles import cube_geobox, pixel_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odc.geo.geobox import GeoBox


def stack_bands(cubes: Sequence[xr.DataArray]) -> xr.DataArray:
    """Put the bands of several rasters into one cube; nothing is computed.

    xarray's own `concat` makes one larger grid with holes of two that are half a pixel
    apart; here all must have the very same pixels.

    Args:
        cubes: Dims (band, y, x), or (y, x) with a name, such as the classes of
            `areca.classify`, each with a CRS; in the order of the bands wanted.

    Returns:
        Dims (band, y, x), chunks along y and x as the first has them. Numbers of one
        integer type with one nodata, or none, stay as they are; integers of several
        types without nodata become the smallest type that holds all. All else is
        float32, or float64 where that is needed to hold the integers, and NaN where
        missing. `attrs["items"]` and `attrs["lineage"]` have those of all, see
        `areca.lineage`.

    Raises:
        GridError: One has other pixels than the first, other dims or no CRS.
        BandError: Two bands have one name, one has none, or there are no cubes.
    """  # noqa: DOC502 - GridError is raised by the helpers
    listed = [_with_bands(cube, number) for number, cube in enumerate(cubes, start=1)]
    if not listed:
        raise BandError("there are no bands to stack; give a list of cubes")
    names = [str(name) for cube in listed for name in cube.band.values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BandError(
            f"several bands are called {', '.join(twice)}; rename those of one cube, "
            "for example areca.stack_features(cube, ['red_2020 = red'])"
        )
    grid = cube_geobox(listed[0])
    for number, cube in enumerate(listed[1:], start=2):
        _check_place(grid, cube_geobox(cube), number)
    dtype, nodata = _numbers(listed)
    chunks = {dim: listed[0].chunksizes.get(dim, -1) for dim in ("y", "x")}
    parts = [_as_numbers(cube.chunk(chunks), dtype) for cube in listed]
    first = listed[0]
    out = xr.DataArray(
        da.concatenate(parts),
        dims=("band", "y", "x"),
        coords={"band": names, "y": first.y, "x": first.x},
        attrs=_attributes(listed),
        name=first.name,
    )
    out = out.rio.write_crs(str(grid.crs)).rio.write_transform(grid.affine)
    if nodata is not None:
        out.attrs |= {"_FillValue": nodata, "nodata": nodata}
    return out  # type: ignore[no-any-return]


def _with_bands(cube: xr.DataArray, number: int) -> xr.DataArray:
    """Return a raster as (band, y, x).

    Raises:
        GridError: Its dims are others.
        BandError: It has one band without a name.
    """
    if set(cube.dims) == {"band", "y", "x"}:
        return cube.transpose("band", "y", "x")
    if set(cube.dims) != {"y", "x"}:
        raise GridError(
            f"raster {number} has the dims {cube.dims}, and bands are stacked of "
            "(band, y, x) or (y, x); choose one time, or make a composite"
        )
    if cube.name is None:
        raise BandError(
            f"raster {number} has no name for its one band; give it one, for example "
            "raster.rename('height')"
        )
    plain = cube.drop_vars("band", errors="ignore")
    return plain.expand_dims(band=[str(cube.name)]).transpose("band", "y", "x")


def _check_place(grid: GeoBox, other: GeoBox, number: int) -> None:
    """Refuse pixels that are not those of the first raster.

    Raises:
        GridError: Says how they differ.
    """
    mend = (
        "open it on the grid of the first: areca.open_cube(items, bands=…, "
        "geobox=areca.tiles.cube_geobox(first))"
    )
    try:
        row, col = pixel_offset(grid, other)
    except GridError as error:
        said = str(error).split(" One would have to")[0]
        raise GridError(
            f"raster {number} and the first: {said} Warp it, or {mend}"
        ) from error
    if (row, col) != (0, 0) or grid.shape != other.shape:
        raise GridError(
            f"raster {number} has {other.shape[0]} x {other.shape[1]} pixels from row "
            f"{row}, column {col} of the first, which has {grid.shape[0]} x "
            f"{grid.shape[1]}; cut both to the same pixels with isel, or {mend}"
        )


def _numbers(cubes: Sequence[xr.DataArray]) -> tuple[np.dtype[Any], float | None]:
    """Return the number type that holds all bands, and what means missing."""
    dtypes = {cube.dtype for cube in cubes}
    nodata = [_nodata(cube) for cube in cubes]
    if all(dtype.kind in "iu" for dtype in dtypes):
        if len(dtypes) == 1 and len(set(nodata)) == 1:
            return dtypes.pop(), nodata[0]
        if set(nodata) == {None}:
            whole = np.result_type(*dtypes)
            if whole.kind in "iu":
                return whole, None
    return np.result_type(np.float32, *dtypes), np.nan


def _nodata(cube: xr.DataArray) -> float | None:
    value = cube.rio.nodata
    return None if value is None or np.isnan(value) else value


def _as_numbers(cube: xr.DataArray, dtype: np.dtype[Any]) -> da.Array:
    missing = _nodata(cube)
    numbers: da.Array = cube.data.astype(dtype)
    if missing is not None and dtype.kind == "f":
        numbers = da.where(cube.data == missing, dtype.type(np.nan), numbers)
    return numbers


def _attributes(cubes: Sequence[xr.DataArray]) -> dict[str, Any]:
    """Return the attributes of the first, with items and lineage of all."""
    dropped = {"nodata", "_FillValue", "flag_values", "flag_meanings", LINEAGE}
    attrs = {k: v for k, v in cubes[0].attrs.items() if k not in dropped}
    items: list[Any] = []
    for cube in cubes:
        items += [item for item in cube.attrs.get("items", ()) if item not in items]
    # Of all bands: two cubes may call different bands of their items by one name.
    kept = {band: one for cube in cubes for band, one in lineage(cube).items()}
    return attrs | ({"items": items} if items else {}) | {LINEAGE: kept}
