"""Rasters of a run as cloud-optimised GeoTIFFs, a shard at a time.

GDAL's COG driver copies a finished raster, so the blocks are first streamed into a
tiled GeoTIFF beside the target; neither step holds more than a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import zarr
from affine import Affine
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from areca.errors import InputError
from areca.exports.style import class_colours, raster_style

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_PX = 512
CACHE_BYTES = 128 * 2**20
"""GDAL's cache of blocks while a raster is written."""
STREAM_PX = 4096
"""Longest side of the window that is copied at a time."""
_RESAMPLING = {"uint8": "MODE", "float32": "AVERAGE"}
"""How overviews are made: the class that most pixels have, or the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raster:
    """One raster of a store, and where it lies."""

    values: zarr.Array[Any]
    name: str
    crs: str
    transform: Affine
    nodata: float
    classes: tuple[str, ...]
    """Names of the classes 0, 1, ...; none for a raster of numbers."""


def list_rasters(store: Path) -> list[str]:
    """Return the names of the rasters in a store, sorted.

    Args:
        store: The folder `rasters.zarr` of a run.

    Raises:
        InputError: There is no such store.
    """
    if not (store / "zarr.json").exists():
        raise InputError(
            f"{store} holds no rasters: the model of this run gives objects alone. "
            "Rasters come from segmentations, and from detectors with the option "
            "confidence"
        )
    group = zarr.open_group(store, mode="r")
    return sorted(name for name, array in group.arrays() if array.ndim == 2)


def open_raster(store: Path, name: str | None) -> _Raster:
    """Open a raster; none of its pixels is read.

    Args:
        store: The folder `rasters.zarr` of a run.
        name: Which raster; `label` where there is one, else the only one, if None.

    Returns:
        The raster.

    Raises:
        InputError: There is no such raster, or several and none is named.
    """
    names = list_rasters(store)
    if name is None:
        name = "label" if "label" in names or len(names) != 1 else names[0]
    if name not in names:
        raise InputError(
            f"there is no raster {name!r}; this run has {', '.join(names)} (--raster)"
        )
    group = zarr.open_group(store, mode="r")
    values, place = group[name], group["spatial_ref"]
    if not isinstance(values, zarr.Array):
        raise InputError(f"{store}/{name} is no raster")
    transform = [float(number) for number in str(place.attrs["GeoTransform"]).split()]
    meanings = str(values.attrs.get("flag_meanings", ""))
    return _Raster(
        values=values,
        name=name,
        crs=str(place.attrs["crs_wkt"]),
        transform=Affine.from_gdal(*transform),
        nodata=float(values.fill_value),
        classes=tuple(meaning.replace("_", " ") for meaning in meanings.split()),
    )


def write_cog(raster: _Raster, path: Path) -> int:
    """Write a raster as a cloud-optimised GeoTIFF with overviews.

    Args:
        raster: What to write. Classes get a colour table, and beside the file a style
            for QGIS (.qml) that names them.
        path: File to write.

    Returns:
        Pixels written.
    """
    plain = path.with_name(f"{path.stem}.plain.tif")
    kind = str(raster.values.dtype)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_PAM_ENABLED="NO"):
        _write_plain(raster, plain)
        copy_as_cog(plain, path, _RESAMPLING.get(kind, "NEAREST"))
    plain.unlink()
    if raster.classes:
        style = raster_style(raster.classes)
        path.with_suffix(".qml").write_text(style, encoding="utf-8")
    return int(np.prod(raster.values.shape))


def copy_as_cog(plain: Path, path: Path, resampling: str) -> None:
    """Copy a tiled GeoTIFF as a cloud-optimised one with overviews.

    Args:
        plain: What to copy; GDAL writes overviews only once all pixels are there.
        path: File to write.
        resampling: How GDAL makes overviews, such as "AVERAGE".
    """
    copy_raster(
        plain,
        path,
        driver="COG",
        BLOCKSIZE=BLOCK_PX,
        COMPRESS="DEFLATE",
        PREDICTOR="YES",
        OVERVIEW_RESAMPLING=resampling,
        BIGTIFF="IF_SAFER",
    )


def _write_plain(raster: _Raster, path: Path) -> None:
    """Stream a raster into a tiled GeoTIFF, a few blocks at a time."""
    values = raster.values
    height, width = values.shape
    predictor = {"predictor": 3} if values.dtype.kind == "f" else {}
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": 1,
        "dtype": str(values.dtype), "crs": raster.crs, "transform": raster.transform,
        "nodata": raster.nodata, "tiled": True, "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX, "compress": "deflate", "zlevel": 1,
        "bigtiff": "if_safer", **predictor,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.set_band_description(1, raster.name)
        if raster.classes:
            _name_classes(file, raster.classes)
        for window in _windows(values):
            rows, cols = window.toslices()
            file.write(np.asarray(values[rows, cols]), 1, window=window)


def _name_classes(file: rasterio.io.DatasetWriter, classes: tuple[str, ...]) -> None:
    colours = {n: (*c, 255) for n, c in enumerate(class_colours(len(classes)))}
    file.write_colormap(1, colours)
    file.update_tags(1, **{f"class_{n}": name for n, name in enumerate(classes)})


def _windows(values: zarr.Array[Any]) -> Iterator[Window]:
    """Yield windows of whole shards, or of whole chunks where shards are large."""
    unit = values.shards or values.chunks
    if max(unit) > STREAM_PX:
        unit = tuple(max(c, STREAM_PX // c * c) for c in values.chunks)
    height, width = values.shape
    for row, col in product(range(0, height, unit[0]), range(0, width, unit[1])):
        yield Window(col, row, min(unit[1], width - col), min(unit[0], height - row))
