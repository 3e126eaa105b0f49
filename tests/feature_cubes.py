"""Drawn cubes with holes, and the features that are tested on them."""

from __future__ import annotations

import numpy as np
import rioxarray  # noqa: F401 - the .rio accessor
import xarray as xr
from affine import Affine

from areca.features import NEIGHBOURHOODS

RANGE = {"low": 0.0, "high": 255.0}


def drawn_cube(height=60, width=70, *, seed=0, holes=True, floats=False):
    """Two bands, red and nir: smooth ground with noise; nodata 0 where there are holes.

    Its upper left corner is no multiple of anything.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    waves = 90 * np.sin(rows / 11) * np.cos(cols / 13) + 128
    pixels = np.stack([waves, 255 - waves]) + rng.normal(0, 12, (2, height, width))
    pixels = pixels.clip(1, 255)
    if holes:
        pixels[:, 20:26, 30:41] = 0  # larger than a window of 5
        pixels[:, rng.random((height, width)) < 0.01] = 0
    if floats:
        pixels = np.where(pixels == 0, np.nan, pixels).astype(np.float32)
    else:
        pixels = pixels.astype(np.uint8)
    left, top = 500_130.0, 4_000_370.0
    cube = xr.DataArray(
        pixels,
        dims=("band", "y", "x"),
        coords={
            "band": ["red", "nir"],
            "y": top - 10 * (np.arange(height) + 0.5),
            "x": left + 10 * (np.arange(width) + 0.5),
        },
    )
    cube = cube.rio.write_crs("EPSG:32631")
    cube = cube.rio.write_transform(Affine(10, 0, left, 0, -10, top))
    return cube.rio.write_nodata(np.nan if floats else 0, encoded=False)


def every_feature(band="nir"):
    """Each function with a small window, so that a drawn cube has many of them."""
    small = {"window": 5, "sigma": 1.0, "cell": 8, "levels": 4, **RANGE}
    texts = []
    for name, function in NEIGHBOURHOODS.items():
        options = [f"{k}={v}" for k, v in small.items() if k in function.options]
        texts.append(f"{name} = {name}({', '.join([band, *options])})")
    return texts


def random_chunks(length, parts, rng):
    """Cut a length into so many parts, anywhere."""
    cuts = sorted(rng.choice(np.arange(1, length), parts - 1, replace=False))
    return tuple(int(n) for n in np.diff([0, *cuts, length]))


def counted(cube):
    """The cube, and a list that takes the shape of each chunk whenever it is read."""
    reads = []

    def look(block):
        reads.append(block.shape)
        return block

    watched = cube.copy(data=cube.data.map_blocks(look, dtype=cube.dtype))
    reads.clear()  # map_blocks tries it
    return watched, reads
