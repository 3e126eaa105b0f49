"""Windows of the arrays of Zarr cubes, as stored."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from areca.catalog.headers import NumberTypeError
from areca.catalog.hrefs import split_array
from areca.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window as RasterWindow

    from areca.catalog.scenes import Scene, SceneBand

_FAULTS = (OSError, ValueError, IndexError, KeyError, RuntimeError)
"""What damaged metadata and chunks make zarr and its codecs raise."""


def read_array(
    scene: Scene,
    bands: Sequence[SceneBand],
    window: RasterWindow,
    dtype: np.dtype[Any],
) -> tuple[NDArray[Any], list[NDArray[np.bool_] | None]]:
    """Read bands of one array of a local Zarr cube.

    Args:
        scene: What is known of it.
        bands: Bands of one array.
        window: Pixels of the array.
        dtype: Number type in which pixels are wanted; floats take any.

    Returns:
        Stored pixels (band, height, width), and for each band where it is valid; None
        when everywhere.

    Raises:
        ReadError: It cannot be read, or is not what its item says.
        NumberTypeError: It holds other numbers than wanted.
    """  # noqa: DOC502 - raised by _check
    path, date = split_array(bands[0].href)
    first = min(band.index for band in bands) - 1
    last = max(band.index for band in bands)
    try:
        array = _opened(path, (Path(path) / _metadata(path)).stat().st_mtime_ns)
        _check(array, scene, dtype)
        lead: tuple[Any, ...] = () if date is None else (date,)
        if array.ndim - len(lead) == 3:  # one read: bands share their chunks
            lead = (*lead, slice(first, last))
        stored: NDArray[Any] = np.asarray(array[(*lead, *window.toslices())])
    except ReadError:
        raise
    except _FAULTS as err:
        told = (str(err).splitlines() or [""])[0]
        raise ReadError(f"{type(err).__name__}: {told}") from err
    if stored.ndim == 2:
        stored = stored[None]
    pixels = stored[[band.index - 1 - first for band in bands]]
    return pixels, [_valid(p, b.nodata) for p, b in zip(pixels, bands, strict=True)]


def _check(array: zarr.Array[Any], scene: Scene, dtype: np.dtype[Any]) -> None:
    """Refuse an array that is not what its item says.

    Raises:
        ReadError: Its shape differs.
        NumberTypeError: It holds other numbers than wanted.
    """
    if array.shape[-2:] != scene.shape:
        raise ReadError(
            f"the array has {array.shape[-2:]} pixels, its item says {scene.shape}"
        )
    if dtype.kind != "f" and array.dtype != dtype:
        raise NumberTypeError(f"it holds {array.dtype}, its item says {dtype}")


def _valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    valid: NDArray[np.bool_] | None = None
    if nodata is not None and not np.isnan(nodata):
        valid = values != nodata
    if values.dtype.kind == "f":
        seen = ~np.isnan(values)
        valid = seen if valid is None else valid & seen
    return None if valid is None or valid.all() else valid


def _metadata(path: str) -> str:
    return "zarr.json" if (Path(path) / "zarr.json").is_file() else ".zarray"


@functools.lru_cache(maxsize=64)
def _opened(path: str, _changed: int) -> zarr.Array[Any]:
    """Return an array as it is now; one that was made longer is opened again."""
    return zarr.open_array(path, mode="r")
