"""Overviews of a Zarr cube: the same ground in coarser pixels, for a quick look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from zarr_cm import multiscales

from areca.catalog.pixels import as_integers
from areca.catalog.roles import names_classes
from areca.catalog.zarr_cube import read_cube, write_cube
from areca.catalog.zarr_store import ARRAY, ZarrStore
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Resampling = Literal["average", "nearest"]
PREVIEW_PX = 1024
"""Overviews end where the whole cube is no wider and no higher than this."""


def write_overviews(
    path: str | Path,
    *,
    resampling: Resampling = "average",
    largest_px: int = PREVIEW_PX,
    storage_options: Mapping[str, Any] | None = None,
) -> int:
    """Write overviews of a stored cube, each half as fine as the one before.

    Level n lies in `overviews/<2**n>` of the store, a cube like the first one, and the
    convention `multiscales` (https://github.com/zarr-conventions/multiscales) lists
    them. A shard of one level is made of one shard of the level before, so that memory
    does not grow with the region. The same call again goes on where it stopped.

    Args:
        path: A store that `write_cube` has finished.
        resampling: "average" of the pixels that are not missing, or "nearest" (the
            first pixel of each four). Bands of classes and quality bits are "nearest"
            always: those that `areca.open_cube` tells (`attrs["categorical"]`), and
            those with names like SCL or QA_PIXEL.
        largest_px: Levels are added until height and width are no more than this.
        storage_options: What fsspec needs to reach the store.

    Returns:
        The number of levels.

    Raises:
        InputError: The cube is not whole, or there is none.
    """  # noqa: DOC502 - raised by _check_whole
    root = ZarrStore(str(path), dict(storage_options or {}))
    _check_whole(root)
    root.group("r+").require_group("overviews")  # so that readers know the folder
    layout: list[dict[str, Any]] = [{"asset": ARRAY}]
    before, factor = read_cube(path, storage_options=storage_options), 1
    method = _method_told(before, resampling)
    chunk = int(root.array().chunks[-1])
    while max(before.sizes["y"], before.sizes["x"]) > largest_px:
        factor *= 2
        level = f"overviews/{factor}"
        shard = max(before.chunksizes["y"][0] // 2, chunk)
        write_cube(
            halved(before, resampling),
            f"{root.path}/{level}",
            shard_px=shard,
            chunk_px=chunk,
            storage_options=storage_options,
        )
        step = {"scale": [2.0, 2.0], "translation": [0.0, 0.0]}
        layout.append(
            {
                "asset": f"{level}/{ARRAY}",
                "derived_from": layout[-1]["asset"],
                "transform": step,
                "resampling_method": method,
            }
        )
        before = read_cube(f"{root.path}/{level}", storage_options=storage_options)
    group = root.group("r+")
    told = multiscales.create(layout=tuple(layout))  # type: ignore[arg-type]
    attrs = multiscales.insert(dict(group.attrs), told, overwrite=True)
    group.attrs.update(attrs)
    return len(layout) - 1


def halved(cube: xr.DataArray, resampling: Resampling) -> xr.DataArray:
    """Return a cube in pixels twice as long; lazy.

    Args:
        cube: Dims (..., y, x).
        resampling: "average" or "nearest"; bands of classes are "nearest" always.

    Returns:
        The same numbers and nodata; the last row and column may reach beyond the cube
        by one of its pixels. A mean that happens to be nodata takes the next number.
    """
    affine = cube.rio.transform() * Affine.scale(2)
    nearest = cube.isel(y=slice(None, None, 2), x=slice(None, None, 2))
    is_class = _are_classes(cube)
    if resampling == "nearest" or all(is_class):
        coarse = nearest
    else:
        coarse = _average(cube)
        if any(is_class):
            chosen = da.where(
                np.array(is_class)[:, None, None], nearest.data, coarse.data
            )
            coarse = coarse.copy(data=chosen)
    height, width = coarse.sizes["y"], coarse.sizes["x"]
    coarse = coarse.assign_coords(
        y=affine.f + (np.arange(height) + 0.5) * affine.e,
        x=affine.c + (np.arange(width) + 0.5) * affine.a,
    ).assign_attrs(cube.attrs)
    placed: xr.DataArray = coarse.rio.write_transform(affine)
    return placed


def _are_classes(cube: xr.DataArray) -> list[bool]:
    """Return for each band whether it holds classes or bits, which have no mean."""
    told = cube.attrs.get("categorical", ())
    return [n in told or names_classes(n) for n in map(str, cube.band.values)]


def _method_told(cube: xr.DataArray, resampling: Resampling) -> str:
    """Return how levels are made, in the words of the convention `multiscales`."""
    is_class = _are_classes(cube)
    if resampling == "nearest" or all(is_class):
        return "nearest"
    names = [n for n, one in zip(cube.band.values, is_class, strict=True) if one]
    return f"average; nearest of {', '.join(names)}" if names else "average"


def _average(cube: xr.DataArray) -> xr.DataArray:
    nodata = cube.rio.nodata
    has_nodata = nodata is not None and not np.isnan(nodata)
    seen = cube.where(cube != nodata) if has_nodata else cube
    coarse = seen.coarsen(y=2, x=2, boundary="pad").mean()

    def stored(means: NDArray[Any]) -> NDArray[Any]:
        known = nodata if has_nodata else None
        if cube.dtype.kind != "f":
            whole = as_integers(means, cube.dtype, known)
            return np.where(np.isnan(whole), known or 0, whole).astype(cube.dtype)
        means = means.astype(cube.dtype)
        if known is None:
            return means
        value = cube.dtype.type(known)
        means[means == value] = np.nextafter(value, cube.dtype.type(np.inf))
        return np.where(np.isnan(means), value, means)

    made: xr.DataArray = xr.apply_ufunc(
        stored, coarse, dask="parallelized", output_dtypes=[cube.dtype]
    )
    return made


def _check_whole(store: ZarrStore) -> None:
    """Refuse a cube that is not finished.

    Raises:
        InputError: Shards are missing.
    """
    missing, wanted = store.missing()
    if missing:
        raise InputError(
            f"{store.path} is not whole: {missing} of {wanted} shards are "
            "missing; write the cube again first, it goes on where it stopped"
        )
