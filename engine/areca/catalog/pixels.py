"""In which number type a cube can hold its scenes without losing what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from shapely import box, union_all

from areca.catalog.grids import scene_box
from areca.catalog.hrefs import file_size
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from areca.catalog.scenes import Scene, SceneBand


class Encoding(NamedTuple):
    """Number type of a cube, and what stands for "missing" in it."""

    dtype: np.dtype[Any]
    nodata: float | None
    """NaN for floats; None for integers that are nowhere missing."""


FLOAT = Encoding(np.dtype(np.float32), np.nan)


class ByteEstimate(NamedTuple):
    """What reading a window costs."""

    decoded: int
    """Bytes of pixels after decoding, in the files' number types."""
    stored: int | None
    """Bytes of the files' share, as compressed on disk; None when a file is remote."""


def encoding_of(
    bands: Sequence[SceneBand], *, is_covered: Callable[[], bool]
) -> Encoding:
    """Return the files' own number type where that is exact, else float32 with NaN.

    The own type needs: one type everywhere, no scale or offset, and one known nodata
    value; integers without nodata also need scenes that leave no ground uncovered.

    Args:
        bands: All bands that are read, of all scenes.
        is_covered: Tells whether no pixel is left without a scene.
    """
    dtypes = {band.dtype for band in bands}
    (name, *others) = dtypes
    if name is None or others or any(b.is_scaled or not b.nodata_known for b in bands):
        return FLOAT
    dtype = np.dtype(name)
    if dtype.kind == "f":
        return Encoding(dtype, np.nan)
    values = {integer_in(dtype, band.nodata) for band in bands}
    if dtype.kind not in "iu" or len(values) > 1:
        return FLOAT
    nodata = values.pop()
    if nodata is None and not is_covered():
        return FLOAT
    return Encoding(dtype, nodata)


def as_integers(
    values: NDArray[np.floating[Any]], dtype: np.dtype[Any], nodata: float | None
) -> NDArray[np.floating[Any]]:
    """Return valid numbers as an integer type will hold them, NaN where they are NaN.

    A valid number that rounds to nodata takes the next one, as in GDAL: what was seen
    is never called missing.

    Args:
        values: Any shape.
        dtype: The integer type.
        nodata: What means "missing" in it; None where nothing does.
    """
    limits = np.iinfo(dtype)
    whole: NDArray[np.floating[Any]] = np.clip(np.rint(values), limits.min, limits.max)
    if nodata is None:
        return whole
    beside = nodata + 1 if nodata < limits.max else nodata - 1
    apart: NDArray[np.floating[Any]] = np.where(whole == nodata, beside, whole)
    return apart


def covers(scenes: Sequence[Scene], geobox: GeoBox) -> bool:
    """Return whether every pixel of a geobox lies in some scene."""
    height, width = geobox.shape
    boxes = [Window(*scene_box(scene, geobox)) for scene in scenes]
    union = union_all([box(b.col0, b.row0, b.col1, b.row1) for b in boxes])
    return bool(union.covers(box(0, 0, width, height)))


def estimate_bytes(
    scenes: Sequence[Scene], geobox: GeoBox, bands: Sequence[str] | None = None
) -> ByteEstimate:
    """Return how many bytes are decoded to read a window; nothing is opened.

    Counts whole overlaps, also where a newer scene hides an older one. Bands of unknown
    number type count as 2 bytes a sample.

    Args:
        scenes: Scenes on the grid of `geobox`.
        geobox: The window.
        bands: Bands that are read; all when left out.
    """
    height, width = geobox.shape
    decoded, stored, is_known = 0, 0.0, True
    for scene in scenes:
        part = Window(*scene_box(scene, geobox)).intersection(
            Window(0, 0, height, width)
        )
        if part is None:
            continue
        used = scene.bands
        if bands is not None:
            found = (scene.find(name) for name in bands)
            used = tuple(band for band in found if band is not None)
        decoded += part.size * sum(np.dtype(b.dtype or "u2").itemsize for b in used)
        for href in {band.href for band in used}:
            size = file_size(href)
            is_known &= size is not None
            stored += (size or 0) * part.size / (scene.shape[0] * scene.shape[1])
    return ByteEstimate(decoded, round(stored) if is_known else None)


def integer_in(dtype: np.dtype[Any], nodata: float | None) -> int | None:
    """Return nodata as a value that pixels of this type can have, else None.

    Args:
        dtype: Number type of the pixels.
        nodata: What means "missing"; None where nothing does.
    """
    if nodata is None or not np.isfinite(nodata) or nodata != int(nodata):
        return None
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    inside = limits is None or limits.min <= nodata <= limits.max
    return int(nodata) if inside else None
