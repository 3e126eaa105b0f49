"""Windows of scenes as arrays: exact, strict, one read for all bands of a file.

No pixel is resampled, and no fault becomes a number: what cannot be read raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window as RasterWindow

from areca.catalog.backends import DIRECT, PixelReader
from areca.catalog.gdal import (
    READ_FAULTS,
    configure_gdal,
    fault_text,
)
from areca.catalog.grids import scene_box
from areca.catalog.handles import lend
from areca.catalog.headers import NumberTypeError, check_file, mask_of, numbers_fault
from areca.catalog.hrefs import is_array, is_remote, redact
from areca.catalog.mosaic import Mosaic, common_type, lay_mosaic
from areca.catalog.pixels import integer_in
from areca.catalog.scenes import canonical_order, choose_bands, select
from areca.catalog.waiting import all_at_once
from areca.catalog.zarr_window import read_array
from areca.errors import CatalogError, ReadError
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray
    from odc.geo.geobox import GeoBox
    from rasterio.io import DatasetReader

    from areca.catalog.scenes import Scene, SceneBand

__all__ = ["configure_gdal", "read_mosaic", "read_scenes", "read_scenes_native"]


def read_scenes(
    scenes: Sequence[Scene], bands: Sequence[str], geobox: GeoBox
) -> NDArray[np.float32]:
    """Read a window of a mosaic of scenes.

    Each pixel comes from one scene: the newest (then the first by id) in which any of
    the bands is valid there. Scale and offset are applied. Integers beyond 2^24 lose
    digits in float32.

    Args:
        scenes: Scenes on the grid of `geobox`; those that do not touch it cost nothing.
        bands: Names or aliases of bands.
        geobox: What to read; may reach beyond the scenes on every side.

    Returns:
        Shape (band, height, width), NaN where no scene has a valid pixel.

    Raises:
        ReadError: A file could not be opened or read, or is not what its item says.
        GridError: A scene lies on another grid.
        BandError: A scene has no such band.
    """  # noqa: DOC502 - raised by the helpers
    return _mosaic(scenes, bands, geobox, np.dtype(np.float32)).filled(np.nan)


def read_mosaic(
    scenes: Sequence[Scene], bands: Sequence[str], geobox: GeoBox
) -> Mosaic:
    """Read a window as `read_scenes` does, in the fewest bytes that lose nothing.

    A block of bytes is a quarter of the same block in float32, and a tile of it is
    converted when it is cut.

    Args:
        scenes: Scenes on the grid of `geobox`.
        bands: Names or aliases of bands.
        geobox: What to read.

    Returns:
        Pixels in the number type of the files where they share one, are not scaled and
        float32 would hold every value too; else in float32.

    Raises:
        ReadError: A file could not be opened or read, or lies elsewhere than its item
            says. Other numbers than the item says are read as float32.
        GridError: A scene lies on another grid.
        BandError: A scene has no such band.
    """  # noqa: DOC502 - raised by the helpers
    try:
        return _mosaic(scenes, bands, geobox)
    except NumberTypeError:
        return _mosaic(scenes, bands, geobox, np.dtype(np.float32))


def read_scenes_native(
    scenes: Sequence[Scene],
    bands: Sequence[str],
    geobox: GeoBox,
    *,
    dtype: DTypeLike,
    fill: float,
) -> NDArray[Any]:
    """Read a window as `read_scenes` does, in the number type of the files.

    Args:
        scenes: Scenes on the grid of `geobox`.
        bands: Names or aliases of bands, all of number type `dtype`, not scaled.
        geobox: What to read.
        dtype: Number type of the files.
        fill: Value where no scene has a valid pixel, the nodata value.

    Returns:
        Shape (band, height, width), `fill` where no scene has a valid pixel.

    Raises:
        ReadError: As `read_scenes`, also when a file has another number type.
        GridError: A scene lies on another grid.
        BandError: A scene has no such band.
    """  # noqa: DOC502 - raised by the helpers
    return _mosaic(scenes, bands, geobox, np.dtype(dtype)).filled(fill)


def _mosaic(
    scenes: Sequence[Scene],
    bands: Sequence[str],
    geobox: GeoBox,
    dtype: np.dtype[Any] | None = None,
) -> Mosaic:
    """Return a mosaic in a number type; None takes the one that `read_mosaic` tells."""
    height, width = (int(size) for size in geobox.shape)
    ordered = canonical_order(select(scenes, geobox))
    chosen = choose_bands(ordered, bands) if ordered else []
    if dtype is None:
        dtype = _native([band for some in chosen for band in some])
    position = {id(scene): number for number, scene in enumerate(scenes)}
    sources = [
        AlignedSource(
            scene, wanted, Window(*scene_box(scene, geobox)), position[id(scene)], dtype
        )
        for scene, wanted in zip(ordered, chosen, strict=True)
    ]
    return lay_mosaic(sources, (len(bands), height, width), dtype)


@dataclass(frozen=True, slots=True)
class AlignedSource:
    """A scene whose pixels are pixels of the mosaic."""

    scene: Scene
    bands: Sequence[SceneBand]
    box: Window
    number: int
    dtype: np.dtype[Any]

    def read(self, part: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a window; see `areca.catalog.mosaic.Source`."""
        window = RasterWindow.from_slices(*part.slices_in(self.box))
        return read_scene(self.scene, self.bands, window, self.dtype)


def read_scene(
    scene: Scene,
    bands: Sequence[SceneBand],
    window: RasterWindow,
    dtype: np.dtype[Any],
    backend: PixelReader = DIRECT,
    *,
    every_thread: bool = False,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read a window of one scene.

    Args:
        scene: The scene.
        bands: Its bands that are wanted.
        window: Pixels of the scene.
        dtype: Number type wanted.
        backend: Who reads.
        every_thread: As `areca.catalog.handles.lend` takes it.

    Returns:
        Pixels, shape (band, height, width), and where each band is valid, the same
        shape; None where all are everywhere.
    """
    files: dict[str, list[int]] = {}
    for position, band in enumerate(bands):
        files.setdefault(band.href, []).append(position)
    shape = (len(bands), int(window.height), int(window.width))
    pixels: NDArray[Any] = np.empty(shape, dtype)

    def read(positions: list[int]) -> list[NDArray[np.bool_] | None]:
        chosen = [bands[position] for position in positions]
        there = pixels[positions[0] : positions[-1] + 1]
        is_place = len(there) == len(positions) and not _is_scaled(chosen)
        raw, masks = read_file(
            scene,
            chosen,
            window,
            dtype,
            backend,
            every_thread=every_thread,
            out=there if is_place else None,
        )
        if raw is not there:
            for position, band, values in zip(positions, chosen, raw, strict=True):
                pixels[position] = _values(values, band, dtype)
        return masks

    groups = list(files.values())
    is_slow = len(files) > 1 and backend is DIRECT and all(map(is_remote, files))
    found = all_at_once(read, groups) if is_slow else [*map(read, groups)]
    valid: NDArray[np.bool_] | None = None
    for positions, masks in zip(groups, found, strict=True):
        for position, mask in zip(positions, masks, strict=True):
            if mask is not None:
                valid = np.ones(shape, bool) if valid is None else valid
                valid[position] = mask
    return pixels, valid


def _native(bands: Sequence[SceneBand]) -> np.dtype[Any]:
    if _is_scaled(bands):
        return np.dtype(np.float32)
    return common_type({band.dtype for band in bands})


def _is_scaled(bands: Sequence[SceneBand]) -> bool:
    return any(band.is_scaled for band in bands)


def _values(
    values: NDArray[Any], band: SceneBand, dtype: np.dtype[Any]
) -> NDArray[Any]:
    if not band.is_scaled:
        return values
    scaled = values.astype(np.float64) * band.scale + band.offset
    return scaled.astype(dtype)


def read_file(
    scene: Scene,
    bands: Sequence[SceneBand],
    window: RasterWindow,
    dtype: np.dtype[Any],
    backend: PixelReader = DIRECT,
    *,
    every_thread: bool = False,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], list[NDArray[np.bool_] | None]]:
    """Read bands of one file, a remote one twice before giving up.

    Args:
        scene: The scene that the file belongs to.
        bands: Bands of the file.
        window: Pixels of the file.
        dtype: Number type wanted.
        backend: Who reads.
        every_thread: As `areca.catalog.handles.lend` takes it.
        out: As `areca.catalog.backends.PixelReader` takes it.

    Returns:
        Stored pixels (band, height, width), and for each band where it is valid; None
        when everywhere.

    Raises:
        ReadError: It could not be opened or read.
        NumberTypeError: It holds other numbers than wanted.
    """
    href = bands[0].href
    if is_array(href):
        try:
            return read_array(scene, bands, window, dtype)
        except ReadError as err:
            raise type(err)(_fault(scene, bands, str(err), err)) from None
    for is_last in (not is_remote(href), True):
        try:
            with lend(
                href,
                allow_private=scene.allow_private,
                row=int(window.row_off),
                every_thread=every_thread,
            ) as file:
                check_file(file, scene)
                wrong = numbers_fault(file, dtype)
                if not wrong:
                    raw = backend.read(file, scene, bands, window, out)
                    return raw, _masks(file, bands, window, raw)
            raise NumberTypeError(wrong)  # outside: the file is good, and stays open
        except (*READ_FAULTS, CatalogError, IndexError) as err:
            if is_last or isinstance(err, (ReadError, CatalogError)):
                kind = (
                    NumberTypeError if isinstance(err, NumberTypeError) else ReadError
                )
                raise kind(_fault(scene, bands, str(err), err)) from None
    raise ReadError(_fault(scene, bands, "not read", None))


def _masks(
    file: DatasetReader,
    bands: Sequence[SceneBand],
    window: RasterWindow,
    raw: NDArray[Any],
) -> list[NDArray[np.bool_] | None]:
    """Return for each band where it is valid, None where it is everywhere."""
    masks: list[NDArray[np.bool_] | None] = []
    has_mask, alpha = mask_of(file)
    masked = has_mask or (alpha is not None and alpha > bands[0].described)
    for band, values in zip(bands, raw, strict=True):
        mask: NDArray[np.bool_] | None = None
        if masked and band.index != alpha:
            mask = file.read_masks(band.index, window=window) != 0
        for nodata in {band.nodata, file.nodatavals[band.index - 1]} - {None}:
            if values.dtype.kind == "f" and not np.isnan(nodata):
                mask = _both(mask, values != nodata)
            elif _holds(values, integer_in(values.dtype, nodata)):
                mask = _both(mask, values != integer_in(values.dtype, nodata))
        if values.dtype.kind == "f":
            mask = _both(mask, ~np.isnan(values))
        masks.append(None if mask is None or mask.all() else mask)
    return masks


def _holds(values: NDArray[Any], nodata: int | None) -> bool:
    """Return whether an integer may be among values; where not, no mask is made.

    Compared with an integer, not with the float that GDAL tells: NumPy would turn all
    values into float64 for that.
    """
    return nodata is not None and bool(values.min() <= nodata <= values.max())


def _both(
    mask: NDArray[np.bool_] | None, other: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    return other if mask is None else mask & other


def _fault(
    scene: Scene, bands: Sequence[SceneBand], reason: str, err: Exception | None
) -> str:
    if err is not None and not isinstance(err, (ReadError, CatalogError)):
        reason = fault_text(err)
    return (
        f"item {scene.id!r}, band {', '.join(band.name for band in bands)}, "
        f"{redact(bands[0].href)}: {reason}"
    )
