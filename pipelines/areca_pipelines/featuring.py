"""Features of imagery on disk or in a catalogue, written block by block."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import rasterio
import rioxarray
from rasterio.windows import Window as RasterWindow

from areca.catalog import close_idle, configure_gdal, redact, search
from areca.errors import InputError
from areca.exports import band_sheet
from areca.exports import sheet as sheets
from areca.exports.cog import BLOCK_PX as TILE_PX
from areca.exports.cog import copy_as_cog
from areca_pipelines.feature_work import BLOCK_PX, FeatureWork
from areca_pipelines.masking import quality_masks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from areca.tiles import Window

CACHE_BYTES = 64 * 2**20
"""GDAL's cache of blocks while a raster is written."""
THREADS = 2
"""Blocks that are read and computed side by side."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written."""

    bands: tuple[str, ...]
    height: int
    width: int
    path: Path
    warped_to: str = ""
    """The grid that the imagery was warped to; empty where it was read as it is."""
    dates: tuple[str, ...] = ()
    """Dates of the imagery, the newest, which is on top, first; empty if not known."""
    unscaled: tuple[str, ...] = ()
    """Indices for reflectance of 0 to 1 that were made of stored whole numbers."""
    undated: tuple[str, ...] = ()
    """Items without a date, where there are several; the first is on top."""


def write_features(
    source: Path | str,
    target: Path,
    features: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    dates: str | None = None,
    aoi: str | None = None,
    datetime: str | None = None,
    collections: Sequence[str] | None = None,
    masks: Sequence[str] = (),
    overwrite: bool = False,
) -> Written:
    """Write features of imagery as a cloud-optimised GeoTIFF.

    A few blocks are in memory at a time, whatever the size of the imagery, and each
    reads a rim that is as wide as its features see.

    Imagery of several pixel grids is warped to one, as `areca.open_cube` does. Of
    several dates the newest is on top.

    Args:
        source: GeoTIFF, folder of GeoTIFFs, Zarr cube, catalog.json or STAC API.
        target: File to write; float32, NaN where nothing is known, one named band a
            feature.
        features: What `areca.stack_features` takes.
        names: Names of the bands of a GeoTIFF that has none.
        dates: How a date stands in the names of GeoTIFFs, see `areca.search`.
        aoi: `W,S,E,N` in degrees or a vector file: the whole pixels around it, each as
            in the file of all.
        datetime: What `areca.search` takes.
        collections: Ids of collections; all when left out.
        masks: What quality bands must not show, each `BAND[@scheme]:kind,kind`; there
            the next date shows its pixels.
        overwrite: Whether a file that is there is replaced.

    Returns:
        What was written.

    Raises:
        InputError: The target is there or cannot be written, or the names do not fit
            the bands.
    """
    if target.suffix.lower() not in {".tif", ".tiff"}:
        raise InputError(f"{target} is no GeoTIFF by its name; call it NAME.tif")
    if target.exists() and not overwrite:
        raise InputError(f"{target} is there; give another --out, or --overwrite")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}; make it first")
    hidden = quality_masks(masks)
    configure_gdal()
    items = search(
        source, collections=collections, aoi=aoi, datetime=datetime, dates=dates
    )
    if not items:
        raise InputError(
            f"there is no imagery in {redact(str(source))}; check the path"
        )
    work = FeatureWork.of(items, str(source), features, names, aoi, hidden)
    with _folder_beside(target) as place:
        plain, done = Path(place) / "plain.tif", Path(place) / "done.tif"
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_PAM_ENABLED="NO"):
            _write_plain(work, plain)
            close_idle()
            copy_as_cog(plain, done, "AVERAGE")
        done.replace(target)
    return Written(
        bands=work.stack.bands,
        height=work.whole.height,
        width=work.whole.width,
        path=target,
        warped_to=work.warped_to,
        dates=work.dates,
        unscaled=work.unscaled,
        undated=work.undated,
    )


def _folder_beside(target: Path) -> TemporaryDirectory[str]:
    """Make a folder for unfinished files: any name beside the target may be taken.

    Returns:
        The folder, for a `with`; gone with all in it afterwards.

    Raises:
        InputError: Nothing can be written there.
    """
    try:
        return TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError(
            f"nothing can be written in {target.parent} ({error.strerror}); give "
            "another --out"
        ) from error


def _write_plain(work: FeatureWork, path: Path) -> None:
    """Stream the blocks into a tiled GeoTIFF."""
    profile = {
        "driver": "GTiff", "height": work.whole.height, "width": work.whole.width,
        "count": len(work.stack.bands), "dtype": "float32", "crs": str(work.geobox.crs),
        "transform": work.geobox.affine, "nodata": float("nan"), "tiled": True,
        "blockxsize": TILE_PX, "blockysize": TILE_PX, "compress": "deflate",
        "zlevel": 1, "predictor": 3, "bigtiff": "if_safer", "interleave": "band",
    }  # fmt: skip
    with (
        rasterio.open(path, "w", **profile) as file,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for number, name in enumerate(work.stack.bands, start=1):
            file.set_band_description(number, name)
        for window, pixels in _in_order(work, threads):
            rows, cols = window.slices_in(work.whole)
            file.write(pixels, window=RasterWindow.from_slices(rows, cols))


def _in_order(
    work: FeatureWork, threads: ThreadPoolExecutor
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Yield blocks and their features in order, a few ahead of the writer."""
    blocks = work.blocks()
    waiting = deque(
        (block, threads.submit(work.compute, block))
        for block in islice(blocks, THREADS)
    )
    while waiting:
        block, future = waiting.popleft()
        pixels = future.result()
        if (after := next(blocks, None)) is not None:
            waiting.append((after, threads.submit(work.compute, after)))
        yield block, pixels


def check_sheet(sheet: Path, *, overwrite: bool) -> None:
    """Refuse a sheet that cannot be written, before anything else is.

    Raises:
        InputError: It is there, is no PNG by its name, or has no folder.
    """
    sheets.check_sheet(sheet)
    if sheet.exists() and not overwrite:
        raise InputError(f"{sheet} is there; give another --sheet, or --overwrite")


def write_sheet(written: Written, sheet: Path) -> None:
    """Draw the bands of what was written.

    Args:
        written: The raster.
        sheet: PNG file to write.
    """
    pixels = rioxarray.open_rasterio(
        written.path, chunks={"y": BLOCK_PX, "x": BLOCK_PX}
    )
    with closing(cast("xr.DataArray", pixels)) as raster:
        band_sheet(raster.assign_coords(band=list(written.bands)), sheet)
