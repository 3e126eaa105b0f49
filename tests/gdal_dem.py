"""GDAL's own gdaldem, from the library that comes with rasterio."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import rasterio


def gdaldem(source: Path, target: Path, mode: str, *options: str) -> np.ndarray:
    """Run a mode of gdaldem on a file.

    Returns:
        Shape (height, width), float64, NaN where GDAL says nodata.
    """
    libraries = Path(rasterio.__file__).parent.parent.glob("rasterio.libs/libgdal*.so*")
    found = next(libraries, None)
    if found is None:
        pytest.skip("rasterio comes without a library of GDAL beside it")
    gdal = ctypes.CDLL(str(found))
    for name in ("GDALOpen", "GDALDEMProcessing", "GDALDEMProcessingOptionsNew"):
        getattr(gdal, name).restype = ctypes.c_void_p
    words = [*(word.encode() for word in options), None]
    gdal.GDALAllRegister()
    raster = ctypes.c_void_p(gdal.GDALOpen(str(source).encode(), 0))
    how = ctypes.c_void_p(
        gdal.GDALDEMProcessingOptionsNew((ctypes.c_char_p * len(words))(*words), None)
    )
    done = ctypes.c_void_p(
        gdal.GDALDEMProcessing(
            str(target).encode(), raster, mode.encode(), None, how, None
        )
    )
    assert done.value, f"gdaldem {mode} failed"
    gdal.GDALClose(done)
    gdal.GDALClose(raster)
    with rasterio.open(target) as file:
        return file.read(1, masked=True).astype(np.float64).filled(np.nan)
