"""Windows of scenes as arrays: exact, strict, one read for all bands of a file.

No pixel is resampled, and no fault becomes a number: what cannot be read raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rasterio.windows import Window as RasterWindow

from areca.catalog.gdal import (
    READ_FAULTS,
    configure_gdal,
    fault_text,
    forget,
    opened,
)
from areca.catalog.grids import crs_shift, scene_box
from areca.catalog.headers import mask_of
from areca.catalog.hrefs import is_remote, redact
from areca.catalog.scenes import canonical_order, choose_bands, select
from areca.errors import CatalogError, ReadError
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray
    from odc.geo.geobox import GeoBox
    from rasterio.io import DatasetReader

    from areca.catalog.scenes import Scene, SceneBand

__all__ = ["configure_gdal", "read_mosaic", "read_scenes", "read_scenes_native"]

PLACE_TOLERANCE = 0.5
"""An item and its file may differ by this many pixels before the read is refused.

Items round their transforms; more than that would put objects in the wrong place.
"""


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
    return read_mosaic(scenes, bands, geobox)[0]


def read_mosaic(
    scenes: Sequence[Scene], bands: Sequence[str], geobox: GeoBox
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Read a window as `read_scenes` does, and say where each pixel comes from.

    Args:
        scenes: Scenes on the grid of `geobox`.
        bands: Names or aliases of bands.
        geobox: What to read.

    Returns:
        Pixels (band, height, width), NaN where no scene is valid; and the position of
        each pixel's scene in `scenes` (height, width), -1 where there is none.
    """
    shape = (int(geobox.shape[0]), int(geobox.shape[1]))
    source = np.full(shape, -1, np.int32)
    want = _Pixels(np.dtype(np.float32), np.nan, source)
    return _mosaic(scenes, bands, geobox, want), source


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
    return _mosaic(scenes, bands, geobox, _Pixels(np.dtype(dtype), fill))


class _Pixels(NamedTuple):
    """What pixels are wanted as."""

    dtype: np.dtype[Any]
    fill: float
    source: NDArray[np.int32] | None = None
    """Where to note the position of each pixel's scene."""


def _mosaic(
    scenes: Sequence[Scene], bands: Sequence[str], geobox: GeoBox, want: _Pixels
) -> NDArray[Any]:
    height, width = (int(size) for size in geobox.shape)
    out: NDArray[Any] | None = None
    ordered = canonical_order(select(scenes, geobox))
    chosen = choose_bands(ordered, bands) if ordered else []
    position = {id(scene): number for number, scene in enumerate(scenes)}
    missing = np.ones((height, width), bool)
    whole = Window(0, 0, height, width)
    for scene, wanted in zip(ordered, chosen, strict=True):
        box = Window(*scene_box(scene, geobox))
        part = box.intersection(whole)
        if part is None:
            continue
        there = part.slices_in(whole)
        open_here = missing[there]
        if not open_here.any():
            continue
        rows, cols = part.slices_in(box)
        window = RasterWindow.from_slices(rows, cols)
        pixels, valid = _read_scene(scene, wanted, window, want)
        if valid is None and part == whole and open_here.all():
            if want.source is not None:
                want.source.fill(position[id(scene)])
            return pixels
        take = open_here if valid is None else open_here & valid
        if want.source is not None:
            np.copyto(want.source[there], position[id(scene)], where=take)
        if out is None:
            out = np.full((len(bands), height, width), want.fill, want.dtype)
        np.copyto(out[(slice(None), *there)], pixels, where=take)
        open_here[take] = False
    if out is None:
        return np.full((len(bands), height, width), want.fill, want.dtype)
    return out


def _read_scene(
    scene: Scene, bands: Sequence[SceneBand], window: RasterWindow, want: _Pixels
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read a window of one scene.

    Returns:
        Pixels (band, height, width) with `fill` where a band is missing, and where any
        band is valid (height, width); None when all of it is.
    """
    files: dict[str, list[int]] = {}
    for position, band in enumerate(bands):
        files.setdefault(band.href, []).append(position)
    pixels = np.empty((len(bands), window.height, window.width), want.dtype)
    valid: NDArray[np.bool_] | None = np.zeros(pixels.shape[1:], bool)
    for positions in files.values():
        chosen = [bands[position] for position in positions]
        raw, masks = _read_file(scene, chosen, window, want)
        for position, band, values, mask in zip(
            positions, chosen, raw, masks, strict=True
        ):
            pixels[position] = _values(values, band, want)
            if mask is None:
                valid = None
                continue
            pixels[position][~mask] = want.fill
            if valid is not None:
                valid |= mask
    return pixels, valid


def _values(values: NDArray[Any], band: SceneBand, want: _Pixels) -> NDArray[Any]:
    if not band.is_scaled:
        return values
    scaled = values.astype(np.float64) * band.scale + band.offset
    return scaled.astype(want.dtype)


def _read_file(
    scene: Scene, bands: Sequence[SceneBand], window: RasterWindow, want: _Pixels
) -> tuple[NDArray[Any], list[NDArray[np.bool_] | None]]:
    """Read bands of one file, a remote one twice before giving up.

    Returns:
        Stored pixels (band, height, width), and for each band where it is valid; None
        when everywhere.

    Raises:
        ReadError: It could not be opened or read.
    """
    href = bands[0].href
    for is_last in (not is_remote(href), True):
        try:
            file = opened(href, allow_private=scene.allow_private)
            _check_file(file, scene, want)
            indexes = [band.index for band in bands]
            raw = file.read(indexes, window=window)
            return raw, _masks(file, bands, window, raw)
        except (*READ_FAULTS, CatalogError, IndexError) as err:
            forget(href)
            if is_last or isinstance(err, (ReadError, CatalogError)):
                raise ReadError(_fault(scene, bands, str(err), err)) from None
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
            if not np.isnan(nodata):
                mask = _both(mask, values != nodata)
        if values.dtype.kind == "f":
            mask = _both(mask, ~np.isnan(values))
        masks.append(None if mask is None or mask.all() else mask)
    return masks


def _both(
    mask: NDArray[np.bool_] | None, other: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    return other if mask is None else mask & other


def _check_file(file: DatasetReader, scene: Scene, want: _Pixels) -> None:
    """Refuse a file that is not what its item says: it would be read out of place.

    Raises:
        ReadError: Shape, place or number type differ.
    """
    if file.shape != scene.shape:
        raise ReadError(
            f"the file has {file.shape} pixels, its item says {scene.shape}"
        )
    if not file.transform.is_identity:
        height, width = scene.shape
        a, b, c, d, e, f = scene.transform
        for col, row in ((0, 0), (width, height)):
            there = ~file.transform * (a * col + b * row + c, d * col + e * row + f)
            off = max(abs(there[0] - col), abs(there[1] - row))
            if off > PLACE_TOLERANCE:
                raise ReadError(
                    f"the file lies {off:.3g} pixel from where its item says"
                )
        pixel, _, x, _, _, y = scene.transform
        crs = file.crs.to_wkt() if file.crs else scene.crs
        if not crs_shift(crs, scene.crs, x, y) <= PLACE_TOLERANCE * pixel:
            raise ReadError(
                f"the file is in {file.crs.to_string()[:60]}, its item says {scene.crs}"
            )
    if want.dtype.kind != "f" and any(t != want.dtype for t in file.dtypes):
        raise ReadError(f"the file holds {file.dtypes[0]}, its item says {want.dtype}")


def _fault(
    scene: Scene, bands: Sequence[SceneBand], reason: str, err: Exception | None
) -> str:
    if err is not None and not isinstance(err, (ReadError, CatalogError)):
        reason = fault_text(err)
    return (
        f"item {scene.id!r}, band {', '.join(band.name for band in bands)}, "
        f"{redact(bands[0].href)}: {reason}"
    )
