"""Features of imagery on disk or in a catalogue, written block by block."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import rasterio
import rioxarray
from rasterio.windows import Window as RasterWindow

from areca.catalog import (
    Imagery,
    acquisitions_of,
    close_idle,
    configure_gdal,
    normalise_acquisitions,
    normalise_items,
    redact,
    search,
    target_grid,
    window_of,
)
from areca.errors import BandError, InputError
from areca.exports import band_sheet
from areca.exports import sheet as sheets
from areca.exports.cog import BLOCK_PX as TILE_PX
from areca.exports.cog import copy_as_cog
from areca.features import (
    INDICES,
    NEIGHBOURHOODS,
    FeatureStack,
    inputs_of,
    spectral_indices,
)
from areca.tiles import Lattice, Window, block_array, placed, with_nan
from areca_pipelines.console import OUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import pystac
    import xarray as xr
    from numpy.typing import NDArray

BLOCK_PX = 1024
"""Edge of what is computed at a time, pixels; a multiple of that of a file's tiles."""
CACHE_BYTES = 64 * 2**20
"""GDAL's cache of blocks while a raster is written."""
SHOWN_DATES = 8
"""Dates that are named on the screen."""
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


def write_features(
    source: Path | str,
    target: Path,
    features: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    aoi: str | None = None,
    datetime: str | None = None,
    collections: Sequence[str] | None = None,
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
        aoi: `W,S,E,N` in degrees or a vector file: the whole pixels around it, each as
            in the file of all.
        datetime: What `areca.search` takes.
        collections: Ids of collections; all when left out.
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
    configure_gdal()
    items = search(source, collections=collections, aoi=aoi, datetime=datetime)
    if not items:
        raise InputError(
            f"there is no imagery in {redact(str(source))}; check the path"
        )
    work = _Work.of(items, str(source), features, names, aoi)
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


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Imagery, and what is to be made of it."""

    imagery: Imagery
    present: tuple[str, ...]
    """The bands that are read, as the features call them."""
    stack: FeatureStack
    lattice: Lattice
    whole: Window
    """What is written of the imagery, absolute pixels."""

    @classmethod
    def of(
        cls,
        items: Sequence[pystac.Item],
        source: str,
        features: Sequence[str],
        names: Sequence[str] | None,
        aoi: str | None,
    ) -> _Work:
        """Lay out the work; nothing is read.

        Returns:
            The work, once all that it needs is known to be there.

        Raises:
            InputError: The names do not fit the bands.
            BandError: A band that is needed is not there.
        """
        scenes = normalise_items(items, catalog_href=source)
        offered = [band.name for band in scenes[0].bands]
        if names is not None and len(names) != len(offered):
            raise InputError(
                f"--names has {len(names)} names, and the imagery has the bands "
                f"{', '.join(offered)}; give one name for each"
            )
        called = {name: name for name in scenes[0].elsewhere}
        called |= dict(zip(names or offered, offered, strict=True))
        stack = FeatureStack(tuple(features))
        try:
            present = inputs_of(stack.features, list(called))
        except BandError as error:
            if names is not None:
                raise
            raise BandError(
                f"{error}, or say how the bands of the file are called, in its order: "
                "--names red,green,blue,nir"
            ) from error
        inputs = [called[name] for name in present]
        found = acquisitions_of(scenes)
        if any(name in scene.elsewhere for scene in scenes for name in inputs):
            found = normalise_acquisitions(items, catalog_href=source, bands=inputs)
        finest = [one.with_bands(inputs)[0][0] for one in found]
        geobox = target_grid(finest)
        lattice = Lattice.of(geobox, core_px=1)
        whole = lattice.window(geobox)
        if aoi is not None:
            row, col, height, width = window_of(geobox, aoi, finest)
            row, col = whole.row0 + row, whole.col0 + col
            whole = Window(row, col, row + height, col + width)
        return cls(
            imagery=Imagery.of(found, inputs, geobox),
            present=present,
            stack=stack,
            lattice=lattice,
            whole=whole,
        )

    @property
    def warped_to(self) -> str:
        """Return the grid that imagery of several grids is warped to."""
        if not self.imagery.is_warped:
            return ""
        return f"{self.lattice.crs[:40]}, pixels of {self.lattice.pixel_x:g}"

    @property
    def dates(self) -> tuple[str, ...]:
        """Return the dates of the imagery, the newest first, of those that have one."""
        tops = [one.parts[0] for one in self.imagery.found]
        days = [(scene.start[:10], scene.end[:10]) for scene in tops if scene.end]
        return tuple(
            end if start == end else f"{start}/{end}"
            for start, end in dict.fromkeys(days)
        )

    def blocks(self) -> Iterator[Window]:
        """Yield blocks that hold whole tiles of the file, strip by strip."""
        whole = self.whole
        strip = self.imagery.strip_px(BLOCK_PX) or whole.width
        for left in range(whole.col0, whole.col1, strip):
            right = min(left + strip, whole.col1)
            for row, col in product(
                range(whole.row0, whole.row1, BLOCK_PX), range(left, right, BLOCK_PX)
            ):
                end = min(row + BLOCK_PX, whole.row1), min(col + BLOCK_PX, right)
                yield Window(row, col, *end)

    def compute(self, window: Window) -> NDArray[np.float32]:
        """Read a block with its rim.

        Args:
            window: The block, absolute pixels.

        Returns:
            Its features, shape (feature, height, width).
        """
        padded = window.grow(self.stack.halo_px)
        seen = self.imagery.read(padded)
        pixels = with_nan(seen.pixels, seen.valid)
        block = placed(block_array(pixels, self.present), self.lattice, padded)
        return self.stack(block).to_numpy()


def _write_plain(work: _Work, path: Path) -> None:
    """Stream the blocks into a tiled GeoTIFF."""
    geobox = work.lattice.geobox(work.whole)
    profile = {
        "driver": "GTiff", "height": work.whole.height, "width": work.whole.width,
        "count": len(work.stack.bands), "dtype": "float32", "crs": str(geobox.crs),
        "transform": geobox.affine, "nodata": float("nan"), "tiled": True,
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
    work: _Work, threads: ThreadPoolExecutor
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


def split_features(texts: Iterable[str]) -> list[str]:
    """Return features from `red,std(nir, 7)`: cut at commas outside of brackets.

    Args:
        texts: What the user wrote, once or several times.
    """
    found: list[str] = []
    for text in texts:
        depth, start = 0, 0
        for place, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                found.append(text[start:place])
                start = place + 1
        found.append(text[start:])
    return [text.strip() for text in found if text.strip()]


def print_written(written: Written, sheet: Path | None = None) -> None:
    """Say what was written and where."""
    OUT.print(
        f"[bold]{len(written.bands)} bands[/bold] of {written.height:,} x "
        f"{written.width:,} pixels"
    )
    if written.warped_to:
        OUT.print(f"warped  to {written.warped_to}", markup=False)
    if len(written.dates) > 1:
        OUT.print(_told(written.dates), markup=False)
    OUT.print(f"file    {written.path}", markup=False)
    if sheet is not None:
        OUT.print(f"sheet   {sheet}", markup=False)


def _told(dates: Sequence[str]) -> str:
    shown = list(dates)
    if len(shown) > SHOWN_DATES:
        shown = [*shown[: SHOWN_DATES - 1], "…", shown[-1]]
    return (
        f"dates   {', '.join(shown)} ({len(dates):,}); the newest is on top, the "
        "others show where it has no pixels. --datetime takes some, e.g. "
        f"--datetime {dates[-1]}"
    )


def print_features() -> None:
    """List what a feature can be made of, a line each."""
    lines = ["functions of a band or a formula"]
    lines += [f"  {one.usage:58} {one.about}" for one in NEIGHBOURHOODS.values()]
    lines += ["  sqrt log exp abs (one), min max (two), + - * / **", "", "indices"]
    lines += [f"  {o.name:12} {o.about}: {o.formula}" for o in INDICES.values()]
    lines += ["", "indices of spyndex (Awesome Spectral Indices)"]
    lines += [
        f"  {one.name:12} {one.about}: {one.formula}"
        for one in spectral_indices().values()
        if one.name.lower() not in INDICES
    ]
    OUT.print("\n".join(lines), markup=False, soft_wrap=True)
