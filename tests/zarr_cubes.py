"""Drawn cubes to keep as Zarr; a plain module, so that tests can import it."""

import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine

BANDS = ["red", "nir"]
DATES = np.array(["2024-05-01T10:00", "2024-06-01", "2024-07-03"], "M8[ns]")


def drawn(dtype="uint16", nodata=None, *, times=None, shape=(70, 90), chunk=32):
    """A cube of random numbers in regular chunks, on a UTM grid."""
    rng = np.random.default_rng(7)
    size = (len(BANDS), *shape) if times is None else (len(times), len(BANDS), *shape)
    pixels = rng.integers(0, 200, size).astype(dtype)
    if np.dtype(dtype).kind == "f":
        pixels[..., 3:9, 5:60] = np.nan
    elif nodata is not None:
        pixels[..., 3:9, 5:60] = nodata
    dims = ("band", "y", "x") if times is None else ("time", "band", "y", "x")
    edges = (-1, chunk, chunk) if times is None else (1, -1, chunk, chunk)
    affine = Affine(2, 0, 500_000, 0, -2, 5_000_000)
    coords = {
        "band": BANDS,
        "y": affine.f + (np.arange(shape[0]) + 0.5) * affine.e,
        "x": affine.c + (np.arange(shape[1]) + 0.5) * affine.a,
    }
    if times is not None:
        coords["time"] = times
    cube = xr.DataArray(
        da.from_array(pixels, chunks=edges), dims=dims, coords=coords, name="areca",
        attrs={"items": [{"id": "a", "start": "2024-05-01"}]},
    )  # fmt: skip
    cube = cube.rio.write_crs("EPSG:32614").rio.write_transform(affine)
    if nodata is not None:
        cube.attrs |= {"_FillValue": nodata, "nodata": nodata}
    return cube
