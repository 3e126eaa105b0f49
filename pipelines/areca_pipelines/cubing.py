"""A Zarr cube of a catalogue: searched, opened, written shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from areca.catalog import (
    CubeOptions,
    bounds_on,
    close_idle,
    open_cube,
    read_cube,
    search,
    stored_geobox,
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
    from odc.geo.geobox import GeoBox

    from areca.catalog import Mask
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
    names: tuple[str, ...] | None = None
    """Names of all bands of GeoTIFFs without a catalogue, in their order."""
    dates: str | None = None
    """How a date stands in the names of such files: `%Y%m%d`."""


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
    masks = [mask_of(text) for text in request.masks]
    there = stored_geobox(out)
    items = search(
        request.catalog,
        collections=request.collections or None,
        aoi=request.aoi,
        datetime=request.datetime,
        max_cloud=request.max_cloud,
        names=request.names,
        dates=request.dates,
    )
    cube = _cube_of(items, request, masks, there)
    write_cube(cube, out, progress=progress)
    close_idle()  # cells of warps are kept for the shards beside them
    if overviews:
        write_overviews(out)
    return read_cube(out)


def _cube_of(
    items: Sequence[pystac.Item],
    request: CubeRequest,
    masks: Sequence[Mask | str],
    there: GeoBox | None,
) -> xr.DataArray:
    """Return the cube that is wanted, in chunks that are shards of its store.

    Later dates may lie on another grid of their own: they come to that of the store.

    Args:
        items: The imagery.
        request: What is wanted.
        masks: Its masks.
        there: The pixels of the store; None where there is none yet.
    """
    how: dict[str, Any] = {
        "bands": list(request.bands),
        "mask": list(masks) or None,
        "options": CubeOptions(time=request.time, chunks_from="corner"),
    }
    cube = open_cube(
        items, aoi=request.aoi, crs=request.crs, resolution=request.resolution, **how
    )
    wanted = cube_geobox(cube)
    is_free = request.crs is None and request.resolution is None
    if there is None or there == wanted or not is_free:
        return cube
    is_same = wanted.crs == there.crs and _is_about(wanted.boundingbox.bbox, there)
    if is_same or _is_area(request.aoi, there):
        return open_cube(items, geobox=there, **how)
    return cube


def _is_area(aoi: str | None, there: GeoBox) -> bool:
    """Return whether the pixels of a store are those around an area."""
    return aoi is not None and _is_about(bounds_on(aoi, str(there.crs)), there)


def _is_about(bounds: tuple[float, ...], there: GeoBox) -> bool:
    """Return whether bounds are those of some pixels, give or take two of them."""
    slack = 2 * max(map(abs, there.resolution.xy))
    ends = zip(bounds, there.boundingbox.bbox, strict=True)
    return all(abs(here - other) <= slack for here, other in ends)
