"""A Zarr cube of a catalogue: searched, opened, written shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affine import Affine
from odc.geo.geobox import GeoBox

from areca.catalog import (
    CubeOptions,
    open_cube,
    read_cube,
    search,
    write_cube,
    write_overviews,
)
from areca.tiles import cube_geobox
from areca_pipelines.masking import mask_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pystac
    import xarray as xr

    from areca.catalog.options import TimeMode


@dataclass(frozen=True, kw_only=True)
class CubeRequest:
    """What cube is wanted, as the command words it."""

    catalog: str
    bands: tuple[str, ...]
    aoi: str | None = None
    datetime: str | None = None
    collections: tuple[str, ...] = ()
    max_cloud: float | None = None
    crs: str | None = None
    resolution: float | None = None
    time: TimeMode = "mosaic"
    masks: tuple[str, ...] = ()
    """Each `BAND:kind,kind` or `BAND@scheme:kind`, what a quality band shows and is
    left out, or a vector file, outside of which all is left out."""


def make_cube(
    request: CubeRequest,
    out: str | Path,
    *,
    overviews: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> xr.DataArray:
    """Write the cube of a catalogue as Zarr; the same request again goes on.

    Args:
        request: What is wanted.
        out: Folder or address of the store.
        overviews: Whether coarser levels are written as well.
        progress: Told how many shards are done, and of how many.

    Returns:
        The stored cube, lazy.

    Raises:
        InputError: A word of the request cannot be, or the store holds another cube.
    """  # noqa: DOC502 - raised by the helpers
    items = search(
        request.catalog,
        collections=request.collections or None,
        aoi=request.aoi,
        datetime=request.datetime,
        max_cloud=request.max_cloud,
    )
    cube = _whole_shards(items, request)
    write_cube(cube, out, progress=progress)
    if overviews:
        write_overviews(out)
    return read_cube(out)


def _whole_shards(items: Sequence[pystac.Item], request: CubeRequest) -> xr.DataArray:
    """Return the cube, grown to whole chunks of its grid: a chunk is then a shard."""
    how: dict[str, Any] = {
        "bands": list(request.bands),
        "mask": [mask_of(text) for text in request.masks] or None,
        "options": CubeOptions(time=request.time),
    }
    cube = open_cube(
        items, aoi=request.aoi, crs=request.crs, resolution=request.resolution, **how
    )
    edge = how["options"].chunk_px
    # The first chunk of a crop is what the grid leaves of it.
    up, left = (_lacks(cube.chunksizes[dim], edge) for dim in ("y", "x"))
    if not up and not left:
        return cube
    place = cube_geobox(cube)
    shape = (place.shape[0] + up, place.shape[1] + left)
    grown = GeoBox(shape, place.affine * Affine.translation(-left, -up), place.crs)
    return open_cube(items, geobox=grown, **how)


def _lacks(sizes: Sequence[int], edge: int) -> int:
    """Return how many pixels the first of several chunks is short."""
    return edge - sizes[0] if len(sizes) > 1 else 0
