"""Overviews of a Zarr cube: the same ground in coarser pixels, for a quick look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from affine import Affine
from zarr_cm import multiscales

from areca.catalog.zarr_cube import read_cube, write_cube
from areca.catalog.zarr_store import ARRAY, ZarrStore
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr

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
            first pixel of each four) for classes and masks.
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
                "resampling_method": resampling,
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
        resampling: "average" or "nearest".

    Returns:
        The same numbers and nodata; the last row and column may reach beyond the cube
        by one of its pixels.
    """
    affine = cube.rio.transform() * Affine.scale(2)
    if resampling == "nearest":
        coarse = cube.isel(y=slice(None, None, 2), x=slice(None, None, 2))
    else:
        coarse = _average(cube)
    height, width = coarse.sizes["y"], coarse.sizes["x"]
    coarse = coarse.assign_coords(
        y=affine.f + (np.arange(height) + 0.5) * affine.e,
        x=affine.c + (np.arange(width) + 0.5) * affine.a,
    ).assign_attrs(cube.attrs)
    placed: xr.DataArray = coarse.rio.write_transform(affine)
    return placed


def _average(cube: xr.DataArray) -> xr.DataArray:
    nodata = cube.rio.nodata
    has_nodata = nodata is not None and not np.isnan(nodata)
    seen = cube.where(cube != nodata) if has_nodata else cube
    coarse = seen.coarsen(y=2, x=2, boundary="pad").mean()
    if cube.dtype.kind == "f":
        return coarse.astype(cube.dtype)
    whole = coarse.fillna(nodata) if has_nodata else coarse
    return whole.round().astype(cube.dtype)


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
