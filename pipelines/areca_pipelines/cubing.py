"""A Zarr cube of a catalogue: searched, opened, written shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from areca.catalog import (
    CubeOptions,
    open_cube,
    read_cube,
    search,
    write_cube,
    write_overviews,
)
from areca.errors import InputError
from areca.tiles import cube_geobox
from areca_pipelines.masking import mask_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pystac
    import xarray as xr
    from odc.geo.geobox import GeoBox

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
    cube = _cube_of(items, request, out)
    write_cube(cube, out, progress=progress)
    if overviews:
        write_overviews(out)
    return read_cube(out)


def _cube_of(
    items: Sequence[pystac.Item], request: CubeRequest, out: str | Path
) -> xr.DataArray:
    """Return the cube that is wanted, in chunks that are shards of its store.

    Later dates may lie on another grid of their own: they come to that of the store.
    """
    how: dict[str, Any] = {
        "bands": list(request.bands),
        "mask": [mask_of(text) for text in request.masks] or None,
        "options": CubeOptions(time=request.time, chunks_from="corner"),
    }
    cube = open_cube(
        items, aoi=request.aoi, crs=request.crs, resolution=request.resolution, **how
    )
    there = _place_of(out)
    if there is None or there == cube_geobox(cube):
        return cube
    is_free = request.crs is None and request.resolution is None
    if is_free and (request.aoi is None or _is_about(there, cube_geobox(cube))):
        return open_cube(items, geobox=there, **how)
    return cube


def _place_of(out: str | Path) -> GeoBox | None:
    """Return the pixels of the cube that a store holds; None where there is none."""
    try:
        return cube_geobox(read_cube(out))
    except InputError:
        return None


def _is_about(one: GeoBox, other: GeoBox) -> bool:
    """Return whether two windows are pixels around the same ground."""
    if one.crs is None or other.crs is None:
        return False
    if one.crs != other.crs:
        other = other.to_crs(one.crs)
    pixel = max(*map(abs, one.resolution.xy), *map(abs, other.resolution.xy))
    ends = zip(one.boundingbox.bbox, other.boundingbox.bbox, strict=True)
    return all(abs(here - there) <= 2 * pixel for here, there in ends)
